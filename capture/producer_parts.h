/* What the files of a producer's state machine share: used by producer.c and producer_send.c alone. */
#ifndef SLUICE_CAPTURE_PRODUCER_PARTS_H
#define SLUICE_CAPTURE_PRODUCER_PARTS_H

#include "capture/producer.h"

struct text {
    char *data;
    size_t bytes;
};

struct producer {
    struct producer_options options;
    uint64_t stream;
    enum producer_phase phase;
    struct text introduction; /* descriptor without what is measured */
    struct text described;    /* with it */
    struct descriptor descriptor;
    int has_descriptor;

    uint32_t epoch; /* 0: not given one yet */
    uint64_t session;
    uint64_t credit;
    uint64_t heard_ns;                  /* last message of the sink in this session */
    uint64_t hello_ns, ping_ns, end_ns; /* when each is due */
    uint64_t describe_ns;               /* the same, for what was measured; never before it was */

    struct window *window;
    uint64_t send_next; /* number of the next frame to send */
    uint64_t sent_most; /* highest ever sent, for counting those sent again */
    struct producer_order order;
    int has_ended; /* nothing more will be pushed */
    int declines;  /* its share has no row to measure */
    uint64_t end_number;
    int leaving;
    uint64_t leave_ns; /* leaving: no ack is waited for any longer */

    struct producer_counters counters;
    struct frame_totals acked_totals; /* in the header of the last acked frame */
    uint64_t waiting_rows;
    struct cursor end;  /* of the next row of the source, as counted */
    uint64_t shed_from; /* leaving: frames from there on were sent, and count as shed; 0: none */
    int error;
    char error_text[1024];
    char waiting_for[256];
};

/* Nothing more is said or made. */
static inline int is_over(const struct producer *p)
{
    return p->phase >= PRODUCER_ENDED;
}

#endif
