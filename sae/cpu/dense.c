/*
 * The dense way, for steps in which too many features are active for lists to pay: every product
 * goes to BLAS. Nothing of size (B, F) is kept: blocks of pre-activations are made once for x' and
 * again for the gradients, six products in place of five.
 */
#include "sae/cpu/blas.h"
#include "sae/cpu/encode.h"
#include "sae/cpu/train.h"

#include <string.h>

/* f of a block: n rows from `first` and m features from f. */
static void activate(struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                     float *y, float *second)
{
    const struct arch_dense *dense = d->e.arch->dense;
    encode_values(&d->e, first, n, f, m, y);
    if (dense->train)
        dense->train(d, first, n, f, m, y, second);
    else
        dense->values(&d->e, n, f, m, y);
}

/* x' of n rows from `first` into out (n, D), of the second values into second_out, or NULL. */
static void reconstruct(struct dictionary *d, uint32_t first, uint32_t n, uint32_t thread,
                        float *out, float *second_out)
{
    struct encoder *e = &d->e;
    float *block = e->scratch[thread].block, *second = d->scratch[thread].block_three;
    for (uint32_t r = 0; r < n; r++) {
        memcpy(out + (size_t)r * e->width, e->w.b_dec, e->width * sizeof *out);
        if (second_out)
            memcpy(second_out + (size_t)r * e->width, e->w.b_dec, e->width * sizeof *out);
        e->row_l0[first + r] = e->row_l1[first + r] = 0;
        d->row_rest[first + r] = rows_unseen(d, first + r);
    }
    decode_skip(e, first, n, 1, out);
    for (uint32_t f = 0, m; f < e->features; f += m) {
        m = encode_features_of_block(e, f);
        activate(d, first, n, f, m, block, second);
        decode_values(e, n, f, m, block, out);
        if (second_out) decode_values(e, n, f, m, second, second_out);
        decode_measure_block(e, first, n, f, m, block);
    }
}

/* x' of a row becomes x' - x; its square. */
static double finish_error(struct dictionary *d, float *out, uint32_t r)
{
    const struct encoder *e = &d->e;
    float *error = out + (size_t)r * e->width, square;
    e->kernels->subtract(error, error, e->x + (size_t)r * e->row_width + e->target_at, e->width);
    e->kernels->dots(&square, error, e->width, error, 0, NULL, 1);
    return square;
}

static void rows_task(void *arg, uint32_t item, uint32_t thread)
{
    struct dictionary *d = arg;
    uint32_t first, n = encode_block_of(&d->e, item, &first);
    size_t at = (size_t)first * d->e.width;
    float *second = d->second_error;
    rows_centre_block(d, first, n);
    reconstruct(d, first, n, thread, d->error + at, second ? second + at : NULL);
    for (uint32_t r = first; r < first + n; r++) {
        d->row_error[r] = finish_error(d, d->error, r);
        if (second) d->row_rest[r] += finish_error(d, second, r);
    }
}

void dense_train(struct dictionary *d)
{
    pool_run(d->e.pool, rows_task, d, encode_blocks(&d->e));
}

/* df = error (n, D) times the directions of m features from f, transposed: (n, m). */
static void decode_back(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m,
                        const float *error, float *df)
{
    int width = (int)d->e.width, at = (int)encoder_output_at(&d->e, f);
    struct blas_matrix directions = {d->e.w.w_dec + (size_t)f * d->e.width + at, width, 1};
    blas_sgemm((int)n, (int)m, width - at, 1.0f, (struct blas_matrix){error + at, width, 0},
               directions, 0.0f, df, (int)m);
}

/* What n rows from `first` add to the gradients of m features from f: of W_dec values (n, m)
 * times `error` (n, D), of W_enc those of the pre-activations times the input. The first rows
 * begin them. */
static void add_gradients(struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                          uint32_t thread, const float *error)
{
    int width = (int)d->e.width, width_in = (int)d->e.width_in;
    int at = (int)encoder_output_at(&d->e, f);
    float *g_dec = d->g.w_dec + (size_t)f * d->e.width + at;
    float *g_enc = d->g.w_enc + (size_t)f * d->e.width_in;
    float keep = first ? 1.0f : 0.0f;
    struct blas_matrix values = {d->e.scratch[thread].block, (int)m, 1};
    struct blas_matrix gradients = {d->scratch[thread].block_two, (int)m, 1};
    struct blas_matrix errors = {error + at, width, 0};
    struct blas_matrix input = {d->e.input + (size_t)first * d->e.input_stride +
                                    encoder_input_at(&d->e, f),
                                (int)d->e.input_stride, 0};
    blas_sgemm((int)m, width - at, (int)n, 2.0f / (float)d->e.rows, values, errors, keep, g_dec,
               width);
    blas_sgemm((int)m, width_in, (int)n, 1.0f, gradients, input, keep, g_enc, width_in);
}

static void features_task(void *arg, uint32_t item, uint32_t thread)
{
    struct dictionary *d = arg;
    const struct arch_dense *dense = d->e.arch->dense;
    float *y = d->e.scratch[thread].block, *df = d->scratch[thread].block_two;
    float *second = d->scratch[thread].block_three;
    uint32_t f = encode_feature_block(&d->e, item), m = encode_features_of_block(&d->e, f);
    double f_sum[BLOCK_FEATURES] = {0}, bias[BLOCK_FEATURES] = {0};
    uint32_t fired[BLOCK_FEATURES] = {0};
    struct arch_sums sums[BLOCK_FEATURES] = {{0}};
    for (uint32_t first = 0; first < d->e.rows; first += BLOCK_ROWS) {
        uint32_t n = d->e.rows - first < BLOCK_ROWS ? d->e.rows - first : BLOCK_ROWS;
        size_t at = (size_t)first * d->e.width;
        encode_values(&d->e, first, n, f, m, y);
        decode_back(d, n, f, m, d->error + at, df);
        if (d->second_error) decode_back(d, n, f, m, d->second_error + at, second);
        dense->gradients(d, n, f, m, y, df, second, sums);
        add_gradients(d, first, n, f, m, thread, d->error + at);
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t i = 0; i < m; i++) {
                float value = y[(size_t)r * m + i];
                f_sum[i] += value;
                bias[i] += df[(size_t)r * m + i];
                fired[i] += value > 0;
            }
    }
    for (uint32_t i = 0; i < m; i++) {
        d->fired[f + i] = fired[i];
        d->touched[f + i] = fired[i] > 0 || dense->silent_learn;
        d->g.b_enc[f + i] = d->input_gradient[f + i] = (float)bias[i];
        d->feature_square[f + i] = 0;
        double by_norm = dense->finish(d, f + i, &sums[i], f_sum[i]);
        if (d->touched[f + i]) gradients_finish_feature(d, f + i, by_norm);
    }
}

void dense_features(struct dictionary *d)
{
    pool_run(d->e.pool, features_task, d, encode_feature_blocks(&d->e));
}
