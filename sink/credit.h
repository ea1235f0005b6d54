/*
 * How many frames each producer may have under way. Each number in a credit has a whole slab
 * reserved, so what was promised can always be stored.
 *
 * Holds: the sum of what is reserved is at most what is free, and a producer that has not ended
 * finds room for two slabs of its own, whatever the others do.
 */
#ifndef SLUICE_SINK_CREDIT_H
#define SLUICE_SINK_CREDIT_H

#include <stdint.h>

struct credit_account { /* of one producer */
    int has_ended;
    int is_live;             /* has a session: only those get credit */
    uint64_t reserved_slabs; /* promised and not stored: credit - (next_number - 1) */
    uint64_t stored_slabs;
};

/* Slabs that producer `i` may have reserved now: never less than it has, at most `window_slabs`. */
uint64_t credit_slabs(const struct credit_account *accounts, uint32_t producers, uint32_t i,
                      uint64_t free_slabs, uint64_t window_slabs);

#endif
