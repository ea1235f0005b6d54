/*
 * What the wire costs: bytes per row, raw and packed, and GB/s (of raw bytes, one thread) of laying
 * rows out, sealing, checking with unpacking, and reading rows back, for each dtype and codec; and
 * what the dtype keeps of the rows (FVE of the rows read back against those that went in).
 *
 *   bench_wire                        synthetic rows: normal values about a mean for each dimension
 *   bench_wire FOLDER                 rows of tests/interop/rows_driver
 *
 * Frames are cut as a 256 KiB slab would cut them. What the dtype costs in training: bench_dtype.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "proto/frame.h"
#include "proto/rows.h"
#include "tests/bench/real_rows.h"

enum { SLAB_PAYLOAD_BYTES = 256 * 1024 - 16 - 128, SYNTHETIC_WIDTH = 576, SYNTHETIC_ROWS = 8960 };
static const double seconds_each = 0.4;

struct frames { /* one buffer a stage, frame after frame */
    uint32_t count, rows;
    size_t raw_bytes; /* of a frame */
    struct frame_header *header;
    uint8_t *raw, *packed, *unpacked, *scratch;
    float *row;
};

static void *need(void *p)
{
    if (!p) {
        fprintf(stderr, "bench_wire: out of memory\n");
        exit(1);
    }
    return p;
}

static void make_ids(struct rows *rows)
{
    struct rng rng;
    rng_seed(&rng, 2);
    rows->ids = need(malloc(rows->count * sizeof *rows->ids));
    for (uint32_t r = 0; r < rows->count; r++)
        rows->ids[r] = (struct row_id){r / 511, 1 + r % 511, (uint32_t)rng_below(&rng, 49152)};
}

static void synthetic_rows(struct rows *rows)
{
    struct rng rng;
    rng_seed(&rng, 1);
    rows->width = SYNTHETIC_WIDTH;
    rows->count = SYNTHETIC_ROWS;
    rows->values = need(malloc((size_t)rows->count * rows->width * sizeof(float)));
    double mean[SYNTHETIC_WIDTH], deviation[SYNTHETIC_WIDTH];
    for (uint32_t d = 0; d < rows->width; d++) {
        mean[d] = rng_normal(&rng);
        deviation[d] = exp(rng_normal(&rng));
    }
    for (uint32_t r = 0; r < rows->count; r++)
        for (uint32_t d = 0; d < rows->width; d++)
            rows->values[(size_t)r * rows->width + d] =
                (float)(mean[d] + deviation[d] * rng_normal(&rng));
    make_ids(rows);
}

static void frames_cut(struct frames *f, const struct rows *rows, uint8_t dtype, uint8_t codec)
{
    f->rows = frame_rows_within(SLAB_PAYLOAD_BYTES, rows->width, dtype);
    f->count = f->rows ? rows->count / f->rows : 0;
    if (f->count == 0) {
        fprintf(stderr, "bench_wire: fewer rows than one frame takes\n");
        exit(2);
    }
    f->raw_bytes = frame_raw_bytes(f->rows, rows->width, dtype);
    f->header = need(calloc(f->count, sizeof *f->header));
    f->raw = need(malloc(f->count * f->raw_bytes));
    f->packed = need(malloc(f->count * frame_packed_bound(f->raw_bytes)));
    f->unpacked = need(malloc(f->raw_bytes));
    f->scratch = need(malloc(frame_scratch_bytes(f->raw_bytes)));
    f->row = need(malloc(rows->width * sizeof(float)));
    for (uint32_t i = 0; i < f->count; i++)
        f->header[i] = (struct frame_header){
            .number = i + 1, .rows = f->rows, .width = rows->width, .dtype = dtype, .codec = codec};
}

static void frames_free(struct frames *f)
{
    free(f->header);
    free(f->raw);
    free(f->packed);
    free(f->unpacked);
    free(f->scratch);
    free(f->row);
}

static void lay_out(struct frames *f, const struct rows *rows, uint32_t i)
{
    size_t first = (size_t)i * f->rows;
    rows_to_raw(f->header[i].dtype, f->rows, rows->width, rows->ids + first,
                rows->values + first * rows->width, f->raw + i * f->raw_bytes);
}

static void seal(struct frames *f, const struct rows *rows, uint32_t i)
{
    (void)rows;
    frame_seal(&f->header[i], f->raw + i * f->raw_bytes, f->packed + i * f->raw_bytes, f->scratch);
}

static void unpack(struct frames *f, const struct rows *rows, uint32_t i)
{
    (void)rows;
    const struct frame_header *h = &f->header[i];
    const uint8_t *payload = f->packed + i * f->raw_bytes;
    if (frame_check_payload(h, payload, h->packed_bytes) ||
        frame_unpack(h, payload, f->unpacked, f->scratch)) {
        fprintf(stderr, "bench_wire: %s\n", err_text());
        exit(1);
    }
}

static void read_back(struct frames *f, const struct rows *rows, uint32_t i)
{
    for (uint32_t r = 0; r < f->rows; r++)
        rows_values(f->header[i].dtype, f->rows, rows->width, f->raw + i * f->raw_bytes, r, f->row);
}

/* GB/s of raw bytes of one stage: best pass over all frames, for a while. */
static double rate(struct frames *f, const struct rows *rows,
                   void (*stage)(struct frames *, const struct rows *, uint32_t))
{
    double best = 1e9, start = clock_seconds(CLOCK_MONOTONIC);
    do {
        double begin = clock_seconds(CLOCK_MONOTONIC);
        for (uint32_t i = 0; i < f->count; i++) stage(f, rows, i);
        double took = clock_seconds(CLOCK_MONOTONIC) - begin;
        if (took < best) best = took;
    } while (clock_seconds(CLOCK_MONOTONIC) - start < seconds_each);
    return (double)f->count * (double)f->raw_bytes / best / 1e9;
}

/* FVE of the rows as they come back, means per dimension (FVE = 1 - E|x-x'|^2 / E|x-E[x]|^2). */
static double kept(struct frames *f, const struct rows *rows)
{
    uint32_t count = f->count * f->rows, width = rows->width;
    double *mean = need(calloc(width, sizeof *mean));
    double error = 0, spread = 0;
    for (uint32_t r = 0; r < count; r++)
        for (uint32_t d = 0; d < width; d++)
            mean[d] += (double)rows->values[(size_t)r * width + d] / count;
    for (uint32_t r = 0; r < count; r++) {
        rows_values(f->header[0].dtype, f->rows, width, f->raw + r / f->rows * f->raw_bytes,
                    r % f->rows, f->row);
        for (uint32_t d = 0; d < width; d++) {
            double x = (double)rows->values[(size_t)r * width + d];
            error += (x - (double)f->row[d]) * (x - (double)f->row[d]);
            spread += (x - mean[d]) * (x - mean[d]);
        }
    }
    free(mean);
    return 1 - error / spread;
}

static void measure(const struct rows *rows, const char *name, uint8_t dtype, uint8_t codec)
{
    struct frames f;
    frames_cut(&f, rows, dtype, codec);
    double to_raw = rate(&f, rows, lay_out), sealed = rate(&f, rows, seal);
    double unpacked = rate(&f, rows, unpack), from_raw = rate(&f, rows, read_back);
    size_t packed = 0;
    for (uint32_t i = 0; i < f.count; i++) packed += f.header[i].packed_bytes;
    double all_rows = (double)f.count * f.rows;
    printf("| %-4s | %-4s | %8.1f | %8.1f | %5.3f | %6.2f | %6.2f | %6.2f | %6.2f | %.7f |\n", name,
           codec == CODEC_LZ4 ? "lz4" : "none", (double)f.raw_bytes / f.rows,
           (double)packed / all_rows, (double)f.count * (double)f.raw_bytes / (double)packed,
           to_raw, sealed, unpacked, from_raw, kept(&f, rows));
    frames_free(&f);
}

int main(int argc, char **argv)
{
    struct rows rows;
    if (argc > 2) {
        fprintf(stderr, "usage: bench_wire [FOLDER]\n");
        return 2;
    }
    if (argc == 1)
        synthetic_rows(&rows);
    else if (real_rows_read(argv[1], &rows)) {
        fprintf(stderr, "bench_wire: %s\n", err_text());
        return 1;
    }
    printf("%s rows, %u of width %u; GB/s of raw bytes, one thread\n\n",
           argc == 2 ? "real" : "synthetic", rows.count, rows.width);
    printf("| dtype | codec | raw B/row | packed B/row | ratio | lay out | seal | check+unpack |"
           " read back | FVE kept |\n|---|---|---|---|---|---|---|---|---|---|\n");
    static const struct {
        const char *name;
        uint8_t dtype;
    } dtypes[] = {{"f32", DTYPE_F32}, {"bf16", DTYPE_BF16}, {"int8", DTYPE_INT8}};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        for (uint8_t codec = CODEC_NONE; codec <= CODEC_LZ4; codec++)
            measure(&rows, dtypes[i].name, dtypes[i].dtype, codec);
    free(rows.values);
    free(rows.ids);
    return 0;
}
