/*
 * What the sink has promised, published and committed. Promised: the credit of each session, and a
 * slab for each number in it. Published: the state record that trainers read. Committed: the
 * store, and with it every producer's record.
 *
 * Holds: whatever is told as next_number is committed; whatever is promised has a slab; each
 * transaction carries the state that is true after it.
 *
 * It speaks to nobody (desk.h) and decides nothing about what is freed (keeper.h). No sockets; the
 * time is given to it. Calls that commit block on the disk.
 */
#ifndef SLUICE_SINK_LEDGER_H
#define SLUICE_SINK_LEDGER_H

#include "runtime/log.h"
#include "sink/intake.h"
#include "sink/stock.h"

struct ledger_counters {
    uint64_t frames, rows, bytes; /* stored */
    uint64_t known_frames;        /* acked without storing */
    uint64_t commits, failed_commits;
    double commit_seconds;
    uint64_t newest_captured_ns; /* 0: nothing was stored yet */
    uint64_t rewinds;            /* producers that were set back when the buffer was opened */
};

/* To be read by desk and keeper; changed by the calls below, but for what is marked. */
struct ledger {
    const struct config *config;
    int is_live; /* policy shed */
    struct stock stock;
    struct consumers *consumers;
    struct sessions sessions; /* desk begins them and hears what they say */
    struct intake *intake;    /* NULL: the buffer is not open; desk adds frames */
    struct ledger_counters counters;

    uint64_t checkpoint_request, replaced_slabs; /* published; the keeper's to raise */
    uint64_t stored[STORE_MAX_PRODUCERS];        /* slabs of each producer in the buffer */
    uint32_t grant_turn;                         /* whose turn it is to be served first */
    uint64_t started_ns;
    uint64_t retry_ns; /* no commit before: the last one failed */
    uint64_t room_ns;  /* no frame is tried before: there were no pages for it */
    uint64_t short_ns; /* since when there have been none; 0: there are */
    char trouble[512]; /* why writing fails at present, "" if it does not */
    int fatal;         /* an error that there is no going on from; ERR_OK: none */
    char fatal_text[1024];
    struct log_limit failed;
    int has_opened;      /* a buffer was opened, by whomever; the keeper's to clear */
    int wants_open;      /* the buffer was closed, or could not be opened yet: ledger_reopen() */
    int is_distrusted;   /* the sink itself has found the buffer damaged */
    unsigned in_vain;    /* buffers set aside since a consumer has last drawn a row */
    uint64_t drawn_rows; /* by all consumers, when the last one was */
};

/* Opens the buffer, if this stream has one already; where a consumer's state is damaged, later
 * (ledger_reopen). `config` outlives it; `life` differs from that of every sink before. Errors of
 * store_open() and config_*(), ERR_NOMEM; ledger_fini() after a failure too: that closes the buffer
 * cleanly. */
int ledger_init(struct ledger *ledger, const struct config *config, uint64_t life, uint64_t now_ns);
void ledger_fini(struct ledger *ledger);

/* Open the buffer for rows like these, if it is not open: every producer's record is taken up, set
 * back to where consumers need it, and the state is published. Errors of stock_prepare(). */
int ledger_open(struct ledger *ledger, const struct descriptor *like, uint64_t now_ns);
int ledger_is_open(const struct ledger *ledger);

/* ---- a buffer that is damaged ---- */

/* Whether the open buffer cannot be trusted: a consumer's reader has reported it, or a write found
 * it so. err_text() says why. Reads a small file. */
int ledger_is_damaged(struct ledger *ledger);
/* Close it: frames that wait are forgotten, every session is over (whoever has to be told is told
 * before). ledger_reopen() sets it aside. Where buffer after buffer is damaged and nobody draws a
 * row meanwhile, that is the end. */
void ledger_give_up_buffer(struct ledger *ledger, uint64_t now_ns);
/* Open the buffer again where that is wanted and its time has come; what fails for want of disk, or
 * of a consumer's state, is noted and tried again at a later call. */
void ledger_reopen(struct ledger *ledger, uint64_t now_ns);

/* ---- promised ---- */

/* Promise to each session what may be promised: raises session.credit, tells nobody. */
void ledger_grant(struct ledger *ledger);
/* Slabs that are promised to a producer and not stored. */
uint64_t ledger_reserved(const struct session *session);
/* Slabs that are not stored (promised ones count as free). */
uint64_t ledger_free_slabs(const struct ledger *ledger);
/* Whether a trainer that waits for rows waits for something: with so many slabs free, a producer
 * that is there has room for another frame. Just after a start, those that are not there may still
 * come. */
int ledger_is_more_coming(const struct ledger *ledger, uint64_t free_after, uint64_t now_ns);
/* End a producer's session, if there is one: what is promised is free again, its frames that are
 * not committed are forgotten. */
void ledger_end_session(struct ledger *ledger, uint32_t producer);

/* ---- published ---- */

/* Commit the state if it has changed, unless the last commit failed a moment ago. A failure is
 * noted, and tried again. */
void ledger_publish(struct ledger *ledger, uint64_t now_ns);

/* ---- committed ---- */

/* One transaction of small changes: `change` makes them (NULL: none), the state goes with it.
 * ERR_* of the store: nothing happened; the caller notes it (below). */
int ledger_put(struct ledger *ledger, uint64_t now_ns,
               int (*change)(struct ledger *ledger, void *arg), void *arg);
/* Commit a producer's record; on failure the session keeps the one before. */
int ledger_record(struct ledger *ledger, uint32_t producer, const struct store_producer *record,
                  uint64_t now_ns);
/* Whether frames wait for a commit. */
int ledger_has_frames(const struct ledger *ledger);
/* Commit the frames that wait. 1: a commit was tried, *result says what came of it, and *code is
 * ERR_OK, ERR_AGAIN (some frames wait for pages) or the failure, which is noted. 0: there was
 * nothing to commit, or its time has not come. */
int ledger_flush(struct ledger *ledger, uint64_t now_ns, struct intake_result *result, int *code);
/* Count anew which slabs are whose: after some were freed. */
void ledger_count_stored(struct ledger *ledger);

/* ---- trouble ---- */

/* A write failed (err_text() says why): tried again where it is the disk; where it is damage the
 * buffer is distrusted; else the end. Nothing that was acked depends on it. */
void ledger_note_trouble(struct ledger *ledger, int code, uint64_t now_ns);
/* A producer could not be let in for this; nothing is put off for it. */
void ledger_show_trouble(struct ledger *ledger, int code);
/* A write went well. Frames that wait are what the trouble is about: their commit ends it. */
void ledger_forget_trouble(struct ledger *ledger);

#endif
