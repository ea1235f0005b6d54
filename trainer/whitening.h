/*
 * `trainer.whiten`: the covariance is measured once, on rows that are in the buffer before the
 * first step; each checkpoint holds the transform, and a resume takes it from there.
 */
#ifndef SLUICE_TRAINER_WHITENING_H
#define SLUICE_TRAINER_WHITENING_H

#include "trainer/state.h"

struct checkpoint;

/* Where the configuration asks for it: take t->whiten from the checkpoint, or measure it where
 * there is none (`from` NULL), waiting for rows. Behind plan_make(), ahead of sae_new(): whitened
 * rows have the mean 0. ERR_AGAIN: told to stop. ERR_STATE: too few rows, or none that differ;
 * ERR_LIMIT, ERR_FORMAT, ERR_MISMATCH, ERR_NOMEM, those of draw_next(). Blocks. */
int whitening_open(struct training *t, const struct draw_options *draw,
                   const struct checkpoint *from);

/* What exports and the summary say of it: an object; null where rows are not whitened. */
json_t *whitening_json(const struct training *t);

#endif
