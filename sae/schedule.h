/* How the learning rate and lambda change over a run. Pure functions of the options and the
 * step. */
#ifndef SLUICE_SAE_SCHEDULE_H
#define SLUICE_SAE_SCHEDULE_H

#include "sae/sae.h"

/* Planned steps; SAE_ASSUMED_STEPS where there is no plan. */
double schedule_plan(const struct sae_options *options);
/* How much of a rise over `share` of the plan is done in step `step`, up to 1: the first has a part
 * of it already. */
double schedule_ramp(const struct sae_options *options, double share, uint64_t step);

/* Learning rate of step `step` (0 is the first): linear warm-up, constant, linear decay over the
 * last options->decay of the plan; the last planned step still moves, and past it the rate
 * stays. */
double schedule_rate(const struct sae_options *options, uint64_t step);

/* lambda of step `step`: linear from 0, then constant. */
double schedule_lambda(const struct sae_options *options, uint64_t step);

#endif
