/* Gradients of the weights, feature by feature, and of b_dec, dimension by dimension. */
#include "sae/cpu/blas.h"
#include "sae/cpu/train.h"

#include <string.h>

/* Whether feature f has pairs; adds their gradient to g (set, where `more` is 0). */
static void add_pairs(struct dictionary *d, const struct feature_lists *lists, uint32_t f,
                      const float *error, int more, double *bias)
{
    uint32_t start = lists->start[f], count = lists->start[f + 1] - start;
    uint32_t at = encoder_output_at(&d->e, f);
    float *g_dec = d->g.w_dec + (size_t)f * d->e.width + at;
    float *g_enc = d->g.w_enc + (size_t)f * d->e.width_in;
    const float *input = d->e.input + encoder_input_at(&d->e, f);
    d->e.kernels->combine(g_dec, d->e.width - at, more ? g_dec : NULL, 1.0f, error + at, d->e.width,
                          lists->row + start, lists->value + start, count);
    d->e.kernels->combine(g_enc, d->e.width_in, more ? g_enc : NULL, 1.0f, input, d->e.input_stride,
                          lists->row + start, lists->gradient + start, count);
    for (uint32_t j = start; j < start + count; j++) *bias += lists->gradient[j];
}

/* Sum of f, before the values are scaled to be what multiplies the error in the gradient. */
static double scale_values(const struct feature_lists *lists, uint32_t f, float scale)
{
    double sum = 0;
    for (uint32_t j = lists->start[f]; j < lists->start[f + 1]; j++) {
        sum += lists->value[j];
        lists->value[j] *= scale;
    }
    return sum;
}

/* Each part of a direction lengthens the norm along itself. */
static void add_norm_gradient(struct dictionary *d, uint32_t f, double by_norm)
{
    uint32_t part = d->e.width / d->e.hooks;
    const float *norms =
        d->e.arch->by_hook ? d->e.hook_norm + (size_t)f * d->e.hooks : d->e.norm + f;
    for (uint32_t h = 0; h < d->e.hooks; h++) {
        size_t at = (size_t)f * d->e.width + h * part;
        float along = (float)(by_norm / norms[h]);
        if (norms[h] > 0)
            d->e.kernels->combine(d->g.w_dec + at, part, d->g.w_dec + at, 1.0f, d->e.w.w_dec + at,
                                  0, NULL, &along, 1);
    }
}

void gradients_finish_feature(struct dictionary *d, uint32_t f, double by_norm)
{
    const float *w_dec = d->e.w.w_dec + (size_t)f * d->e.width;
    float *g_dec = d->g.w_dec + (size_t)f * d->e.width;
    const float *g_enc = d->g.w_enc + (size_t)f * d->e.width_in;
    float dot, along;
    memset(g_dec, 0, encoder_output_at(&d->e, f) * sizeof *g_dec); /* it writes nothing there */
    if (by_norm != 0) add_norm_gradient(d, f, by_norm);
    if (d->e.arch->unit_norm) { /* what would only change the norm is taken out */
        d->e.kernels->dots(&dot, g_dec, d->e.width, w_dec, 0, NULL, 1);
        along = -dot / (d->e.norm[f] * d->e.norm[f]);
        d->e.kernels->combine(g_dec, d->e.width, g_dec, 1.0f, w_dec, 0, NULL, &along, 1);
    }
    double square = 0;
    for (const struct tensor *t = d->e.arch->tensors; t->name; t++) {
        const float *own = tensor_of(t, &d->g);
        if (t->shape == TENSOR_F) square += (double)own[f] * own[f];
    }
    d->e.kernels->dots(&dot, g_dec, d->e.width, g_dec, 0, NULL, 1);
    square += dot;
    d->e.kernels->dots(&dot, g_enc, d->e.width_in, g_enc, 0, NULL, 1);
    d->feature_square[f] = square + dot;
}

/* The errors that feature f answers for, (B, D). */
static const float *error_for(const struct dictionary *d, uint32_t f)
{
    uint32_t level = 0;
    while (f >= d->prefix[level]) level++;
    return d->error + (size_t)level * d->e.active.rows * d->e.width;
}

static void features_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t end =
        (item + 1) * TASK_FEATURES < d->e.features ? (item + 1) * TASK_FEATURES : d->e.features;
    float scale = 2.0f / (float)d->e.rows;
    float aux_scale = (float)(2.0 * d->e.options->aux_coefficient / d->e.rows);
    for (uint32_t f = item * TASK_FEATURES; f < end; f++) {
        const struct feature_lists *main = &d->by_feature, *aux = &d->aux_by_feature;
        uint32_t fired = main->start[f + 1] - main->start[f];
        int helped = d->with_aux && aux->start[f + 1] > aux->start[f];
        double bias = 0, f_sum = 0;
        d->fired[f] = fired;
        d->touched[f] = (uint8_t)(fired > 0 || helped);
        d->g.b_enc[f] = 0;
        d->feature_square[f] = 0;
        if (!d->touched[f]) continue;
        if (fired) {
            f_sum = scale_values(main, f, scale);
            add_pairs(d, main, f, error_for(d, f), 0, &bias);
        }
        if (helped) {
            scale_values(aux, f, aux_scale);
            add_pairs(d, aux, f, d->aux_error, fired > 0, &bias);
        }
        d->g.b_enc[f] = (float)bias;
        gradients_finish_feature(d, f, d->lambda / d->e.rows * f_sum);
    }
}

/* b_dec: through the decoder the sum of the errors of all levels, and where the encoder sees x -
 * b_dec also -W_enc^T times the gradient of its product. */
static void columns_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t c = item * TASK_COLUMNS;
    uint32_t n = d->e.width - c < TASK_COLUMNS ? d->e.width - c : TASK_COLUMNS;
    float *g = d->g.b_dec + c, *sum = d->column_sum + c;
    d->e.kernels->combine(sum, n, NULL, 0.0f, d->error + c, d->e.width, NULL, d->ones, d->e.rows);
    if (d->e.subtracts)
        d->e.kernels->combine(g, n, NULL, 0.0f, d->e.w.w_enc + c, d->e.width, NULL,
                              d->input_gradient, d->e.features);
    else
        memset(g, 0, n * sizeof *g);
    for (uint32_t i = 0; i < n; i++) g[i] = 2.0f / (float)d->e.rows * sum[i] - g[i];
    d->e.kernels->combine(sum, n, NULL, 0.0f, d->e.centred + c, d->e.width, NULL, d->ones,
                          d->e.rows);
}

/* W_skip: from the errors of all rows; and skip_square. */
static void skip_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t c = item * TASK_COLUMNS;
    uint32_t n = d->e.width - c < TASK_COLUMNS ? d->e.width - c : TASK_COLUMNS;
    float *g = d->g.w_skip + (size_t)c * d->e.width_in, square;
    blas_sgemm((int)n, (int)d->e.width_in, (int)d->e.rows, 2.0f / (float)d->e.rows,
               (struct blas_matrix){d->error + c, (int)d->e.width, 1},
               (struct blas_matrix){d->e.input, (int)d->e.input_stride, 0}, 0.0f, g,
               (int)d->e.width_in);
    for (uint32_t i = 0; i < n; i++) {
        d->e.kernels->dots(&square, g + (size_t)i * d->e.width_in, d->e.width_in,
                           g + (size_t)i * d->e.width_in, 0, NULL, 1);
        d->skip_square[c + i] = square;
    }
}

static void skip_gradient(struct dictionary *d)
{
    pool_run(d->e.pool, skip_task, d, (d->e.width + TASK_COLUMNS - 1) / TASK_COLUMNS);
}

void gradients_features(struct dictionary *d)
{
    feature_lists_group(&d->by_feature, &d->e.active, d->e.rows, d->e.pool);
    if (d->with_aux) feature_lists_group(&d->aux_by_feature, &d->aux, d->e.rows, d->e.pool);
    pool_run(d->e.pool, features_task, d, (d->e.features + TASK_FEATURES - 1) / TASK_FEATURES);
}

void gradients_columns(struct dictionary *d)
{
    pool_run(d->e.pool, columns_task, d, (d->e.width + TASK_COLUMNS - 1) / TASK_COLUMNS);
    if (d->g.w_skip) skip_gradient(d);
}
