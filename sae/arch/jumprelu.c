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
 */
#include "sae/dictionary.h"

#include <math.h>

static const double tanh_scale = 4;

void jumprelu_block(struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                    float *y)
{
    double below = d->sae->options.pre_act_coefficient;
    for (uint32_t r = 0; r < n; r++) {
        float *row = y + (size_t)r * m;
        double rest = 0;
        for (uint32_t i = 0; i < m; i++) {
            double theta = d->threshold[f + i], norm = d->norm[f + i];
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

void jumprelu_gradients(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m, float *y,
                        float *df, struct jumprelu_sums *sums)
{
    const struct sae_options *o = &d->sae->options;
    double scale = 2.0 / d->rows, lambda = d->lambda / d->rows;
    double below = o->pre_act_coefficient / d->rows;
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) {
            size_t at = (size_t)r * m + i;
            double theta = d->threshold[f + i], norm = d->norm[f + i], value = y[at];
            int active = !(value <= theta);
            double ramp = fabs(value - theta) < o->bandwidth / 2 ? theta / o->bandwidth : 0;
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
            sums[i].threshold -= by_f * ramp;
            df[at] = (float)(by_f * (active + ramp) - (active ? 0 : below * norm));
            y[at] = active ? y[at] : 0;
        }
}
