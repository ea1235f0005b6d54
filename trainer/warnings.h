/*
 * What a person should hear when a run has ended and its autoencoder is of no use: most features
 * dead, none that fires, not a number, nothing explained, steps left out. Each warning ends in what
 * to change, by architecture. A pure function of the numbers.
 */
#ifndef SLUICE_TRAINER_WARNINGS_H
#define SLUICE_TRAINER_WARNINGS_H

#include "sae/sae.h"

#include <jansson.h>

struct warnings_facts {
    const struct sae_options *options;
    double l0, fve;  /* NaN: not known */
    int is_broken;   /* what it makes of held-out rows is not finite (SAE_BROKEN) */
    uint32_t dead;   /* features that did not fire within the window */
    uint32_t silent; /* that did not fire in the last `rows` rows */
    uint64_t rows;   /* trained on; fewer than the window: none can be dead by it */
    uint64_t steps, skipped;
};

/* A list of sentences, empty where all is well; the caller decrefs. NULL: no memory. */
json_t *warnings_of(const struct warnings_facts *facts);

#endif
