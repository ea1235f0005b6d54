/*
 * The draw alone: rows/s out of a full buffer, and how well a batch is mixed.
 *
 *   bench_draw [SIZE_MIB [WIDTH [BATCH_ROWS [BATCHES]]]]     (2048 576 4096 500)
 *
 * Fills a buffer of bf16 rows in sequences of 511 (in a new folder under $TMPDIR), then draws.
 * Prints "draw_rows_per_second=R first_seconds=S entropy_ratio=E pair_ratio=P sequences=N" on
 * stdout: first_seconds is the time of the batches in which each slab's checksum is read for the
 * first time, and is left out of the rate; E and P are entropy and same-sequence pairs of a batch
 * over the ideal's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fileio.h"
#include "base/rng.h"
#include "buffer/draw.h"

enum { SEQUENCE_ROWS = 511, SLABS_A_COMMIT = 16, FIRST_BATCHES = 32 };

static void fill_raw(char *raw, const struct slab_header *h, uint64_t first_row)
{
    for (uint32_t i = 0; i < h->rows; i++) {
        struct row_id id = {(first_row + i) / SEQUENCE_ROWS,
                            (uint32_t)(first_row + i) % SEQUENCE_ROWS, i};
        memcpy(raw + i * sizeof id, &id, sizeof id);
    }
    uint16_t *values = (uint16_t *)(void *)(raw + h->rows * sizeof(struct row_id));
    for (size_t i = 0; i < (size_t)h->rows * h->width; i++)
        values[i] = (uint16_t)(0x3f80 + (i * 2654435761u >> 25));
}

static int put_slabs(struct store *store, const struct store_options *o, uint64_t from, uint64_t to)
{
    int result = store_begin(store);
    for (uint64_t number = from; result == ERR_OK && number < to; number++) {
        uint32_t rows = store_state(store)->rows_per_slab;
        void *raw;
        struct slab_header h = {.number = number, .epoch = 1, .rows = rows, .width = o->width};
        h.dtype = o->dtype;
        h.raw_bytes = (uint32_t)frame_raw_bytes(rows, o->width, o->dtype);
        char *frame = malloc(h.raw_bytes);
        if (!frame) return err_set(ERR_NOMEM, "no memory for a frame");
        fill_raw(frame, &h, (number - 1) * rows);
        h.raw_hash = XXH3_64bits(frame, h.raw_bytes);
        result = store_put(store, &h, &raw);
        if (result == ERR_OK) memcpy(raw, frame, h.raw_bytes);
        free(frame);
    }
    if (result == ERR_OK) return store_commit(store);
    store_abort(store);
    return result;
}

static int fill(const struct store_options *o)
{
    struct store *store;
    int result = store_open(o, &store);
    if (result != ERR_OK) return result;
    result = store_descriptor_put(store, "{}", 2);
    uint64_t slabs = store_capacity(store);
    for (uint64_t n = 1; result == ERR_OK && n <= slabs; n += SLABS_A_COMMIT) {
        uint64_t to = n + SLABS_A_COMMIT;
        result = put_slabs(store, o, n, to < slabs + 1 ? to : slabs + 1);
    }
    store_close(store);
    return result;
}

static int measure(struct draw *draw, const struct draw_options *o, int batches)
{
    struct draw_batch b = {0};
    b.values = malloc((size_t)o->batch_rows * draw_width(draw) * sizeof *b.values);
    b.ids = malloc(o->batch_rows * sizeof *b.ids);
    if (!b.values || !b.ids) return err_set(ERR_NOMEM, "no memory for a batch");
    double began = clock_seconds(CLOCK_MONOTONIC), first = 0, entropy = 0, pairs = 0;
    uint64_t rows = 0;
    int result = ERR_OK;
    for (int i = 0; result == ERR_OK && i < FIRST_BATCHES + batches; i++) {
        if (i == FIRST_BATCHES) first = clock_seconds(CLOCK_MONOTONIC) - began;
        b.rows = o->batch_rows;
        result = draw_next(draw, &b);
        if (result != ERR_OK || i < FIRST_BATCHES) continue;
        rows += b.rows;
        entropy += b.entropy / b.ideal_entropy;
        pairs += b.same_sequence_pairs / b.ideal_same_sequence_pairs;
    }
    double seconds = clock_seconds(CLOCK_MONOTONIC) - began - first;
    struct draw_gauges g = draw_gauges(draw);
    if (result == ERR_OK)
        printf("draw_rows_per_second=%.0f first_seconds=%.3f entropy_ratio=%.4f pair_ratio=%.4f "
               "sequences=%llu\n",
               (double)rows / seconds, first, entropy / batches, pairs / batches,
               (unsigned long long)(g.capacity_rows / SEQUENCE_ROWS));
    free(b.values);
    free(b.ids);
    return result;
}

int main(int argc, char **argv)
{
    uint64_t size_mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 2048;
    uint32_t width = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 576;
    uint32_t batch_rows = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 4096;
    int batches = argc > 4 ? atoi(argv[4]) : 500;
    char folder[4096];
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/bench-draw-XXXXXX", root ? root : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        return 1;
    }
    struct store_options store = {.dir = folder,
                                  .stream = "bench",
                                  .size_bytes = size_mib << 20,
                                  .width = width,
                                  .dtype = DTYPE_BF16,
                                  .durability = DURABILITY_PROCESS};
    struct draw_options o = {.dir = folder,
                             .stream = "bench",
                             .consumer = "bench",
                             .reuse = 1000,
                             .batch_rows = batch_rows,
                             .seed = 1,
                             .shuffle = 1};
    struct draw *draw = NULL;
    int result = fill(&store);
    if (result == ERR_OK) result = draw_open(&o, &draw);
    if (result == ERR_OK) result = measure(draw, &o, batches);
    if (result != ERR_OK) fprintf(stderr, "bench_draw: %s: %s\n", err_str(result), err_text());
    draw_close(draw);
    dir_remove(folder);
    return err_exit_code(result);
}
