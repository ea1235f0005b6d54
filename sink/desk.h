/*
 * The sink's side of the session protocol: it is driven by messages, frames and time, keeps the
 * store, and says what it has to say through a callback. No sockets and no clock (main.c adds
 * those).
 *
 * Holds: whatever was acked is committed; whatever is promised (credit) has a slab.
 */
#ifndef SLUICE_SINK_DESK_H
#define SLUICE_SINK_DESK_H

#include "config/config.h"
#include "proto/message.h"
#include "sink/intake.h"

struct desk_options {
    const struct config *config; /* outlives the desk */
    const char *name;            /* of this sink, for the broker */
    uint64_t life;               /* differs from that of every sink before */
    /* Say something to a link's producer; link 0: to the broker. What can't be sent is lost: the
     * protocol gets over it. */
    void (*say)(void *arg, uint32_t link, const struct message *message);
    void *arg;
};

struct desk;

/* Opens the buffer, if this stream has one already. Errors of store_open() and config_*();
 * ERR_NOMEM. The caller frees it: that closes the buffer cleanly. Blocks on the disk. */
int desk_new(const struct desk_options *options, uint64_t now_ns, struct desk **desk);
void desk_free(struct desk *desk);

/* A message that is not a frame; link 0: of the broker itself. Bad bytes are counted and
 * dropped. */
void desk_message(struct desk *desk, uint32_t link, const uint8_t *data, size_t bytes,
                  uint64_t now_ns);
/* A frame. Returns 1: the parcel was taken and will be released; 0: it was not. */
int desk_frame(struct desk *desk, uint32_t link, const struct parcel *parcel, uint64_t now_ns);

/* Commit what has come in, then ack it. Call it at the end of a turn of the loop. */
void desk_flush(struct desk *desk, uint64_t now_ns);
/* Whether frames wait for a commit. */
int desk_has_frames(const struct desk *desk);

/* Time has passed: heartbeats, consumers' files, silent producers, another try. Each 50 ms or
 * so. */
void desk_tick(struct desk *desk, uint64_t now_ns);

/* Commit what has come in, free what consumers have covered by now, and tell the broker that this sink
 * leaves. With a retention, where the stream has ended and nobody needs more of it, the buffer's rows
 * go. */
void desk_leave(struct desk *desk, uint64_t now_ns);

/* Whether there is nothing left to do (*code ERR_OK: the stream has ended and nobody needs the
 * sink; else err_text() says what went wrong for good). */
int desk_is_over(struct desk *desk, uint64_t now_ns, int *code);

struct desk_counters {
    uint64_t frames, rows, bytes; /* stored */
    uint64_t known_frames, duplicate_frames, gap_frames, stale_frames, beyond_credit_frames;
    uint64_t refused_frames, malformed;
    uint64_t commits, failed_commits, acks;
    double commit_seconds;
    uint64_t freed_slabs, replaced_slabs, rewinds, checkpoint_requests;
    uint64_t expired_slabs, scrubbed_pages; /* retention.h */
    uint64_t set_aside;                     /* buffers that were damaged */
    uint64_t newest_captured_ns;            /* 0: nothing was stored yet */
};
struct desk_counters desk_counters(const struct desk *desk);

struct desk_gauges {
    uint64_t slabs, rows, capacity_slabs, capacity_rows, planned_rows;
    uint64_t reserved_slabs;   /* promised and not stored */
    uint64_t stream_rows;      /* committed in all lives of the sink, each once */
    double unscrubbed_seconds; /* for so long freed rows are in the buffer's file still */
    uint64_t slab_bytes;       /* of the largest slab; 0: no buffer yet */
    uint32_t producers, live_producers, ended_producers;
    int has_ended, more_is_coming, is_attached;
    const char *trouble; /* why writing fails at present, "" if it does not */
};
struct desk_gauges desk_gauges(const struct desk *desk);
/* Whether the `index`th consumer of the configuration needs no more rows. */
int desk_finished(const struct desk *desk, uint32_t index);
const struct sessions *desk_sessions(const struct desk *desk);

#endif
