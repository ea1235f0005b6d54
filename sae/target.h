/*
 * A target for L0, the mean number of active features per row, in place of a lambda that nobody can
 * guess (options->target_l0). With r = L0 / target of a batch and D the width of what comes out
 * (which is E||x||^2, so that figures are shares of a row):
 *
 *   jumprelu     + D (TARGET_WEIGHT (r - 1)^2 + mu (r - 1)) in place of the penalty by lambda. L0's
 *                gradient is straight through, of a ramp as wide as jumprelu's own. The square is
 *                Llamascopium's lambda (2 / L0*) (L0 - L0*)^2 and SAELens 6.5x's ("quadratic"), of
 *                the batch's mean and not of each row, in a row's units. A square alone rests where
 *                it and the reconstruction are in balance, above the target; mu, which grows by
 *                TARGET_GAIN (r - 1) per step, takes that rest away (the method of multipliers:
 *                Hestenes 1969, Powell 1969). Thresholds learn at TARGET_THRESHOLD_RATE times the
 *                rate: they have far to go.
 *   l1, gated    lambda is multiplied by exp(m) r^TARGET_LAMBDA_POWER, r of the step before; m grows
 *                by TARGET_LAMBDA_GAIN ln r per step, once lambda has risen. ln r counts as -1 to 1.
 *
 * At first thousands of features fire. So the target falls geometrically from the first step's L0
 * to what was asked for, over TARGET_SHARE of the plan: at once, most features would die.
 */
#ifndef SLUICE_SAE_TARGET_H
#define SLUICE_SAE_TARGET_H

#include "sae/options.h"

#define TARGET_WEIGHT         0.15
#define TARGET_GAIN           0.02
#define TARGET_SHARE          0.5
#define TARGET_THRESHOLD_RATE 10
#define TARGET_LAMBDA_POWER   2
#define TARGET_LAMBDA_GAIN    0.04

struct target {
    double first_l0;   /* of the first step; 0: not known yet */
    double multiplier; /* mu or m */
    double growth;     /* l1, gated: ln r of the last step, between -1 and 1 */
};

/* r - 1 of a batch of step `step` (0 is the first), by the target of that step. */
double target_excess(const struct target *t, const struct sae_options *options, uint64_t step,
                     double l0);

/* jumprelu: what one active feature costs, averaged over rows; and the whole term of the loss. */
double target_cost(const struct target *t, const struct sae_options *options, double excess);
double target_loss(const struct target *t, const struct sae_options *options, double excess);

/* l1, gated: what lambda is multiplied by. */
double target_factor(const struct target *t);

/* After a step that was made: `penalizes` is jumprelu's way, else lambda's. */
void target_learn(struct target *t, const struct sae_options *options, uint64_t step, double l0,
                  int penalizes);

#endif
