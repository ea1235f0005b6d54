/* What each autoencoder sees of a training's rows: all of them, or some hooks (wiring/view.h). */
#ifndef SLUICE_TRAINER_SEEN_H
#define SLUICE_TRAINER_SEEN_H

#include "trainer/state.h"
#include "wiring/provenance.h"

/* Room for a batch of the widest view. ERR_NOMEM. */
int seen_open(struct training *t);

/* The batch's rows as SAE i sees them: (batch.rows, its view's width). Valid until the next call. */
const float *seen_batch(struct training *t, uint32_t i);

/* The plan's mean as SAE i sees it; valid as seen_batch(). */
const float *seen_mean(struct training *t, uint32_t i);

/* What belongs to SAE i alone, for as long as it is looked at. */
struct seen {
    float *rows;                 /* the held-out rows; NULL: as the training has them */
    struct provenance_fold fold; /* its scale, and how its hooks are whitened */
};
/* With or without its held-out rows. ERR_NOMEM. The caller ends with seen_end(). */
int seen_begin(const struct training *t, uint32_t i, int with_rows, struct seen *seen);
void seen_end(struct seen *seen);

#endif
