#include "inspect/survey_buffer.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "inspect/arrange.h"
#include "inspect/index_facts.h"

#include <stdio.h>
#include <sys/stat.h>

static int tell(void *arg, uint64_t rows)
{
    const struct survey_options *o = arg;
    if (o->progress) o->progress(o->arg, "tokens", rows, o->most_rows);
    return ERR_OK;
}

/* ARRIVED, empty. */
static int make_folder(const char *arrived, struct survey_read *read)
{
    struct stat st;
    read->begun_again = lstat(arrived, &st) == 0;
    int result = read->begun_again ? dir_remove(arrived) : ERR_OK;
    return result == ERR_OK ? own_make(arrived, 0) : result;
}

static int read_rows(const char *arrived, const struct survey_options *o, struct survey_read *read,
                     uint64_t *rows, uint64_t *fired)
{
    struct records records;
    struct buffered_options options = {.most_rows = o->most_rows,
                                       .captured_from_ns = o->captured_from_ns,
                                       .wait_seconds = o->wait_seconds,
                                       .after = tell,
                                       .arg = (void *)o};
    int result = records_open(arrived, 0, 0, &records);
    if (result != ERR_OK) return result;
    result = buffered_gather(o->buffer, &options, &records, &read->counts);
    if (result == ERR_OK) result = records_sync(&records);
    *rows = records.rows;
    *fired = records.fired;
    records_close(&records);
    return result;
}

static int arrange(const char *work, const struct record_view *view, uint64_t memory_bytes,
                   struct survey_state *state, struct arranged *arranged)
{
    struct records records;
    int result = records_open(work, 0, 0, &records);
    if (result != ERR_OK) return result;
    result = arrange_rows(view, memory_bytes, &records, arranged);
    if (result == ERR_OK) result = records_sync(&records);
    state->rows = records.rows;
    state->fired = records.fired;
    state->kept_rows = arranged->kept_rows;
    records_close(&records);
    return result;
}

int survey_buffer_gather(const char *work, struct subject *subject,
                         const struct survey_options *options, struct survey_state *state)
{
    char arrived[INDEX_PATH_BYTES];
    struct record_view view;
    struct arranged arranged = {0};
    uint64_t rows = 0, fired = 0;
    snprintf(arrived, sizeof arrived, "%.4000s/arrived", work);
    int result = make_folder(arrived, options->read);
    if (result == ERR_OK) result = read_rows(arrived, options, options->read, &rows, &fired);
    if (result == ERR_OK)
        result = records_map(arrived, rows, fired, subject_features(subject), &view);
    if (result != ERR_OK) return result;
    result = arrange(work, &view, options->memory_bytes, state, &arranged);
    options->read->again = arranged.again;
    records_unmap(&view);
    return result == ERR_OK ? dir_remove(arrived) : result;
}
