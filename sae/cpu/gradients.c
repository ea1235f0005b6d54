/* Gradients of the weights, feature by feature, and of b_dec, dimension by dimension. */
#include "sae/dictionary.h"

#include <string.h>

/* Whether feature f has pairs; adds their gradient to g (set, where `more` is 0). */
static void add_pairs(struct dictionary *d, const struct feature_lists *lists, uint32_t f,
                      const float *error, int more, double *bias)
{
    uint32_t start = lists->start[f], count = lists->start[f + 1] - start;
    float *g_dec = d->g.w_dec + (size_t)f * d->width;
    float *g_enc = d->g.w_enc + (size_t)f * d->width_in;
    d->kernels->combine(g_dec, d->width, more ? g_dec : NULL, 1.0f, error, d->width,
                        lists->row + start, lists->value + start, count);
    d->kernels->combine(g_enc, d->width_in, more ? g_enc : NULL, 1.0f, d->input, d->input_stride,
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
    uint32_t part = d->width / d->hooks;
    const float *norms = d->recipe->by_hook ? d->hook_norm + (size_t)f * d->hooks : d->norm + f;
    for (uint32_t h = 0; h < d->hooks; h++) {
        size_t at = (size_t)f * d->width + h * part;
        float along = (float)(by_norm / norms[h]);
        if (norms[h] > 0)
            d->kernels->combine(d->g.w_dec + at, part, d->g.w_dec + at, 1.0f, d->w.w_dec + at, 0,
                                NULL, &along, 1);
    }
}

void gradients_finish_feature(struct dictionary *d, uint32_t f, double by_norm)
{
    const float *w_dec = d->w.w_dec + (size_t)f * d->width;
    float *g_dec = d->g.w_dec + (size_t)f * d->width;
    const float *g_enc = d->g.w_enc + (size_t)f * d->width_in;
    float dot, along;
    if (by_norm != 0) add_norm_gradient(d, f, by_norm);
    if (d->recipe->unit_norm) { /* what would only change the norm is taken out */
        d->kernels->dots(&dot, g_dec, d->width, w_dec, 0, NULL, 1);
        along = -dot / (d->norm[f] * d->norm[f]);
        d->kernels->combine(g_dec, d->width, g_dec, 1.0f, w_dec, 0, NULL, &along, 1);
    }
    double square = (double)d->g.b_enc[f] * d->g.b_enc[f];
    const float *others[] = {d->g.threshold, d->g.r_mag, d->g.b_mag};
    for (int i = 0; i < 3; i++)
        if (others[i]) square += (double)others[i][f] * others[i][f];
    d->kernels->dots(&dot, g_dec, d->width, g_dec, 0, NULL, 1);
    square += dot;
    d->kernels->dots(&dot, g_enc, d->width_in, g_enc, 0, NULL, 1);
    d->feature_square[f] = square + dot;
}

/* The errors that feature f answers for, (B, D). */
static const float *error_for(const struct dictionary *d, uint32_t f)
{
    uint32_t level = 0;
    while (f >= d->prefix[level]) level++;
    return d->error + (size_t)level * d->active.rows * d->width;
}

static void features_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t end =
        (item + 1) * TASK_FEATURES < d->features ? (item + 1) * TASK_FEATURES : d->features;
    float scale = 2.0f / (float)d->rows;
    float aux_scale = (float)(2.0 * d->sae->options.aux_coefficient / d->rows);
    for (uint32_t f = item * TASK_FEATURES; f < end; f++) {
        const struct feature_lists *main = &d->by_feature, *aux = &d->aux_by_feature;
        int fired = main->start[f + 1] > main->start[f];
        int helped = d->with_aux && aux->start[f + 1] > aux->start[f];
        double bias = 0, f_sum = 0;
        d->fired[f] = (uint8_t)fired;
        d->touched[f] = (uint8_t)(fired || helped);
        d->g.b_enc[f] = 0;
        d->feature_square[f] = 0;
        if (!d->touched[f]) continue;
        if (fired) {
            f_sum = scale_values(main, f, scale);
            add_pairs(d, main, f, error_for(d, f), 0, &bias);
        }
        if (helped) {
            scale_values(aux, f, aux_scale);
            add_pairs(d, aux, f, d->aux_error, fired, &bias);
        }
        d->g.b_enc[f] = (float)bias;
        gradients_finish_feature(d, f, d->lambda / d->rows * f_sum);
    }
}

/* b_dec: through the decoder the sum of the errors of all levels, and where the encoder sees x -
 * b_dec also -W_enc^T times the gradient of its product. */
static void columns_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t c = item * TASK_COLUMNS;
    uint32_t n = d->width - c < TASK_COLUMNS ? d->width - c : TASK_COLUMNS;
    float *g = d->g.b_dec + c, *sum = d->column_sum + c;
    d->kernels->combine(sum, n, NULL, 0.0f, d->error + c, d->width, NULL, d->ones, d->rows);
    if (d->recipe->centred)
        d->kernels->combine(g, n, NULL, 0.0f, d->w.w_enc + c, d->width, NULL, d->input_gradient,
                            d->features);
    else
        memset(g, 0, n * sizeof *g);
    for (uint32_t i = 0; i < n; i++) g[i] = 2.0f / (float)d->rows * sum[i] - g[i];
    d->kernels->combine(sum, n, NULL, 0.0f, d->centred + c, d->width, NULL, d->ones, d->rows);
}

void gradients_make(struct dictionary *d)
{
    if (d->dense) {
        dense_features(d);
    } else {
        feature_lists_group(&d->by_feature, &d->active, d->rows, d->pool);
        if (d->with_aux) feature_lists_group(&d->aux_by_feature, &d->aux, d->rows, d->pool);
        pool_run(d->pool, features_task, d, (d->features + TASK_FEATURES - 1) / TASK_FEATURES);
    }
    pool_run(d->pool, columns_task, d, (d->width + TASK_COLUMNS - 1) / TASK_COLUMNS);
    if (d->w.w_skip) skip_gradient(d);
}
