/*
 * How a live run comes to its end: once `sluice finish` asks for it, the learning rate falls from
 * where it is to nothing over the rows of the decay, and then the training is finished.
 *
 * The decay is told in rows that were drawn, and on the disk before the first step of it
 * (runtime/finish.h): a trainer that is killed and goes on from an older checkpoint keeps its rate up
 * to the same row, and ends at the same one. Only where the stream has ended with less than that is
 * the decay shortened to what is left, from the rate that it had there.
 */
#ifndef SLUICE_TRAINER_FINISHING_H
#define SLUICE_TRAINER_FINISHING_H

#include "trainer/state.h"

/* What the rate is multiplied by when `rows` have been drawn, for an autoencoder whose `decay` is
 * that share of a plan, where the longest of all is `longest`: the whole decay is its. 1 where it
 * has none. A pure function. */
double finishing_factor(const struct finish_answer *decay, uint64_t rows, double share,
                        double longest);

/* Before each batch: once a second, whether it is asked for; then the decay is set and written down,
 * declared as provided for, and shortened as soon as the stream is known to end before it. A full
 * disk is waited for. Not for a replay. ERR_IO, and errors of draw_look(). */
int finishing_look(struct training *t);

/* The most rows that the next batch may have: up to the end of the decay. */
uint64_t finishing_room(const struct training *t, uint64_t rows);

/* The rate of the next step, for each autoencoder. */
void finishing_slow(struct training *t);

/* Whether the decay is over. */
int finishing_is_over(const struct training *t);

/* Behind the decay: *settled once the stream has ended, so that all that was stored is accounted
 * for; or after three quarters of a minute of waiting for a capture that has not heard of it. Never
 * sleeps. Errors of draw_look(). */
int finishing_settle(struct training *t, int *settled);

#endif
