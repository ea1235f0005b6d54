/*
 * Rows through the encoder and back, and the active features as pairs, by what is learned alone:
 * where each row keeps its largest, by lists; else block by block, against thresholds.
 */
#include "base/err.h"
#include "sae/cpu/encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_lists(const struct encoder *e)
{
    return e->arch->way == WAY_ROWS;
}

static void centre(struct encoder *e, uint32_t first, uint32_t n)
{
    for (uint32_t r = first; e->subtracts && r < first + n; r++)
        e->kernels->subtract(e->centred + (size_t)r * e->width,
                             e->x + (size_t)r * e->row_width + e->target_at, e->w.b_dec, e->width);
}

static void begin(struct encoder *e)
{
    if (by_lists(e)) encode_begin(e);
    row_lists_clear(&e->active);
}

struct forward_job {
    struct encoder *e;
    float *out, *f;
};

static void forward_dense(struct encoder *e, uint32_t first, uint32_t n, uint32_t thread,
                          float *out, float *f_out)
{
    float *block = e->scratch[thread].block;
    for (uint32_t r = 0; r < n; r++) {
        memcpy(out + (size_t)r * e->width, e->w.b_dec, e->width * sizeof *out);
        e->row_l0[first + r] = e->row_l1[first + r] = 0;
    }
    decode_skip(e, first, n, 1, out);
    for (uint32_t f = 0, m; f < e->features; f += m) {
        m = encode_features_of_block(e, f);
        encode_values(e, first, n, f, m, block);
        e->arch->dense->values(e, n, f, m, block);
        decode_values(e, n, f, m, block, out);
        decode_measure_block(e, first, n, f, m, block);
        for (uint32_t r = 0; f_out && r < n; r++)
            memcpy(f_out + (size_t)r * e->features + f, block + (size_t)r * m, m * sizeof *block);
    }
}

static void forward_lists(struct encoder *e, uint32_t first, uint32_t n, uint32_t thread,
                          float *out, float *f)
{
    encode_block(e, first, n, 0, thread);
    if (f) memset(f, 0, (size_t)n * e->features * sizeof *f);
    for (uint32_t r = first; r < first + n; r++) {
        uint32_t start = e->active.start[r], count = e->active.count[r];
        decode_measure_row(e, r);
        decode_row(e, e->active.index + start, e->active.value + start, count,
                   out + (size_t)(r - first) * e->width);
        for (uint32_t j = start; f && j < start + count; j++)
            f[(size_t)(r - first) * e->features + e->active.index[j]] = e->active.value[j];
    }
    decode_skip(e, first, n, 1, out);
}

static void forward_block(void *arg, uint32_t item, uint32_t thread)
{
    struct forward_job *job = arg;
    struct encoder *e = job->e;
    uint32_t first, n = encode_block_of(e, item, &first);
    float *out = job->out + (size_t)first * e->width;
    float *f = job->f ? job->f + (size_t)first * e->features : NULL;
    centre(e, first, n);
    if (by_lists(e))
        forward_lists(e, first, n, thread, out, f);
    else
        forward_dense(e, first, n, thread, out, f);
}

void encoder_forward(struct encoder *e, float *out, float *f)
{
    struct forward_job job = {e, out, f};
    begin(e);
    pool_run(e->pool, forward_block, &job, encode_blocks(e));
}

/* What a block of rows has, in the order in which it was found: of a row ascending. */
struct found {
    uint32_t *row, *feature; /* (room), of the block */
    float *value;
    uint32_t count, room;
    int code;
};

struct pairs_job {
    struct encoder *e;
    struct found *found; /* (blocks) */
};

static int make_room(struct found *to, uint32_t more)
{
    if (to->room - to->count >= more) return ERR_OK;
    uint64_t room = 2ull * to->room + more;
    uint32_t *row = room <= UINT32_MAX ? realloc(to->row, room * sizeof *row) : NULL;
    if (row) to->row = row;
    uint32_t *feature = row ? realloc(to->feature, room * sizeof *feature) : NULL;
    if (feature) to->feature = feature;
    float *value = feature ? realloc(to->value, room * sizeof *value) : NULL;
    if (!value) return to->code = ERR_NOMEM;
    to->value = value;
    to->room = (uint32_t)room;
    return ERR_OK;
}

static void find_dense(struct encoder *e, uint32_t first, uint32_t n, uint32_t thread,
                       struct found *to)
{
    float *block = e->scratch[thread].block;
    for (uint32_t f = 0, m; f < e->features; f += m) {
        m = encode_features_of_block(e, f);
        encode_values(e, first, n, f, m, block);
        e->arch->dense->values(e, n, f, m, block);
        if (make_room(to, n * m)) return;
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t i = 0; i < m; i++) {
                float value = block[(size_t)r * m + i];
                to->row[to->count] = first + r;
                to->feature[to->count] = f + i;
                to->value[to->count] = value;
                to->count += !(value == 0);
            }
    }
}

static void find_block(void *arg, uint32_t item, uint32_t thread)
{
    struct pairs_job *job = arg;
    struct encoder *e = job->e;
    uint32_t first, n = encode_block_of(e, item, &first);
    centre(e, first, n);
    if (by_lists(e))
        encode_block(e, first, n, 0, thread);
    else
        find_dense(e, first, n, thread, &job->found[item]);
}

/* Room for what was found of the rows at hand, behind what there is; the ends of their rows. */
static int lay_out(struct encoder *e, const struct found *found, uint32_t blocks, struct pairs *to)
{
    uint64_t *end = to->start + to->rows + 1, count = to->count;
    memset(end, 0, e->rows * sizeof *end);
    for (uint32_t b = 0; b < blocks; b++) {
        if (found[b].code) return err_set(ERR_NOMEM, "no memory for active features");
        for (uint32_t j = 0; j < found[b].count; j++) end[found[b].row[j]]++;
    }
    for (uint32_t r = 0; r < e->rows; r++) {
        count += by_lists(e) ? e->active.count[r] : end[r];
        end[r] = count;
    }
    uint32_t *feature = realloc(to->feature, (count + 1) * sizeof *feature);
    if (feature) to->feature = feature;
    float *value = feature ? realloc(to->value, (count + 1) * sizeof *value) : NULL;
    if (!value) return err_set(ERR_NOMEM, "no memory for active features");
    to->value = value;
    to->count = count;
    return ERR_OK;
}

static void copy(struct encoder *e, const struct found *found, uint32_t blocks, struct pairs *to)
{
    uint64_t *start = to->start + to->rows;
    for (uint32_t r = 0; by_lists(e) && r < e->rows; r++) {
        uint32_t at = e->active.start[r], count = e->active.count[r];
        memcpy(to->feature + start[r], e->active.index + at, count * sizeof *to->feature);
        memcpy(to->value + start[r], e->active.value + at, count * sizeof *to->value);
    }
    /* Within a row they are in order already, so that each goes behind the row's last. */
    for (uint32_t b = 0; b < blocks; b++)
        for (uint32_t j = 0; j < found[b].count; j++) {
            uint64_t at = start[found[b].row[j]]++;
            to->feature[at] = found[b].feature[j];
            to->value[at] = found[b].value[j];
        }
    /* The starts that were counted up are the next rows' now. */
    for (uint32_t r = e->rows; !by_lists(e) && r-- > 0;) start[r] = r ? start[r - 1] : 0;
}

static int pairs_of_rows(struct encoder *e, struct pairs *to)
{
    uint32_t blocks = encode_blocks(e);
    struct pairs_job job = {e, calloc(blocks, sizeof *job.found)};
    if (!job.found) return err_set(ERR_NOMEM, "no memory for active features");
    uint64_t before = to->count;
    begin(e);
    pool_run(e->pool, find_block, &job, blocks);
    int result = lay_out(e, job.found, blocks, to);
    if (result == ERR_OK) {
        to->start[to->rows] = before;
        copy(e, job.found, blocks, to);
        to->start[to->rows] = before;
        to->rows += e->rows;
    }
    for (uint32_t b = 0; b < blocks; b++) {
        free(job.found[b].row);
        free(job.found[b].feature);
        free(job.found[b].value);
    }
    free(job.found);
    return result;
}

int encoder_pairs(struct encoder *e, const float *x, uint64_t rows, struct pairs *pairs)
{
    int result = ERR_OK;
    *pairs = (struct pairs){.start = calloc(rows + 1, sizeof *pairs->start)};
    if (!pairs->start) return err_set(ERR_NOMEM, "no memory for active features");
    while (pairs->rows < rows && result == ERR_OK) {
        uint64_t left = rows - pairs->rows;
        uint32_t batch = e->options->batch_rows;
        encoder_take(e, x + pairs->rows * e->row_width, left < batch ? (uint32_t)left : batch);
        result = pairs_of_rows(e, pairs);
    }
    if (result != ERR_OK) pairs_free(pairs);
    return result;
}

void pairs_free(struct pairs *pairs)
{
    free(pairs->start);
    free(pairs->feature);
    free(pairs->value);
    *pairs = (struct pairs){0};
}

float pairs_value(const struct pairs *pairs, uint64_t row, uint32_t feature)
{
    for (uint64_t i = pairs->start[row]; i < pairs->start[row + 1]; i++)
        if (pairs->feature[i] == feature) return pairs->value[i];
    return 0;
}

struct decode_job {
    struct encoder *e;
    const struct pairs *pairs;
    uint64_t first;
    float *out;
};

static void decode_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct decode_job *job = arg;
    struct encoder *e = job->e;
    uint32_t first, n = encode_block_of(e, item, &first);
    float *out = job->out + (job->first + first) * e->width;
    for (uint32_t r = 0; r < n; r++) {
        const uint64_t *start = job->pairs->start + job->first + first + r;
        decode_row(e, job->pairs->feature + start[0], job->pairs->value + start[0],
                   start[1] - start[0], out + (size_t)r * e->width);
    }
    decode_skip(e, first, n, 1, out);
}

void encoder_decode(struct encoder *e, const float *x, const struct pairs *pairs, float *out)
{
    struct decode_job job = {e, pairs, 0, out};
    for (; job.first < pairs->rows; job.first += e->rows) {
        uint64_t left = pairs->rows - job.first;
        uint32_t batch = e->options->batch_rows;
        encoder_take(e, x ? x + job.first * e->row_width : NULL,
                     left < batch ? (uint32_t)left : batch);
        pool_run(e->pool, decode_task, &job, encode_blocks(e));
    }
}
