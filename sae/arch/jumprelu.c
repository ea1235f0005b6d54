/*
 * JumpReLU as in Anthropic's update of January 2025: f = y where y > theta, else 0; with n the norm
 * of a feature's direction, the loss has also, as sums over features and means over rows,
 *
 *   lambda tanh(4 f n)                   sparsity, by which no large f is shrunk
 *   pre_act_coefficient max(0, theta - y) n   what lifts features that never fire
 *
 * f's jump at theta has no gradient. In its place stands that of a ramp `bandwidth` wide: within
 * half of it of theta, df/dtheta = -theta / bandwidth, and df/dy grows by as much. theta itself is
 * the parameter, kept at 0 or more, not its logarithm, of which Adam's steps would be too small to
 * leave a small start (docs/decisions.md).
 *
 * With target_l0 the number of active features is penalized in place of the tanh (sae/target.h); its
 * gradient goes by the same ramp: dL0/dy = -dL0/dtheta = 1 / bandwidth near theta.
 */
#include "base/err.h"
#include "sae/arch/shared.h"
#include "sae/dictionary.h"

#include <math.h>

static const double tanh_scale = 4;

static void train(struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                  float *y, float *second)
{
    (void)second;
    double below = d->e.options->pre_act_coefficient;
    for (uint32_t r = 0; r < n; r++) {
        float *row = y + (size_t)r * m;
        double rest = 0;
        for (uint32_t i = 0; i < m; i++) {
            double theta = d->e.threshold[f + i], norm = d->e.norm[f + i];
            if (row[i] <= theta) {
                rest += below * (theta - row[i]) * norm;
                row[i] = 0;
            } else { /* NaN, too, so that the step is seen to be not finite */
                rest += d->lambda * tanh(tanh_scale * row[i] * norm);
            }
        }
        d->row_rest[first + r] += rest;
    }
}

static void gradients(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m, float *y,
                      float *df, const float *second, struct arch_sums *sums)
{
    (void)second;
    const struct sae_options *o = d->e.options;
    double scale = 2.0 / d->e.rows, lambda = d->lambda / d->e.rows;
    double below = o->pre_act_coefficient / d->e.rows,
           per_count = d->cost / d->e.rows / o->bandwidth;
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) {
            size_t at = (size_t)r * m + i;
            double theta = d->e.threshold[f + i], norm = d->e.norm[f + i], value = y[at];
            int active = !(value <= theta);
            int near = fabs(value - theta) < o->bandwidth / 2;
            double ramp = near ? theta / o->bandwidth : 0;
            double slope = 1; /* of tanh */
            if (active) {
                double t = tanh(tanh_scale * value * norm);
                slope = 1 - t * t;
                sums[i].norm += lambda * tanh_scale * value * slope;
            } else {
                sums[i].threshold += below * norm;
                sums[i].norm += below * (theta - value);
            }
            double by_f = scale * df[at] + lambda * tanh_scale * norm * slope;
            double by_count = near ? per_count : 0;
            sums[i].threshold -= by_f * ramp + by_count;
            df[at] = (float)(by_f * (active + ramp) + by_count - (active ? 0 : below * norm));
            y[at] = active ? y[at] : 0;
        }
}

static double finish(struct dictionary *d, uint32_t f, const struct arch_sums *sums, double f_sum)
{
    (void)f_sum;
    d->g.threshold[f] = (float)sums->threshold;
    return sums->norm;
}

int jumprelu_check(const struct sae_options *o)
{
    if (!(o->bandwidth > 0 && o->bandwidth <= 1e6))
        return err_set(ERR_USAGE, "bandwidth is %g; it must be above 0", o->bandwidth);
    return ERR_OK;
}

const struct tensor jumprelu_tensors[] = {
    TENSORS_OF_ALL, TENSOR(threshold, TENSOR_F, 0.1f, TENSOR_RATE_THRESHOLD, 1), TENSORS_END};

const struct arch_dense jumprelu_dense = {
    .values = relu_values,
    .train = train,
    .gradients = gradients,
    .finish = finish,
    .silent_learn = 1, /* near a threshold */
    .counts_active = 1,
    .own_penalty = 1,
};

const struct arch arch_jumprelu = {
    .machine = &dictionary_machine,
    .check = jumprelu_check,
    .room = dense_room,
    .tensors = jumprelu_tensors,
    .dense = &jumprelu_dense,
    .way = WAY_DENSE,
    .start = {.norm = ARCH_EVEN_NORM, .about_mean = 1},
    .saelens = "jumprelu",
};
