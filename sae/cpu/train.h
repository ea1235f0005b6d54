/* The parts of a training step. step.c calls them, none of them another's caller. */
#ifndef SLUICE_SAE_CPU_TRAIN_H
#define SLUICE_SAE_CPU_TRAIN_H

#include "sae/dictionary.h"

/* rows.c: everything of this step that is done block of rows by block of rows, by lists; fills
 * `e.active` and `aux` with gradients, error, aux_error, row_*. */
void rows_train(struct dictionary *d);
/* rows.c: its parts, where something comes between: all rows centred; only lists of what exceeds
 * `floor`, at most room.keep of a row, and AuxK's (whether there was room for them); the rest. */
void rows_centre(struct dictionary *d);
int rows_encode(struct dictionary *d, float floor);
void rows_decode(struct dictionary *d);
/* rows.c: 0, or NaN where what goes into row r is not finite, or its square is not. A NaN exceeds no
 * other value, so where the largest are kept it would leave no trace in what comes out. */
double rows_unseen(const struct dictionary *d, uint32_t r);
/* rows.c: centre n rows from `first`. */
void rows_centre_block(struct dictionary *d, uint32_t first, uint32_t n);

/* aux.c: the dead features' candidates of n rows from `first`, into `aux`. */
void aux_encode(struct dictionary *d, uint32_t first, uint32_t n, uint32_t thread);
/* aux.c: their reconstruction of what row r leaves over (its error is done), and its gradient. */
void aux_of_row(struct dictionary *d, uint32_t r, const float *error);

/* batch_topk.c: rows_encode() with a floor that it finds, and of its pairs only the K B largest. */
void batch_topk_encode(struct dictionary *d);
/* batch_topk.c: what a step teaches: threshold, floor. Not called for a step that is skipped. */
void batch_topk_learn(struct dictionary *d);

/* dense.c: the same as rows_train() with dense products alone; and the features' gradients. */
void dense_train(struct dictionary *d);
void dense_features(struct dictionary *d);

/* gradients.c: features' gradients from lists: g, feature_square, fired, touched. */
void gradients_features(struct dictionary *d);
/* gradients.c: what is not by feature: b_dec, W_skip, column_sum. */
void gradients_columns(struct dictionary *d);
/* gradients.c: the gradient by way of the direction's norm, the unit-norm projection and the
 * squared norm of one feature, after its data gradient is there; by_norm = d loss / d norm. */
void gradients_finish_feature(struct dictionary *d, uint32_t f, double by_norm);

/* update.c: one Adam step by d->rate; norms. */
void update_weights(struct dictionary *d);

#endif
