#include "sae/schedule.h"

/* Rises linearly over `share` of the plan: the first step has a part of it already. */
static double ramp(const struct sae_options *options, double share, uint64_t step)
{
    uint64_t plan = options->planned_steps ? options->planned_steps : SAE_ASSUMED_STEPS;
    double length = share * (double)plan;
    double done = (double)step + 1.0;
    return done < length ? done / length : 1.0;
}

double schedule_rate(const struct sae_options *options, uint64_t step)
{
    double rate = options->learning_rate * ramp(options, options->warmup, step);
    if (options->planned_steps == 0) return rate;
    double plan = (double)options->planned_steps;
    double length = options->decay * plan;
    double left = step < options->planned_steps ? plan - (double)step : 1.0;
    return left < length ? rate * left / length : rate;
}

double schedule_lambda(const struct sae_options *options, uint64_t step)
{
    return options->lambda * ramp(options, options->lambda_ramp, step);
}
