/*
 * The dense way, for steps in which too many features are active for lists to pay: every product
 * goes to BLAS. Nothing of size (B, F) is kept: blocks of pre-activations are made once for x' and
 * again for the gradients, six products in place of five.
 */
#include "sae/cpu/blas.h"
#include "sae/dictionary.h"

#include <string.h>

/* y = input W_enc^T + b_enc: (n, m), for n rows from `first` and m features from `f`. */
static void pre_activate(const struct dictionary *d, uint32_t first, uint32_t n, uint32_t f,
                         uint32_t m, float *y)
{
    const float *bias = d->w.b_enc + f;
    rows_product(d, first, n, f, m, y);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) y[(size_t)r * m + i] += bias[i];
}

/* f = y where y exceeds the feature's threshold (0 without one), else 0, in place. */
static void activate(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m, float *y)
{
    const float *threshold = d->threshold ? d->threshold + f : NULL;
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) {
            /* NaN passes, so that the step is seen to be not finite */
            if (y[(size_t)r * m + i] <= (threshold ? threshold[i] : 0)) y[(size_t)r * m + i] = 0;
        }
}

/* out += values (n, m) times the directions of m features from f. */
static void reconstruct(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m,
                        const float *values, float *out)
{
    struct blas_matrix directions = {d->w.w_dec + (size_t)f * d->width, (int)d->width, 0};
    blas_sgemm((int)n, (int)d->width, (int)m, 1.0f, (struct blas_matrix){values, (int)m, 0},
               directions, 1.0f, out, (int)d->width);
}

void dense_rows(struct dictionary *d, uint32_t first, uint32_t n, struct scratch *s, float *out,
                float *gate_out, float *f_out)
{
    for (uint32_t r = 0; r < n; r++) {
        memcpy(out + (size_t)r * d->width, d->w.b_dec, d->width * sizeof *out);
        if (gate_out) memcpy(gate_out + (size_t)r * d->width, d->w.b_dec, d->width * sizeof *out);
        d->row_l0[first + r] = d->row_l1[first + r] = d->row_rest[first + r] = 0;
    }
    if (d->w.w_skip) skip_rows(d, first, n, 1, out);
    for (uint32_t f = 0; f < d->features; f += BLOCK_FEATURES) {
        uint32_t m = d->features - f < BLOCK_FEATURES ? d->features - f : BLOCK_FEATURES;
        pre_activate(d, first, n, f, m, s->block);
        if (d->recipe->jumps)
            jumprelu_block(d, first, n, f, m, s->block);
        else if (d->recipe->gates)
            gated_block(d, first, n, f, m, s->block, s->block_three);
        else
            activate(d, n, f, m, s->block);
        reconstruct(d, n, f, m, s->block, out);
        if (gate_out) reconstruct(d, n, f, m, s->block_three, gate_out);
        for (uint32_t r = 0; r < n; r++) {
            const float *row = s->block + (size_t)r * m;
            float l1;
            uint32_t active = 0;
            d->kernels->dots(&l1, row, m, d->norm + f, 0, NULL, 1);
            for (uint32_t i = 0; i < m; i++) active += row[i] > 0;
            d->row_l1[first + r] += l1;
            d->row_l0[first + r] += active;
            if (f_out) memcpy(f_out + (size_t)r * d->features + f, row, m * sizeof *row);
        }
    }
}

/* df = error (n, D) times the directions of m features from f, transposed: (n, m). */
static void decode_back(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m,
                        const float *error, float *df)
{
    int width = (int)d->width;
    struct blas_matrix directions = {d->w.w_dec + (size_t)f * d->width, width, 1};
    blas_sgemm((int)n, (int)m, width, 1.0f, (struct blas_matrix){error, width, 0}, directions, 0.0f,
               df, (int)m);
}

/* df -> gradient of the pre-activation, in place: nothing where f is 0. */
static void gradient_block(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m,
                           const float *value, float *gradient)
{
    float scale = 2.0f / (float)d->rows, penalty = (float)(d->lambda / d->rows);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) {
            size_t at = (size_t)r * m + i;
            gradient[at] = value[at] > 0 ? scale * gradient[at] + penalty * d->norm[f + i] : 0.0f;
        }
}

/* What n rows from `first` add to the gradients of m features from f: of W_dec values (n, m)
 * times `error` (n, D), of W_enc those of the pre-activations times the input. The first rows
 * begin them. */
static void add_gradients(struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                          const struct scratch *s, const float *error)
{
    int width = (int)d->width, width_in = (int)d->width_in;
    float *g_dec = d->g.w_dec + (size_t)f * d->width;
    float *g_enc = d->g.w_enc + (size_t)f * d->width_in;
    float keep = first ? 1.0f : 0.0f;
    struct blas_matrix values = {s->block, (int)m, 1}, gradients = {s->block_two, (int)m, 1};
    struct blas_matrix errors = {error, width, 0};
    struct blas_matrix input = {d->input + (size_t)first * d->input_stride, (int)d->input_stride,
                                0};
    blas_sgemm((int)m, width, (int)n, 2.0f / (float)d->rows, values, errors, keep, g_dec, width);
    blas_sgemm((int)m, width_in, (int)n, 1.0f, gradients, input, keep, g_enc, width_in);
}

static void features_task(void *arg, uint32_t item, uint32_t thread)
{
    struct dictionary *d = arg;
    struct scratch *s = &d->scratch[thread];
    uint32_t f = item * BLOCK_FEATURES;
    uint32_t m = d->features - f < BLOCK_FEATURES ? d->features - f : BLOCK_FEATURES;
    double f_sum[BLOCK_FEATURES] = {0}, bias[BLOCK_FEATURES] = {0};
    uint8_t fired[BLOCK_FEATURES] = {0};
    struct jumprelu_sums sums[BLOCK_FEATURES] = {{0, 0}};
    struct gated_sums gate_sums[BLOCK_FEATURES] = {{0, 0, 0}};
    for (uint32_t first = 0; first < d->rows; first += BLOCK_ROWS) {
        uint32_t n = d->rows - first < BLOCK_ROWS ? d->rows - first : BLOCK_ROWS;
        const float *error = d->error + (size_t)first * d->width;
        pre_activate(d, first, n, f, m, s->block);
        decode_back(d, n, f, m, error, s->block_two);
        if (d->recipe->jumps) {
            jumprelu_gradients(d, n, f, m, s->block, s->block_two, sums);
        } else if (d->recipe->gates) {
            decode_back(d, n, f, m, d->aux_error + (size_t)first * d->width, s->block_three);
            gated_gradients(d, n, f, m, s->block, s->block_two, s->block_three, gate_sums);
        } else {
            activate(d, n, f, m, s->block);
            gradient_block(d, n, f, m, s->block, s->block_two);
        }
        add_gradients(d, first, n, f, m, s, error);
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t i = 0; i < m; i++) {
                float value = s->block[(size_t)r * m + i];
                f_sum[i] += value;
                bias[i] += s->block_two[(size_t)r * m + i];
                fired[i] |= value > 0;
            }
    }
    for (uint32_t i = 0; i < m; i++) {
        d->fired[f + i] = fired[i];
        /* what does not fire moves, too: near a threshold, or where only the gate is open */
        d->touched[f + i] = fired[i] || d->recipe->jumps || d->recipe->gates;
        d->g.b_enc[f + i] = d->input_gradient[f + i] = (float)bias[i];
        d->feature_square[f + i] = 0;
        double by_norm = d->lambda / d->rows * f_sum[i];
        if (d->recipe->jumps) {
            d->g.threshold[f + i] = (float)sums[i].threshold;
            by_norm = sums[i].norm;
        } else if (d->recipe->gates) {
            d->g.b_enc[f + i] = (float)gate_sums[i].b_enc;
            d->g.b_mag[f + i] = (float)gate_sums[i].b_mag;
            d->g.r_mag[f + i] = (float)gate_sums[i].r_mag;
            by_norm = 0;
        }
        if (d->touched[f + i]) gradients_finish_feature(d, f + i, by_norm);
    }
}

void dense_features(struct dictionary *d)
{
    pool_run(d->pool, features_task, d, (d->features + BLOCK_FEATURES - 1) / BLOCK_FEATURES);
}
