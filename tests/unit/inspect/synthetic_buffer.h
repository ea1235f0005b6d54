/* The rows of synthetic_subject.h in a buffer, as a test wants them to lie there. */
#ifndef SLUICE_TESTS_INSPECT_SYNTHETIC_BUFFER_H
#define SLUICE_TESTS_INSPECT_SYNTHETIC_BUFFER_H

#include "tests/unit/inspect/synthetic_subject.h"

#include "buffer/store.h"
#include "proto/descriptor.h"
#include "proto/rows.h"

#include <xxhash.h>

struct known_rows { /* in the engine's order */
    struct row_id id[KNOWN_ROWS];
    float values[KNOWN_ROWS][KNOWN_WIDTH];
};
static int known_drops_tokens; /* of the buffers that are made from now on */

static struct known_rows known;

static void known_read(void)
{
    struct engine *engine = known_engine(KNOWN_ROWS);
    struct engine_batch batch;
    size_t at = 0;
    while (engine_next(engine, &batch) == ERR_OK && batch.rows) {
        memcpy(&known.id[at], batch.ids, batch.rows * sizeof *batch.ids);
        memcpy(known.values[at], batch.values, batch.rows * sizeof known.values[0]);
        at += batch.rows;
    }
    assert_int_equal(at, KNOWN_ROWS);
    engine_close(engine);
}

/* A buffer of that dtype in the test's folder, without rows. */
static struct store *known_store(const char *name, uint8_t dtype)
{
    struct descriptor d = {.stream = "known",
                           .dtype = dtype,
                           .width = KNOWN_WIDTH,
                           .hooks = 1,
                           .hook = {{.name = "synthetic", .width = KNOWN_WIDTH}},
                           .engine = "synthetic",
                           .model = "known",
                           .precision = "f32",
                           .context_tokens = KNOWN_SEQUENCE,
                           .share_count = 1,
                           .drops_tokens = known_drops_tokens,
                           .run = 7};
    char dir[256], *text;
    size_t bytes;
    struct store *store;
    snprintf(dir, sizeof dir, "%s", in_folder(name));
    struct store_options options = {.dir = dir,
                                    .stream = "known",
                                    .size_bytes = 8 << 20,
                                    .slab_bytes = 8 * 4096 - 16,
                                    .width = KNOWN_WIDTH,
                                    .dtype = dtype};
    if (store_open(&options, &store) != ERR_OK) fail_msg("%s", err_text());
    d.rows_per_slab = store_state(store)->rows_per_slab;
    assert_int_equal(descriptor_encode(&d, &text, &bytes), ERR_OK);
    assert_int_equal(store_descriptor_put(store, text, bytes), ERR_OK);
    free(text);
    return store;
}

/* Frame `number`, of these of the known rows. ERR_AGAIN is for the caller to try again. */
static int known_put(struct store *store, uint8_t dtype, uint64_t number, const uint32_t *rows,
                     uint32_t count)
{
    size_t raw_bytes = frame_raw_bytes(count, KNOWN_WIDTH, dtype);
    struct row_id *ids = malloc(count * sizeof *ids);
    float *values = malloc(count * sizeof known.values[0]);
    void *frame = malloc(raw_bytes), *raw;
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = known.id[rows[i]];
        memcpy(values + (size_t)i * KNOWN_WIDTH, known.values[rows[i]], sizeof known.values[0]);
    }
    rows_to_raw(dtype, count, KNOWN_WIDTH, ids, values, frame);
    struct slab_header h = {.number = number,
                            .epoch = 1,
                            .rows = count,
                            .width = KNOWN_WIDTH,
                            .dtype = dtype,
                            .raw_bytes = (uint32_t)raw_bytes,
                            .captured_ns = 1,
                            .identities_hash = XXH3_64bits(frame, count * sizeof *ids),
                            .raw_hash = XXH3_64bits(frame, raw_bytes)};
    assert_int_equal(store_begin(store), ERR_OK);
    int result = store_put(store, &h, &raw);
    if (result == ERR_OK) memcpy(raw, frame, raw_bytes);
    if (result != ERR_OK && result != ERR_AGAIN) fail_msg("%s", err_text());
    if (store_is_spoilt(store))
        store_abort(store);
    else
        assert_int_equal(store_commit(store), ERR_OK);
    free(frame);
    free(ids);
    free(values);
    return result;
}

/* The rows of a list, slab after slab, from frame `number` on; gives the next frame's number. */
static uint64_t known_fill(struct store *store, uint8_t dtype, uint64_t number,
                           const uint32_t *rows, uint32_t count)
{
    uint32_t each = store_state(store)->rows_per_slab;
    for (uint32_t at = 0; at < count; at += each) {
        uint32_t n = count - at < each ? count - at : each;
        int result = ERR_AGAIN;
        for (int tries = 0; result == ERR_AGAIN && tries < 8; tries++)
            result = known_put(store, dtype, number, rows + at, n);
        assert_int_equal(result, ERR_OK);
        number++;
    }
    return number;
}

static void known_end(struct store *store)
{
    struct store_state state = *store_state(store);
    state.ended = 1;
    assert_int_equal(store_begin(store), ERR_OK);
    assert_int_equal(store_state_put(store, &state), ERR_OK);
    assert_int_equal(store_commit(store), ERR_OK);
}

#endif
