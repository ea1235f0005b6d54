#include "sae/target.h"

#include "sae/schedule.h"

#include <math.h>

double target_excess(const struct target *t, const struct sae_options *o, uint64_t step, double l0)
{
    double first = t->first_l0 > 0 ? t->first_l0 : l0;
    double above = first > o->target_l0 ? first / o->target_l0 : 1;
    double fallen = schedule_ramp(o, TARGET_SHARE, step); /* from the first L0 to the target */
    return l0 / (o->target_l0 * pow(above, 1 - fallen)) - 1;
}

/* Far above, a square would drown the reconstruction. */
static double bounded(double excess)
{
    return excess < 1 ? excess : 1;
}

double target_cost(const struct target *t, const struct sae_options *o, double excess)
{
    double share = 2 * TARGET_WEIGHT * bounded(excess) + t->multiplier;
    return sae_out_width(o) / o->target_l0 * share;
}

double target_loss(const struct target *t, const struct sae_options *o, double excess)
{
    return sae_out_width(o) * excess * (TARGET_WEIGHT * excess + t->multiplier);
}

double target_factor(const struct target *t)
{
    return exp(t->multiplier + TARGET_LAMBDA_POWER * t->growth);
}

void target_learn(struct target *t, const struct sae_options *o, uint64_t step, double l0,
                  int penalizes)
{
    double excess = target_excess(t, o, step, l0);
    if (t->first_l0 == 0) t->first_l0 = l0;
    if (penalizes) {
        t->multiplier = fmax(0, t->multiplier + TARGET_GAIN * bounded(excess));
    } else if ((double)step >= o->lambda_ramp * schedule_plan(o)) {
        t->growth = excess > -1 ? fmax(-1, fmin(1, log1p(excess))) : -1;
        t->multiplier += TARGET_LAMBDA_GAIN * t->growth;
    }
}
