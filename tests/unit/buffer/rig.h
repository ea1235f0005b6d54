/*
 * What the tests of the buffer share: a folder, a stream of rows that are a pure function of their
 * place, and frames of it put into a store.
 */
#ifndef SLUICE_TESTS_BUFFER_RIG_H
#define SLUICE_TESTS_BUFFER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/err.h"
#include "base/fileio.h"
#include "base/rng.h"
#include "buffer/store.h"
#include "proto/rows.h"

enum { RIG_WIDTH = 16, RIG_SEQUENCE_ROWS = 50 };

static char rig_dir[96];
static uint32_t rig_sequence_rows = RIG_SEQUENCE_ROWS;

static inline int rig_make(void **state)
{
    (void)state;
    /* In memory where there is such a place: these tests sync often, and test no disk. */
    int memory = access("/dev/shm", W_OK) == 0;
    strcpy(rig_dir, memory ? "/dev/shm/sluice-buffer-XXXXXX" : "/tmp/sluice-buffer-XXXXXX");
    if (!mkdtemp(rig_dir)) return -1;
    strcat(rig_dir, "/buffer");
    return 0;
}

static inline int rig_remove(void **state)
{
    (void)state;
    *strrchr(rig_dir, '/') = '\0';
    return dir_remove(rig_dir);
}

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        int assert_ok_ = (call);                                                                   \
        if (assert_ok_ != ERR_OK) fail_msg("%s: %s: %s", #call, err_str(assert_ok_), err_text());  \
    } while (0)

static inline struct store_options rig_options(void)
{
    return (struct store_options){
        .dir = rig_dir,
        .stream = "rig",
        .size_bytes = 4 << 20,
        .slab_bytes = 4 * 4096 - 16,
        .width = RIG_WIDTH,
        .dtype = DTYPE_F32,
    };
}

static inline struct store *rig_open(const struct store_options *options)
{
    struct store *store = NULL;
    assert_ok(store_open(options, &store));
    return store;
}

/* Row `r` (0-based) of producer p of the stream. */
static inline struct row_id rig_id(uint32_t producer, uint64_t r)
{
    return (struct row_id){.sequence = (r / rig_sequence_rows) * 16 + producer,
                           .position = (uint32_t)(r % rig_sequence_rows),
                           .token = (uint32_t)hash_words(producer, r, 3, 4)};
}

static inline float rig_value(struct row_id id, uint32_t dimension)
{
    return (float)(hash_words(id.sequence, id.position, dimension, 5) % 2048) / 16.0f;
}

static inline struct cursor rig_cursor(uint32_t producer, uint64_t row)
{
    struct row_id id = rig_id(producer, row);
    return (struct cursor){.document = row, .sequence = id.sequence, .position = id.position};
}

/* Rows of every slab but a stream's last. */
static inline uint32_t rig_rows(const struct store *store)
{
    return store_state(store)->rows_per_slab;
}

/* (txn) Put frame `number` of a producer, with `rows` rows (0: a full slab); says what store_put
 * says. The producer's record goes on with it. */
static inline int rig_put(struct store *store, const struct store_options *o, uint32_t producer,
                          uint64_t number, uint32_t rows)
{
    uint64_t first = (number - 1) * rig_rows(store);
    if (rows == 0) rows = rig_rows(store);
    size_t raw_bytes = frame_raw_bytes(rows, o->width, o->dtype);
    struct row_id *ids = malloc(rows * sizeof *ids);
    float *values = malloc((size_t)rows * o->width * sizeof *values);
    void *frame = malloc(raw_bytes), *raw;
    for (uint32_t i = 0; i < rows; i++) {
        ids[i] = rig_id(producer, first + i);
        for (uint32_t d = 0; d < o->width; d++)
            values[(size_t)i * o->width + d] = rig_value(ids[i], d);
    }
    rows_to_raw(o->dtype, rows, o->width, ids, values, frame);
    struct slab_header h = {
        .number = number,
        .producer = producer,
        .epoch = 1,
        .rows = rows,
        .width = o->width,
        .dtype = o->dtype,
        .raw_bytes = (uint32_t)raw_bytes,
        .begin = rig_cursor(producer, first),
        .captured_ns = 1,
        .identities_hash = XXH3_64bits(frame, rows * sizeof *ids),
        .raw_hash = XXH3_64bits(frame, raw_bytes),
    };
    int result = store_put(store, &h, &raw);
    if (result == ERR_OK) {
        memcpy(raw, frame, raw_bytes);
        struct store_producer record = {0};
        store_producer_get(store, producer, &record);
        if (record.next_number <= number) {
            record.next_number = number + 1;
            record.cursor = rig_cursor(producer, first + rows);
            record.epoch = 1;
        }
        record.rows += rows;
        assert_ok(store_producer_put(store, producer, &record));
    }
    free(ids);
    free(values);
    free(frame);
    return result;
}

/* A transaction of its own with frames [from, to) of a producer. */
static inline void rig_fill(struct store *store, const struct store_options *o, uint32_t producer,
                            uint64_t from, uint64_t to)
{
    assert_ok(store_begin(store));
    for (uint64_t n = from; n < to; n++) assert_ok(rig_put(store, o, producer, n, 0));
    assert_ok(store_commit(store));
}

static inline void rig_state(struct store *store, uint32_t producers, int more, int ended)
{
    struct store_state state = *store_state(store);
    state.producers = producers;
    state.more_is_coming = (uint32_t)more;
    state.ended = (uint32_t)ended;
    assert_ok(store_begin(store));
    assert_ok(store_state_put(store, &state));
    assert_ok(store_commit(store));
}

#endif
