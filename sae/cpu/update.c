/* Adam on every weight: the dense rule, also for features whose gradient is zero this step, whose
 * moments decay and move them still. Torch's sparse variant leaves those alone and is another
 * rule. */
#include "sae/cpu/train.h"

#include <math.h>

/* n weights of a tensor from `at` on; without a gradient where they are not touched. */
static void adam(const struct dictionary *d, const struct tensor *t, size_t at, size_t n,
                 int touched)
{
    struct adam_rate rate = d->rate;
    size_t place = (size_t)(tensor_of(t, &d->e.w) - d->e.w.all) + at;
    if (t->rate == TENSOR_RATE_DECODER) rate.step *= (float)d->e.options->decoder_lr_factor;
    if (t->rate == TENSOR_RATE_THRESHOLD && d->e.options->target_l0 > 0)
        rate.step *= TARGET_THRESHOLD_RATE;
    d->e.kernels->adam(&rate, d->e.w.all + place, d->m.all + place, d->v.all + place,
                       touched ? d->g.all + place : NULL, n);
}

/* Feature f's direction has norm 1 again, where it is to keep it. */
static void renorm(struct dictionary *d, uint32_t f)
{
    struct encoder *e = &d->e;
    float *w_dec = e->w.w_dec + (size_t)f * e->width, none = 0;
    encoder_norm(e, f);
    if (!e->arch->unit_norm || !(e->norm[f] > 0)) return;
    e->kernels->combine(w_dec, e->width, w_dec, 1.0f / e->norm[f], w_dec, 0, NULL, &none, 0);
    e->norm[f] = 1.0f;
}

/* A vector's entries of features [begin, end). */
static void vector(struct dictionary *d, const struct tensor *t, uint32_t begin, uint32_t end)
{
    float *w = tensor_of(t, &d->e.w);
    adam(d, t, begin, end - begin, 1);
    for (uint32_t f = begin; t->keeps_positive && f < end; f++) w[f] = fmaxf(w[f], 0);
}

static void features_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    const struct tensor *tensors = d->e.arch->tensors;
    uint32_t begin = item * TASK_FEATURES, features = d->e.features;
    uint32_t end = begin + TASK_FEATURES < features ? begin + TASK_FEATURES : features;
    for (uint32_t f = begin; f < end; f++) {
        for (const struct tensor *t = tensors; t->name; t++) {
            if (t->shape != TENSOR_F_IN && t->shape != TENSOR_F_OUT) continue;
            uint32_t n = tensor_columns(t, d->e.options);
            adam(d, t, (size_t)f * n, n, d->touched[f]);
        }
        renorm(d, f);
    }
    for (const struct tensor *t = tensors; t->name; t++)
        if (t->shape == TENSOR_F) vector(d, t, begin, end);
}

struct skip_job {
    struct dictionary *d;
    const struct tensor *tensor;
};

static void skip_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct skip_job *job = arg;
    uint32_t n = tensor_columns(job->tensor, job->d->e.options);
    adam(job->d, job->tensor, (size_t)item * n, n, 1);
}

void update_weights(struct dictionary *d)
{
    pool_run(d->e.pool, features_task, d, (d->e.features + TASK_FEATURES - 1) / TASK_FEATURES);
    for (const struct tensor *t = d->e.arch->tensors; t->name; t++) {
        struct skip_job job = {d, t};
        uint32_t rows = tensor_rows(t, d->e.options);
        if (t->shape == TENSOR_OUT) adam(d, t, 0, rows, 1);
        if (t->shape == TENSOR_OUT_IN && rows) pool_run(d->e.pool, skip_task, &job, rows);
    }
}
