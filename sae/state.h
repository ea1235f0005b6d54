/* What a checkpoint holds of an SAE's weights, for whoever trains on and whoever only reads. */
#ifndef SLUICE_SAE_STATE_H
#define SLUICE_SAE_STATE_H

#include "sae/checkpoint.h"
#include "sae/encoder.h"

struct state_weights {
    uint64_t steps, skipped;
    double density;         /* share of features that were active in the last step */
    const void *weights;    /* the encoder's block, in the checkpoint; here and below */
    const void *thresholds; /* WAY_BATCH: (F); NULL elsewhere */
};

/* Find them, of the size that `e` has and with values that training writes; nothing is changed.
 * ERR_NOTFOUND, ERR_FORMAT. */
int state_find(const struct checkpoint *checkpoint, const char *name, const struct encoder *e,
               struct state_weights *found);
/* Put them into `e`, and derive what follows from them. */
void state_take(struct encoder *e, const struct state_weights *found);

#endif
