/* Adam on every weight: the dense rule, also for features whose gradient is zero this step, whose
 * moments decay and move them still. Torch's sparse variant leaves those alone and is another rule.
 */
#include "sae/dictionary.h"

#include <math.h>

static void adam_row(struct dictionary *d, size_t offset, size_t n, int touched)
{
    d->kernels->adam(&d->rate, d->w.all + offset, d->m.all + offset, d->v.all + offset,
                     touched ? d->g.all + offset : NULL, n);
}

static void features_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t begin = item * TASK_FEATURES;
    uint32_t end = begin + TASK_FEATURES < d->features ? begin + TASK_FEATURES : d->features;
    for (uint32_t f = begin; f < end; f++) {
        size_t row = (size_t)f * d->width;
        float *w_dec = d->w.w_dec + row, square;
        adam_row(d, (size_t)(d->w.w_enc - d->w.all) + row, d->width, d->touched[f]);
        adam_row(d, (size_t)(d->w.w_dec - d->w.all) + row, d->width, d->touched[f]);
        d->kernels->dots(&square, w_dec, d->width, w_dec, 0, NULL, 1);
        d->norm[f] = sqrtf(square);
        if (!d->recipe->unit_norm || !(d->norm[f] > 0)) continue;
        d->kernels->combine(w_dec, d->width, w_dec, 1.0f / d->norm[f], w_dec, 0, NULL, &square, 0);
        d->norm[f] = 1.0f;
    }
    adam_row(d, (size_t)(d->w.b_enc - d->w.all) + begin, end - begin, 1);
    float *others[] = {d->w.threshold, d->w.r_mag, d->w.b_mag};
    for (int i = 0; i < 3; i++)
        if (others[i]) adam_row(d, (size_t)(others[i] - d->w.all) + begin, end - begin, 1);
    for (uint32_t f = begin; d->w.threshold && f < end; f++)
        d->w.threshold[f] = fmaxf(d->w.threshold[f], 0);
}

void update_weights(struct dictionary *d)
{
    pool_run(d->pool, features_task, d, (d->features + TASK_FEATURES - 1) / TASK_FEATURES);
    adam_row(d, (size_t)(d->w.b_dec - d->w.all), d->width, 1);
}
