#include "inspect/records.h"

#include "base/err.h"
#include "base/fileio.h"
#include "inspect/appended.h"

#include <math.h>

static void path_of(const char *folder, const char *name, char out[4096])
{
    snprintf(out, 4096, "%.4000s/%s", folder, name);
}

int records_open(const char *folder, uint64_t rows, uint64_t fired, struct records *records)
{
    struct records r = {.rows = rows, .fired = fired};
    path_of(folder, "rows", r.rows_path);
    path_of(folder, "fired", r.fired_path);
    int result = appended_open(r.rows_path, rows * sizeof(struct record_row), &r.rows_file);
    if (result == ERR_OK)
        result = appended_open(r.fired_path, fired * sizeof(struct fired), &r.fired_file);
    if (result != ERR_OK)
        records_close(&r);
    else
        *records = r;
    return result;
}

int records_add(struct records *r, const struct row_id *id, int is_left_out,
                const uint32_t *features, const float *values, uint64_t count)
{
    struct record_row row = {id->sequence, r->fired, id->position, id->token, !!is_left_out, 0};
    if (fwrite(&row, sizeof row, 1, r->rows_file) != 1) return file_error("writing", r->rows_path);
    for (uint64_t i = 0; i < count; i++) {
        struct fired pair = {features[i], values[i]};
        if (fwrite(&pair, sizeof pair, 1, r->fired_file) != 1)
            return file_error("writing", r->fired_path);
    }
    r->rows++;
    r->fired += count;
    return ERR_OK;
}

int records_copy(struct records *r, const struct record_row *row, const struct fired *pairs,
                 uint64_t count)
{
    struct record_row copy = *row;
    copy.start = r->fired;
    if (fwrite(&copy, sizeof copy, 1, r->rows_file) != 1)
        return file_error("writing", r->rows_path);
    if (fwrite(pairs, sizeof *pairs, count, r->fired_file) != count)
        return file_error("writing", r->fired_path);
    r->rows++;
    r->fired += count;
    return ERR_OK;
}

int records_sync(struct records *r)
{
    int result = appended_sync(r->fired_file, r->fired_path);
    return result == ERR_OK ? appended_sync(r->rows_file, r->rows_path) : result;
}

void records_close(struct records *r)
{
    if (r->rows_file) fclose(r->rows_file);
    if (r->fired_file) fclose(r->fired_file);
    *r = (struct records){0};
}

/* ---- reading ---- */

static int check(const struct record_view *v, uint32_t features)
{
    for (uint64_t r = 0; r < v->rows; r++) {
        uint64_t end = record_end(v, r), at = v->row[r].start;
        if (at > end || end > v->fired || (r == 0 && at != 0)) return 0;
        for (uint64_t before = 0; at < end; before = (uint64_t)v->pair[at++].feature + 1)
            if (v->pair[at].feature < before || v->pair[at].feature >= features ||
                !(v->pair[at].value > 0) || !isfinite(v->pair[at].value))
                return 0;
    }
    return v->rows > 0 || v->fired == 0;
}

int records_map(const char *folder, uint64_t rows, uint64_t fired, uint32_t features,
                struct record_view *view)
{
    struct record_view v = {.rows = rows, .fired = fired};
    char path[4096];
    path_of(folder, "rows", path);
    int result = mapped_open(path, rows * sizeof(struct record_row), &v.row_map);
    path_of(folder, "fired", path);
    if (result == ERR_OK) result = mapped_open(path, fired * sizeof(struct fired), &v.fired_map);
    v.row = v.row_map.data;
    v.pair = v.fired_map.data;
    if (result == ERR_OK && !check(&v, features))
        result =
            err_set(ERR_CORRUPT,
                    "%s: its rows are damaged; HINT: remove the folder and inspect again", folder);
    if (result != ERR_OK)
        records_unmap(&v);
    else
        *view = v;
    return result;
}

void records_unmap(struct record_view *view)
{
    mapped_close(&view->row_map);
    mapped_close(&view->fired_map);
    *view = (struct record_view){0};
}
