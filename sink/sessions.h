/*
 * The sink's view of its producers: record, epoch, session, and what number is taken next.
 *
 * Holds:
 * - A producer's frames are taken strictly in order, so one number is the whole memory of what was
 *   stored: below it a frame is a duplicate, above it there is a gap.
 * - A newer epoch fences the older; nothing of another session is taken.
 * No clock, no store, no sockets.
 */
#ifndef SLUICE_SINK_SESSIONS_H
#define SLUICE_SINK_SESSIONS_H

#include "buffer/store.h"

struct session {
    struct store_producer record; /* as committed */
    uint64_t expected; /* number taken next; above record.next_number: not committed yet */
    uint64_t session;  /* 0: none */
    uint32_t link;
    int is_measuring;
    uint64_t credit;      /* highest number promised in this session */
    uint64_t told_credit; /* as the producer knows it */
    uint64_t heard_ns;
    uint64_t resync_ns; /* when it was last told to go on from another number; 0: it is in step */
};

struct sessions {
    uint32_t producers;
    uint64_t sink_life, broker_life, count;
    struct session session[STORE_MAX_PRODUCERS];
};

/* Without records yet: every producer begins at number 1, at the beginning of its share. */
void sessions_init(struct sessions *sessions, uint32_t producers, uint64_t sink_life);
/* Take up a producer's committed record. */
void sessions_record(struct sessions *sessions, uint32_t producer,
                     const struct store_producer *record);

/* Epoch for a HELLO that says `epoch` (0: a new life) on `link`: what is to be committed before it
 * is answered. ERR_FENCED: a newer life has taken over. ERR_STATE: an epoch that was never given.
 * ERR_LIMIT: the last one is given, and numbers do not begin anew. */
int sessions_epoch(const struct sessions *sessions, uint32_t producer, uint32_t epoch,
                   uint32_t link, uint32_t *granted);
/* Begin a session: ends the one before it, whose link is given back in *replaced where it is
 * another one (0: none). */
void sessions_begin(struct sessions *sessions, uint32_t producer, uint32_t link, uint64_t now_ns,
                    uint32_t *replaced);
/* End a session, if there is one: its credit is free again. */
void sessions_end(struct sessions *sessions, uint32_t producer);

/* The producer whose session this is on this link; -1: nobody's. */
int sessions_find(const struct sessions *sessions, uint32_t link, uint64_t session);
/* The producer whose session is on this link; -1. */
int sessions_on_link(const struct sessions *sessions, uint32_t link);
/* A producer that was silent for too long; -1. */
int sessions_silent(const struct sessions *sessions, uint64_t now_ns);

enum sessions_verdict { SESSIONS_TAKE, SESSIONS_DUPLICATE, SESSIONS_GAP, SESSIONS_BEYOND_CREDIT };
enum sessions_verdict sessions_judge(const struct session *session, uint64_t number);
/* Whether a gap must be answered now: once, and again each second until it is closed. */
int sessions_resync_due(struct session *session, uint64_t now_ns);

int sessions_all_ended(const struct sessions *sessions);
uint32_t sessions_live(const struct sessions *sessions);

#endif
