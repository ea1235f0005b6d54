/*
 * Frames on their way into the store: they wait in a queue, and one transaction takes as many as
 * there are. A frame is checked to the last byte before it counts, and acked only after the commit.
 *
 * Holds: frames of one producer lie in the queue in the order of their numbers, without a gap.
 * Bounded by the credit: whoever adds has checked it.
 */
#ifndef SLUICE_SINK_INTAKE_H
#define SLUICE_SINK_INTAKE_H

#include "sink/claims.h"
#include "sink/consumers.h"
#include "sink/sessions.h"

struct parcel { /* the bytes of a frame, and who gives them back */
    const uint8_t *data;
    size_t bytes;
    void *owner;
    void (*release)(void *owner);
};

struct intake;

/* `raw_bytes`: of the largest slab. `claims`: what each frame is held against; copied. ERR_NOMEM. */
int intake_new(size_t raw_bytes, const struct claims *claims, struct intake **intake);
void intake_free(struct intake *intake);

/* Take a frame that is next in its producer's order. Success takes the parcel; ERR_NOMEM. */
int intake_add(struct intake *intake, const struct frame_header *header,
               const struct parcel *parcel);
size_t intake_count(const struct intake *intake);
/* Forget a producer's frames (its session is over). */
void intake_drop(struct intake *intake, uint32_t producer);

struct intake_result { /* of one commit */
    uint64_t stored_frames, stored_rows, stored_bytes;
    uint64_t known_frames;                /* acked without storing: stored, or covered, already */
    uint64_t newest_captured_ns;          /* of what was stored; never in the future */
    uint8_t acked[STORE_MAX_PRODUCERS];   /* 1: record.next_number has grown */
    uint32_t stored[STORE_MAX_PRODUCERS]; /* slabs */
    int refused[STORE_MAX_PRODUCERS];     /* why a frame of this producer was not taken: ERR_*; the
                                             frames behind it are forgotten as well */
    char why[256];                        /* the last refusal, for people */
};

/* One transaction over the queue. Updates the sessions' records on success. ERR_AGAIN: some frames
 * wait for pages; what could be stored is committed. ERR_NOSPC, ERR_IO: nothing was committed and
 * all frames are still in the queue. Anything else is the end of the store. `state` is put with
 * it. */
int intake_commit(struct intake *intake, struct store *store, struct sessions *sessions,
                  const struct coverage *coverage, const struct store_state *state,
                  struct intake_result *result);

#endif
