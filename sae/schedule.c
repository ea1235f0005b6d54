#include "sae/schedule.h"

double schedule_plan(const struct sae_options *options)
{
    return (double)(options->planned_steps ? options->planned_steps : SAE_ASSUMED_STEPS);
}

double schedule_ramp(const struct sae_options *options, double share, uint64_t step)
{
    double length = share * schedule_plan(options);
    double done = (double)step + 1.0;
    return done < length ? done / length : 1.0;
}

double schedule_rate(const struct sae_options *options, uint64_t step)
{
    double rate = options->learning_rate * schedule_ramp(options, options->warmup, step);
    if (options->planned_steps == 0) return rate;
    double plan = (double)options->planned_steps;
    double length = options->decay * plan;
    double left = step < options->planned_steps ? plan - (double)step : 1.0;
    return left < length ? rate * left / length : rate;
}

double schedule_lambda(const struct sae_options *options, uint64_t step)
{
    return options->lambda * schedule_ramp(options, options->lambda_ramp, step);
}
