/* Adam on every weight: the dense rule, also for features whose gradient is zero this step, whose
 * moments decay and move them still. Torch's sparse variant leaves those alone and is another rule.
 */
#include "sae/dictionary.h"

#include <math.h>

static void adam_row(const struct dictionary *d, const struct adam_rate *rate, size_t offset,
                     size_t n, int touched)
{
    d->kernels->adam(rate, d->w.all + offset, d->m.all + offset, d->v.all + offset,
                     touched ? d->g.all + offset : NULL, n);
}

/* Where in the block of all weights. */
static size_t at(const struct dictionary *d, const float *weights)
{
    return (size_t)(weights - d->w.all);
}

static void skip_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    adam_row(d, &d->rate, at(d, d->w.w_skip) + (size_t)item * d->width_in, d->width_in, 1);
}

static void features_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t begin = item * TASK_FEATURES;
    uint32_t end = begin + TASK_FEATURES < d->features ? begin + TASK_FEATURES : d->features;
    struct adam_rate decoder = d->rate;
    decoder.step *= (float)d->sae->options.decoder_lr_factor;
    for (uint32_t f = begin; f < end; f++) {
        float *w_dec = d->w.w_dec + (size_t)f * d->width, none = 0;
        adam_row(d, &d->rate, at(d, d->w.w_enc) + (size_t)f * d->width_in, d->width_in,
                 d->touched[f]);
        adam_row(d, &decoder, at(d, w_dec), d->width, d->touched[f]);
        dictionary_norm(d, f);
        if (!d->recipe->unit_norm || !(d->norm[f] > 0)) continue;
        d->kernels->combine(w_dec, d->width, w_dec, 1.0f / d->norm[f], w_dec, 0, NULL, &none, 0);
        d->norm[f] = 1.0f;
    }
    adam_row(d, &d->rate, at(d, d->w.b_enc) + begin, end - begin, 1);
    float *others[] = {d->w.threshold, d->w.r_mag, d->w.b_mag};
    for (int i = 0; i < 3; i++)
        if (others[i]) adam_row(d, &d->rate, at(d, others[i]) + begin, end - begin, 1);
    for (uint32_t f = begin; d->w.threshold && f < end; f++)
        d->w.threshold[f] = fmaxf(d->w.threshold[f], 0);
}

void update_weights(struct dictionary *d)
{
    pool_run(d->pool, features_task, d, (d->features + TASK_FEATURES - 1) / TASK_FEATURES);
    adam_row(d, &d->rate, at(d, d->w.b_dec), d->width, 1);
    if (d->w.w_skip) pool_run(d->pool, skip_task, d, d->width);
}
