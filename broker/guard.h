/*
 * How much each peer may ask of the broker. A peer has a balance of points, which grows with time
 * up to a bound. Each message that is not a frame in credit costs one, and one more for each 4 KiB;
 * a client that keeps to the protocol says a few points' worth each second. Who has none left
 * floods.
 *
 * Who floods may come back as somebody new. So a new peer begins with little, and what it may say
 * beyond that at once is only there for some, and after them for one in ten seconds. A balance that
 * has had time to grow is full. No sockets, no clock.
 */
#ifndef SLUICE_BROKER_GUARD_H
#define SLUICE_BROKER_GUARD_H

#include "runtime/link.h"

struct guard;

enum {
    GUARD_POINTS_A_SECOND = 128,
    GUARD_POINTS = 2048,      /* the bound, at least */
    GUARD_POINT_BYTES = 4096, /* of a message, that cost one more */
    GUARD_LEAST_POINTS = 320, /* of a new peer */
    GUARD_SECONDS_A_BURST = 10,
    GUARD_REPORTS = 2, /* a second, and at once: the protocol has one, and one more at the end */
    GUARD_FIRST_REPORTS = 4 /* peers a second that may say their first; max_peers at once */
};

struct guard_options {
    uint32_t max_peers;    /* known at once; a new one takes the place of one that floods, else of
                            * the one that was silent for longest */
    uint32_t bursts;       /* new peers that may say as much at once as a full balance allows */
    uint64_t burst_points; /* the bound of a balance where it is above GUARD_POINTS */
};

/* ERR_NOMEM. */
int guard_new(const struct guard_options *options, struct guard **guard);
void guard_free(struct guard *guard);

/* Charge the peer for a message of so many bytes: 1: it had the points; 0: it floods. */
int guard_allows(struct guard *guard, const struct link_route *peer, size_t bytes, uint64_t now_ns);
/* Charge it for so many bytes that it has asked for and gets; its next message may find nothing
 * left. */
void guard_charge(struct guard *guard, const struct link_route *peer, size_t bytes,
                  uint64_t now_ns);
/* Whether a report of the peer is to be read: reading one costs far more than its bytes. */
int guard_reads_report(struct guard *guard, const struct link_route *peer, uint64_t now_ns);

#endif
