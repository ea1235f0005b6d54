#include "inspect/sorter.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20 };

struct sorter {
    const struct record_view *view;
    uint32_t features;
    uint64_t capacity; /* hits of a piece */
    struct hit *hits;  /* (capacity) */
    uint64_t *start;   /* (features + 1) of the piece at hand */
    uint64_t *next;    /* (features): where its next hit goes */
    char pieces_path[4096], path[4096];
    uint64_t pieces, pieces_bytes;
};

uint64_t sorter_least_bytes(uint32_t features)
{
    return (uint64_t)features * (2 * sizeof(uint64_t) + sizeof(struct hit)) + 3 * BUFFER_BYTES;
}

/* Rows [first, *end) that fit, at least one, sorted into s->hits. */
static void sort_piece(struct sorter *s, uint64_t first, uint64_t *end)
{
    const struct record_view *v = s->view;
    uint64_t begin = v->row[first].start, last = first;
    while (last < v->rows && record_end(v, last) - begin <= s->capacity) last++;
    *end = last;
    memset(s->start, 0, (s->features + 1) * sizeof *s->start);
    for (uint64_t i = begin; i < record_end(v, last - 1); i++) s->start[v->pair[i].feature + 1]++;
    for (uint32_t f = 0; f < s->features; f++) {
        s->start[f + 1] += s->start[f];
        s->next[f] = s->start[f];
    }
    for (uint64_t row = first; row < last; row++)
        for (uint64_t i = v->row[row].start; i < record_end(v, row); i++)
            s->hits[s->next[v->pair[i].feature]++] = (struct hit){(uint32_t)row, v->pair[i].value};
}

static int create(const char *path, FILE **file)
{
    int fd, result = own_open(path, O_RDWR | O_CREAT | O_TRUNC, &fd);
    if (result != ERR_OK) return result;
    *file = fdopen(fd, "w");
    if (!*file) {
        close(fd);
        return file_error("opening", path);
    }
    setvbuf(*file, NULL, _IOFBF, BUFFER_BYTES);
    return ERR_OK;
}

/* Close what was written; durable where that is wanted. */
static int finish(FILE *file, const char *path, int sync, int result)
{
    if (result == ERR_OK && (fflush(file) != 0 || (sync && fsync(fileno(file)) != 0)))
        result = file_error("writing", path);
    if (fclose(file) != 0 && result == ERR_OK) result = file_error("writing", path);
    return result;
}

static int write_pieces(struct sorter *s)
{
    FILE *file;
    int result = create(s->pieces_path, &file);
    if (result != ERR_OK) return result;
    for (uint64_t row = 0; row < s->view->rows && result == ERR_OK; s->pieces++) {
        sort_piece(s, row, &row);
        size_t table = s->features + 1, hits = s->start[s->features];
        if (fwrite(s->start, sizeof *s->start, table, file) != table ||
            fwrite(s->hits, sizeof *s->hits, hits, file) != hits)
            result = file_error("writing", s->pieces_path);
        s->pieces_bytes += table * sizeof *s->start + hits * sizeof *s->hits;
    }
    return finish(file, s->pieces_path, 0, result);
}

/* Feature by feature out of all pieces. */
static int join(const struct sorter *s, const char *from, FILE *file)
{
    for (uint32_t f = 0; f < s->features; f++) {
        const char *at = from;
        for (uint64_t p = 0; p < s->pieces; p++) {
            const uint64_t *start = (const uint64_t *)at;
            const struct hit *hits = (const struct hit *)(start + s->features + 1);
            size_t n = start[f + 1] - start[f];
            if (n && fwrite(hits + start[f], sizeof *hits, n, file) != n)
                return file_error("writing", s->path);
            at = (const char *)(hits + start[s->features]);
        }
    }
    return ERR_OK;
}

static int write_sorted(const struct sorter *s)
{
    struct mapped map;
    FILE *file;
    int result = mapped_open(s->pieces_path, s->pieces_bytes, &map);
    if (result != ERR_OK) return result;
    result = create(s->path, &file);
    if (result == ERR_OK) result = finish(file, s->path, 1, join(s, map.data, file));
    mapped_close(&map);
    return result;
}

int sorter_check(uint32_t features, uint64_t memory_bytes)
{
    uint64_t least = sorter_least_bytes(features);
    if (memory_bytes >= least) return ERR_OK;
    return err_set(ERR_LIMIT,
                   "%" PRIu64 " bytes of memory are too few to sort by %u features; HINT: "
                   "--memory %" PRIu64 "MiB",
                   memory_bytes, features, (least >> 20) + 1);
}

static int check(const struct sorter *s, uint64_t memory_bytes)
{
    int result = sorter_check(s->features, memory_bytes);
    if (result != ERR_OK) return result;
    if (s->view->rows >> SORTER_MOST_ROWS_LOG2)
        return err_set(ERR_LIMIT, "%" PRIu64 " rows are too many for one index; HINT: --tokens",
                       s->view->rows);
    return ERR_OK;
}

int sorter_make(const char *folder, const struct record_view *view, uint32_t features,
                uint64_t memory_bytes)
{
    struct sorter s = {.view = view, .features = features};
    int result = check(&s, memory_bytes);
    if (result != ERR_OK) return result;
    snprintf(s.pieces_path, sizeof s.pieces_path, "%.4000s/pieces", folder);
    snprintf(s.path, sizeof s.path, "%.4000s/sorted", folder);
    s.capacity = (memory_bytes - sorter_least_bytes(features)) / sizeof *s.hits + features;
    if (s.capacity > view->fired + features) s.capacity = view->fired + features;
    s.hits = malloc(s.capacity * sizeof *s.hits);
    s.start = malloc((features + 1) * sizeof *s.start);
    s.next = malloc(features * sizeof *s.next);
    if (!s.hits || !s.start || !s.next)
        result = err_set(ERR_NOMEM, "no memory to sort; HINT: a smaller --memory");
    if (result == ERR_OK) result = write_pieces(&s);
    free(s.hits);
    free(s.start);
    free(s.next);
    if (result == ERR_OK) result = write_sorted(&s);
    if (unlink(s.pieces_path) != 0 && result == ERR_OK)
        result = file_error("removing", s.pieces_path);
    return result;
}

int sorter_map(const char *folder, const struct record_view *view, uint32_t features,
               struct sorted *sorted)
{
    struct sorted s = {.start = calloc((size_t)features + 1, sizeof *s.start)};
    char path[4096];
    if (!s.start) return err_set(ERR_NOMEM, "no memory for an index of %u features", features);
    snprintf(path, sizeof path, "%.4000s/sorted", folder);
    int result = mapped_open(path, view->fired * sizeof *s.hit, &s.map);
    for (uint64_t i = 0; i < view->fired; i++) s.start[view->pair[i].feature + 1]++;
    for (uint32_t f = 0; f < features; f++) s.start[f + 1] += s.start[f];
    s.hit = s.map.data;
    for (uint64_t i = 0; result == ERR_OK && i < view->fired; i++)
        if (s.hit[i].row >= view->rows || !(s.hit[i].value > 0) || !isfinite(s.hit[i].value))
            result = err_set(ERR_CORRUPT,
                             "%s is damaged; HINT: remove the folder and inspect again", path);
    if (result != ERR_OK)
        sorter_unmap(&s);
    else
        *sorted = s;
    return result;
}

void sorter_unmap(struct sorted *sorted)
{
    mapped_close(&sorted->map);
    free(sorted->start);
    *sorted = (struct sorted){0};
}
