/*
 * A producer with a socket, a clock and a lock: the loop thread talks to the broker, another thread
 * makes the frames. Frames leave without being copied.
 *
 * Calls marked (maker) come from the maker's thread, all others from the loop's.
 */
#ifndef SLUICE_CAPTURE_SENDER_H
#define SLUICE_CAPTURE_SENDER_H

#include "capture/producer.h"
#include "runtime/process.h"

struct sender_options {
    struct producer_options producer;
    /* The producer's phase is PRODUCER_ENDED, _GONE or _FAILED: called once, on the loop. */
    void (*over)(void *arg);
    void *arg;
};

struct sender;

/* Connects; the process's reports go out over the same socket. Errors of link_open(), ERR_NOMEM. */
int sender_open(struct process *process, const struct sender_options *options,
                struct sender **sender);
/* Close the socket only, for a maker's thread that has not ended yet. */
void sender_disconnect(struct sender *sender);
/* The maker's thread must have ended (sender_halt() makes every call of it return). Does not wait:
 * the memory of frames that are still on their way out is freed when they have left. */
void sender_close(struct sender *sender);

/* Leave (drain): the maker is ordered to halt, BYE goes out, then over() is called. */
void sender_leave(struct sender *sender);
/* Let every call of the maker return at once, from now on. */
void sender_halt(struct sender *sender);

/* (maker) Say what the stream is; the measured descriptor. Copied. */
int sender_introduce(struct sender *sender, const char *descriptor, size_t bytes);
int sender_described(struct sender *sender, const char *descriptor, size_t bytes);
/* (maker) The share has no row to measure on. */
void sender_decline(struct sender *sender);
/* (maker) Wait for an order of another generation than `known`. Blocks. */
struct producer_order sender_wait_order(struct sender *sender, uint64_t known);
/* (maker) The order in force. */
struct producer_order sender_order(struct sender *sender);
/* (maker) A buffer for a frame under the order of that generation. Under block it waits for one;
 * under shed ERR_AGAIN at once. ERR_STATE: the order is over. */
int sender_take(struct sender *sender, uint64_t generation, struct window_frame **frame);
/* (maker) As producer_push, _shed, _count, _end, _return, _fail. */
int sender_push(struct sender *sender, uint64_t generation, struct window_frame *frame);
int sender_shed(struct sender *sender, uint64_t generation, const struct producer_place *place);
int sender_count(struct sender *sender, uint64_t generation, const struct producer_place *place);
int sender_end(struct sender *sender, uint64_t generation);
void sender_return(struct sender *sender, struct window_frame *frame);
void sender_fail(struct sender *sender, int code, const char *text);
/* (maker, after an order to make) The committed descriptor. Never changes after that. */
const struct descriptor *sender_descriptor(struct sender *sender);

struct sender_status {
    enum producer_phase phase;
    int error;       /* PRODUCER_FAILED */
    char text[1024]; /* the error's, or what it waits for */
    struct producer_counters counters;
    uint64_t in_flight_rows, window_bytes, credit_frames;
    double blocked_seconds; /* the maker waited for room, in all */
};
void sender_status(struct sender *sender, struct sender_status *status);

#endif
