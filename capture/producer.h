/*
 * A producer's side of the session protocol, as an object that is driven by messages and time: no
 * socket, no clock, no thread, no lock (sender.h adds those).
 *
 * Holds:
 * - A frame is kept until the sink says that it is committed.
 * - Nothing above the credit, and nothing but HELLO outside a session, is sent.
 * - Frame numbers are dense; the sink alone says where they go on. Where it asks for a number that
 *   is still kept, the kept frame goes out again; for any other, whoever makes the frames is
 * ordered back to the sink's cursor (block), or what is kept is counted as shed (shed).
 * - captured = rows acked + kept in the window + waiting in the cutter + shed + rejected, to the
 *   row. An order to make rows again takes the totals back to the last acked frame.
 */
#ifndef SLUICE_CAPTURE_PRODUCER_H
#define SLUICE_CAPTURE_PRODUCER_H

#include "capture/window.h"
#include "proto/descriptor.h"
#include "proto/message.h"

struct producer_options {
    const char *stream; /* its name */
    const char *name;   /* of this process, for logs */
    uint32_t producer;  /* index in the share */
    uint32_t share_count;
    uint8_t codec;
    int shed;              /* policy */
    size_t retained_bytes; /* cap of the window; at least 3 frames are kept */
};

enum producer_phase {
    PRODUCER_WAITING,   /* not introduced yet */
    PRODUCER_ASKING,    /* says HELLO, has no session */
    PRODUCER_MEASURING, /* in a session that waits for the descriptor */
    PRODUCER_STREAMING,
    PRODUCER_ENDED,  /* the sink has committed the end */
    PRODUCER_GONE,   /* left by a drain */
    PRODUCER_FAILED, /* producer_error() */
};

/* What whoever makes the frames has to do. A new `generation` replaces the order before it; frames
 * of an older one are not taken any more. */
enum producer_task { PRODUCER_WAIT, PRODUCER_MEASURE, PRODUCER_MAKE, PRODUCER_HALT };
struct producer_order {
    uint64_t generation;
    enum producer_task task;
    uint64_t number;            /* MAKE: of the next frame */
    struct cursor cursor;       /* MAKE: of its first row; all zero: the beginning */
    struct frame_totals totals; /* MAKE: to count on from */
};

struct producer_counters {
    struct frame_totals totals; /* of this life */
    uint64_t acked_frames, acked_rows;
    uint64_t sent_frames, sent_bytes, resent_frames;
    uint64_t shed_frames;
    uint64_t sessions, resyncs;
};

struct producer;

/* ERR_NOMEM, ERR_USAGE (a name). The caller frees it; by then no frame may be held. */
int producer_new(const struct producer_options *options, struct producer **producer);
void producer_free(struct producer *producer);

/* Say what the stream is: from now on it asks for a session. The text is copied. ERR_FORMAT. */
int producer_introduce(struct producer *producer, const char *descriptor, size_t bytes);
/* The measured descriptor, in answer to PRODUCER_MEASURE. Copied. */
int producer_described(struct producer *producer, const char *descriptor, size_t bytes);
/* The other answer to PRODUCER_MEASURE: this share has no row to measure on, so that another
 * producer must. Once the stream is described it is told to make what rows it has. */
void producer_decline(struct producer *producer);
/* The descriptor as committed by the sink; NULL before PRODUCER_MAKE. Never changes after that. */
const struct descriptor *producer_descriptor(const struct producer *producer);

/* A message of the sink or the broker came. */
void producer_message(struct producer *producer, const struct message *message, uint64_t now_ns);
/* Time has passed; call it at least each 250 ms. */
void producer_tick(struct producer *producer, uint64_t now_ns);

/* The next thing to send, if there is one (returns 1): `frame`, or else `message`, whose text is
 * borrowed. Once it is on its way, producer_sent() says so; until then it is offered again. A
 * frame's header has session and epoch filled in. */
struct producer_send {
    struct window_frame *frame; /* NULL: a message */
    struct message message;
};
int producer_next(struct producer *producer, uint64_t now_ns, struct producer_send *send);
void producer_sent(struct producer *producer, uint64_t now_ns, const struct producer_send *send);

struct producer_order producer_order(const struct producer *producer);
/* A buffer for a frame (header room and payload). NULL: none is free. Only after PRODUCER_MAKE. */
struct window_frame *producer_take(struct producer *producer);
void producer_return(struct producer *producer, struct window_frame *frame);
/* A sealed frame, made under the order of that generation. ERR_STATE: that order is over; the frame
 * is given back. Under shed, a frame without credit is counted and dropped: ERR_OK. */
int producer_push(struct producer *producer, uint64_t generation, struct window_frame *frame);
/* Where the source is: what was made so far, and what is made next. */
struct producer_place {
    struct frame_totals totals; /* as the cutter has them: shed_rows is not used */
    uint64_t waiting_rows;      /* of them, not cut yet */
    struct cursor end;          /* of the next row */
    uint64_t
        lost_rows; /* of the totals, those that count as shed now: they found no room before they
                           came here */
};
/* The source is there now. ERR_STATE as above: nothing of it is counted. */
int producer_count(struct producer *producer, uint64_t generation,
                   const struct producer_place *place);
/* The same; the rows that waited found no buffer (shed), and count as shed. */
int producer_shed(struct producer *producer, uint64_t generation,
                  const struct producer_place *place);
/* The share has ended after what was pushed. ERR_STATE as above. */
int producer_end(struct producer *producer, uint64_t generation);
/* Whoever makes the frames cannot go on. */
void producer_fail(struct producer *producer, int code, const char *text);
/* Leave: nothing more is made. Under block what is not acked is dropped, to be made again; under
 * shed the rows that wait in the cutter are counted as shed, and so are frames that are not acked
 * within three seconds. Then BYE tells the totals and, under shed, where the source is: whoever
 * takes it up goes on there. */
void producer_leave(struct producer *producer, uint64_t now_ns);

enum producer_phase producer_phase(const struct producer *producer);
/* PRODUCER_FAILED: why. */
int producer_error(const struct producer *producer, const char **text);
/* The last REFUSE with RETRY that is still in force, for people; "" if none. */
const char *producer_waiting_for(const struct producer *producer);
struct producer_counters producer_counters(const struct producer *producer);
/* Rows captured and neither acked, nor shed, nor rejected: in the window or waiting in the
 * cutter. */
uint64_t producer_in_flight_rows(const struct producer *producer);
uint64_t producer_window_bytes(const struct producer *producer);
uint64_t producer_credit_frames(const struct producer *producer); /* that may be sent now */
uint64_t producer_unsent_frames(const struct producer *producer); /* that wait to be sent */

#endif
