/* A ReLU, or a threshold that isn't learned from gradients, and the penalty lambda f ||W_dec||. */
#include "sae/arch/shared.h"
#include "sae/dictionary.h"

void relu_values(const struct encoder *e, uint32_t n, uint32_t f, uint32_t m, float *y)
{
    const float *threshold = e->threshold ? e->threshold + f : NULL;
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) {
            /* NaN passes, so that the step is seen to be not finite */
            if (y[(size_t)r * m + i] <= (threshold ? threshold[i] : 0)) y[(size_t)r * m + i] = 0;
        }
}

/* Nothing where f is 0. */
static void gradients(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m, float *y,
                      float *df, const float *second, struct arch_sums *sums)
{
    (void)second;
    (void)sums;
    float scale = 2.0f / (float)d->e.rows, penalty = (float)(d->lambda / d->e.rows);
    const float *norm = d->e.norm + f;
    relu_values(&d->e, n, f, m, y);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) {
            size_t at = (size_t)r * m + i;
            df[at] = y[at] > 0 ? scale * df[at] + penalty * norm[i] : 0.0f;
        }
}

static double finish(struct dictionary *d, uint32_t f, const struct arch_sums *sums, double f_sum)
{
    (void)f;
    (void)sums;
    return d->lambda / d->e.rows * f_sum;
}

const struct arch_dense relu_dense = {
    .values = relu_values, .gradients = gradients, .finish = finish};

void relu_room(const struct sae_options *o, struct arch_room *room)
{
    /* The share that makes a step dense, and room for a step that is on its way there. */
    room->active_limit = o->features / 4 + 1;
    room->active = (uint64_t)((double)o->batch_rows * o->features * DENSE_ABOVE * 1.25) + 1;
}

void dense_room(const struct sae_options *o, struct arch_room *room)
{
    (void)o;
    room->active_limit = 1;
    room->active = 1;
}
