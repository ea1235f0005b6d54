/*
 * Rows of a live stream that this trainer never drew, or not as often as `reuse` says, because newer
 * ones took their place in the buffer. Each counts as often as it was still to be drawn, so that
 *
 *     drawn + missed + earlier + undrawn + left = reuse x (stored - held out)
 *
 * holds to the row at any time; across kills as well, as all of them go into the checkpoint.
 * `earlier` are those that were gone when the consumer began, `undrawn` those that were left when it
 * was told to finish.
 */
#ifndef SLUICE_TRAINER_MISSED_H
#define SLUICE_TRAINER_MISSED_H

#include "trainer/state.h"

/* Before the first batch of a consumer that has no checkpoint: what is gone by now it has not missed.
 * Errors of draw_look(). */
int missed_begin(struct training *t);
uint64_t missed_rows(const struct training *t);
/* Where there are more than before, the log says how many, and what to do; once a minute. */
void missed_tell(struct training *t);
/* No more is drawn: what is left was not missed either. Calls draw_finish(). */
void missed_finish(struct training *t);

#endif
