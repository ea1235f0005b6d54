/*
 * What the consumers' states mean for the sink: which slabs may be freed, what a producer must make
 * again, when to ask for checkpoints. Pure functions of states and of the store's index.
 *
 * `states` has one place for each declared consumer; one that has written no state yet is NULL and
 * covers nothing.
 */
#ifndef SLUICE_BUFFER_COVERAGE_H
#define SLUICE_BUFFER_COVERAGE_H

#include "buffer/consumer.h"
#include "buffer/store.h"

struct coverage {
    const struct consumer_state *const *states;
    size_t consumers;
};

/* Whether every declared consumer has finished (producer, number): a frame of it is acked without
 * being stored. 0 where none is declared. */
int coverage_finished(const struct coverage *c, uint32_t producer, uint64_t number);

/* Stored slabs that may be freed now: ids[room], oldest first. Returns how many. O(slabs x
 * consumers x log slabs); call it when a state has changed. */
size_t coverage_freeable(const struct coverage *c, const struct store *store, uint64_t *ids,
                         size_t room);

/* Where a producer must go on from. *record is its record in the buffer, or zeros where the buffer
 * has none (next_number 0). If a consumer still needs a frame below next_number that is not stored,
 * or if there is no record and consumers know of frames, next_number, cursor and rows are set back,
 * epoch raised to the highest known, `ended` cleared if frames are to come again, and 1 is
 * returned: commit the record. Else 0. The cursor is that of a consumer's lowest frame, so
 * next_number may lie below what is needed; frames that are stored, or finished by all, are then
 * acked without storing. A state that is NULL makes a producer start at 1 again where frame 1 is
 * gone: a consumer that is declared late sees the whole stream. */
int coverage_rewind(const struct coverage *c, const struct store *store, uint32_t producer,
                    struct store_producer *record);

/* Slabs that every live consumer has finished but that the states do not cover yet, as far as
 * `progress` tells (one for each consumer; finished_slabs 0 where there is none): at the least 0.
 * The sink raises checkpoint_request when this passes checkpoint_share x capacity, at least 1, or
 * when it is above 0 and a consumer is `waiting`; once, until the states answer that number. */
uint64_t coverage_uncovered(const struct coverage *c, const struct store *store,
                            const struct consumer_progress *progress);

/* Whether all declared consumers are finished for good: nobody needs more rows. 0 where none is. */
int coverage_all_finished(const struct coverage *c);

#endif
