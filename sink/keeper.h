/*
 * What becomes of the rows that are stored: which slabs are freed, since every consumer's
 * checkpoint covers them; which are replaced, in a live stream; from where a producer makes rows
 * again, since a consumer came back with an older checkpoint; when the stream ends, since nobody
 * needs more; and when consumers are asked for a checkpoint, since nothing can be freed without.
 *
 * Holds: under the policy block a slab is freed only when every consumer's checkpoint covers it. It
 * speaks to nobody: whoever drives it is told of the sessions that this concerns. No sockets; the
 * time is given to it. Blocks on the disk.
 */
#ifndef SLUICE_SINK_KEEPER_H
#define SLUICE_SINK_KEEPER_H

#include "sink/ledger.h"

struct keeper_options {
    struct ledger *ledger; /* outlives the keeper */
    /* A producer with a session was set back, or its buffer is made anew: called while that session
     * is there, which is over afterwards. */
    void (*rewound)(void *arg, uint32_t producer);
    /* A producer with a session has its end committed: nobody needs more rows. */
    void (*stopped)(void *arg, uint32_t producer);
    void *arg;
};

struct keeper_counters {
    uint64_t freed_slabs, replaced_slabs, rewinds, checkpoint_requests;
    uint64_t expired_slabs; /* of those replaced, the ones that were too old; in this life */
};

/* A value: nothing to free. Set `options` and zero the rest. */
struct keeper {
    struct keeper_options options;
    int has_news; /* a consumer's state has changed and was not acted upon yet */
    struct keeper_counters counters;
};

/* Look at the consumers' files (each 200 ms or so) and do what follows from them: rewind, free, end
 * the stream, open a buffer in the place of a damaged one, raise ledger.checkpoint_request
 * (published by whoever publishes next). What fails is noted in the ledger and done again at a
 * later call. */
void keeper_poll(struct keeper *keeper, uint64_t now_ns);
/* The part of it that may be the last of all: no other buffer is opened, no checkpoint asked for. */
void keeper_settle(struct keeper *keeper, uint64_t now_ns);
/* A live stream never waits: its oldest slabs make room for what comes. Nothing where the policy is
 * block. The buffer is open. */
void keeper_replace(struct keeper *keeper, uint64_t now_ns);
/* With a retention (sink.retention) the slabs whose youngest row is older go, drawn or not, at most
 * some hundred at a call; consumers count them as replaced ones. `wall_ns` is CLOCK_REALTIME;
 * UINT64_MAX: all slabs go. Nothing where the buffer is not open. */
void keeper_expire(struct keeper *keeper, uint64_t now_ns, uint64_t wall_ns);

#endif
