/*
 * The frames that a producer has cut and the sink has not acked. It lives in a fixed number of
 * buffers, all allocated at the start, so that nothing grows whatever stops.
 *
 * Holds: the numbers kept are dense, first..last. A buffer is free again only when its frame has
 * left the window and nobody who sends from it holds it any more. No locks: the owner has one.
 */
#ifndef SLUICE_CAPTURE_WINDOW_H
#define SLUICE_CAPTURE_WINDOW_H

#include "proto/frame.h"

struct window_frame {
    struct frame_header header; /* sealed; number given by window_push, session when it is sent */
    uint8_t *bytes;             /* FRAME_HEADER_BYTES of room, then the payload as sent */
    uint32_t holds;             /* sends under way that still read `bytes` */
    int busy;                   /* taken, or in the window */
};

struct window;

/* `frames` buffers, each for a header and `payload_bytes`. ERR_NOMEM. The caller closes it; by then
 * no frame may be held. */
int window_open(uint32_t frames, size_t payload_bytes, struct window **window);
void window_close(struct window *window);

/* A buffer to fill, NULL where all are in use. Goes on with window_push() or window_return(). */
struct window_frame *window_take(struct window *window);
void window_return(struct window *window, struct window_frame *frame);

/* Keep a sealed frame under the next number, which is written to its header. */
void window_push(struct window *window, struct window_frame *frame);

/* The kept frame of that number, NULL where it is not kept. */
struct window_frame *window_find(struct window *window, uint64_t number);

/* Drop all frames below `number` (acked); at most up to the last. Returns the rows dropped. */
uint64_t window_drop_below(struct window *window, uint64_t number);
/* Drop everything and number on from `next_number`. Returns the rows dropped. */
uint64_t window_restart(struct window *window, uint64_t next_number);

uint64_t window_first(const struct window *window); /* lowest kept, or the next one to be pushed */
uint64_t window_next(const struct window *window);  /* number of the next frame to be pushed */
uint64_t window_rows(const struct window *window);  /* kept */
uint64_t window_bytes(const struct window *window); /* kept, as sent, headers included */

#endif
