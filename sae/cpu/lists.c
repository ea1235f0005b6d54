#include "sae/cpu/lists.h"

#include <string.h>

void row_lists_lay(struct row_lists *lists, uint32_t rows, uint32_t capacity, struct arena *arena)
{
    lists->rows = rows;
    lists->capacity = capacity;
    lists->start = arena_take(arena, rows, sizeof *lists->start);
    lists->count = arena_take(arena, rows, sizeof *lists->count);
    lists->index = arena_take(arena, capacity, sizeof *lists->index);
    lists->value = arena_take(arena, capacity, sizeof *lists->value);
    lists->gradient = arena_take(arena, capacity, sizeof *lists->gradient);
}

void row_lists_clear(struct row_lists *lists)
{
    atomic_store(&lists->used, 0);
    atomic_store(&lists->overflow, 0);
}

int64_t row_lists_reserve(struct row_lists *lists, uint32_t row, uint32_t count)
{
    uint32_t start = atomic_load(&lists->used);
    lists->start[row] = lists->count[row] = 0;
    do {
        if (count > lists->capacity - start) {
            atomic_store(&lists->overflow, 1);
            return -1;
        }
    } while (!atomic_compare_exchange_weak(&lists->used, &start, start + count));
    lists->start[row] = start;
    lists->count[row] = count;
    return start;
}

void feature_lists_lay(struct feature_lists *lists, uint32_t features, uint32_t capacity,
                       struct arena *arena)
{
    lists->features = features;
    lists->capacity = capacity;
    lists->start = arena_take(arena, (size_t)features + 1, sizeof *lists->start);
    lists->row = arena_take(arena, capacity, sizeof *lists->row);
    lists->value = arena_take(arena, capacity, sizeof *lists->value);
    lists->gradient = arena_take(arena, capacity, sizeof *lists->gradient);
    lists->place = arena_take(arena, (size_t)features * LIST_CHUNKS, sizeof *lists->place);
}

struct group_job {
    struct feature_lists *by_feature;
    const struct row_lists *by_row;
    uint32_t rows;
};

static uint32_t chunk_begin(const struct group_job *job, uint32_t chunk)
{
    return (uint32_t)((uint64_t)job->rows * chunk / LIST_CHUNKS);
}

/* How often each feature occurs in a chunk of rows. */
static void count_chunk(void *arg, uint32_t chunk, uint32_t thread)
{
    (void)thread;
    struct group_job *job = arg;
    uint32_t features = job->by_feature->features;
    uint32_t *place = job->by_feature->place + (size_t)chunk * features;
    memset(place, 0, features * sizeof *place);
    for (uint32_t r = chunk_begin(job, chunk); r < chunk_begin(job, chunk + 1); r++) {
        const uint32_t *index = job->by_row->index + job->by_row->start[r];
        for (uint32_t j = 0; j < job->by_row->count[r]; j++) place[index[j]]++;
    }
}

/* From counts to places: features in order, within a feature the chunks in order. */
static void lay_out(struct feature_lists *lists)
{
    uint32_t at = 0;
    for (uint32_t f = 0; f < lists->features; f++) {
        lists->start[f] = at;
        for (uint32_t c = 0; c < LIST_CHUNKS; c++) {
            uint32_t *place = lists->place + (size_t)c * lists->features + f;
            uint32_t count = *place;
            *place = at;
            at += count;
        }
    }
    lists->start[lists->features] = at;
}

static void place_chunk(void *arg, uint32_t chunk, uint32_t thread)
{
    (void)thread;
    struct group_job *job = arg;
    struct feature_lists *to = job->by_feature;
    const struct row_lists *from = job->by_row;
    uint32_t *place = to->place + (size_t)chunk * to->features;
    for (uint32_t r = chunk_begin(job, chunk); r < chunk_begin(job, chunk + 1); r++)
        for (uint32_t j = from->start[r]; j < from->start[r] + from->count[r]; j++) {
            uint32_t at = place[from->index[j]]++;
            to->row[at] = r;
            to->value[at] = from->value[j];
            to->gradient[at] = from->gradient[j];
        }
}

void feature_lists_group(struct feature_lists *lists, const struct row_lists *by_row, uint32_t rows,
                         struct pool *pool)
{
    struct group_job job = {lists, by_row, rows};
    pool_run(pool, count_chunk, &job, LIST_CHUNKS);
    lay_out(lists);
    pool_run(pool, place_chunk, &job, LIST_CHUNKS);
}
