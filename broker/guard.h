/*
 * How much each peer may ask of the broker. A peer has a balance of points, which grows with time up
 * to a bound. Each message that is not a frame in credit costs one, and one more for each 4 KiB; a
 * client that keeps to the protocol says a few points' worth each second.
 * Who has none left floods. No sockets, no clock.
 */
#ifndef SLUICE_BROKER_GUARD_H
#define SLUICE_BROKER_GUARD_H

#include "runtime/link.h"

struct guard;

enum {
    GUARD_POINTS_A_SECOND = 128,
    GUARD_POINTS = 2048,     /* the bound, at least */
    GUARD_POINT_BYTES = 4096 /* of a message, that cost one more */
};

/* For so many peers at once; of more, the one that was heard of longest ago is forgotten.
 * `burst_points`: the bound of a balance where it is above GUARD_POINTS. ERR_NOMEM. */
int guard_new(uint32_t max_peers, uint64_t burst_points, struct guard **guard);
void guard_free(struct guard *guard);

/* Charge the peer for a message of so many bytes: 1: it had the points; 0: it floods. */
int guard_allows(struct guard *guard, const struct link_route *peer, size_t bytes, uint64_t now_ns);

#endif
