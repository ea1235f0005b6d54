/*
 * Random rows out of the buffer, for one consumer: read-only, beside the sink that writes.
 *
 * All slabs with draws left are active, each at its own place in its own random order of rows;
 * every row of a batch comes from an active slab chosen uniformly. A batch is one short read
 * transaction.
 */
#ifndef SLUICE_BUFFER_DRAW_H
#define SLUICE_BUFFER_DRAW_H

#include "buffer/consumer.h"
#include "buffer/store.h"

struct draw_options {
    const char *dir; /* the buffer's folder */
    const char *stream;
    const char *consumer;
    uint32_t reuse; /* times that each row is drawn */
    uint64_t seed;
    uint64_t min_rows;        /* 0: half of what the buffer holds */
    uint64_t active_bytes;    /* slabs active at once, in bytes; 0: what memory holds */
    uint32_t held_out_one_in; /* 0: none */
    int replay;               /* take slabs by (producer, number), free nothing, wait for nothing */
    int shuffle;              /* 0: rows in order, for tests and controls */
    /* Called once for each held-out row, in order of arrival (may be NULL). */
    int (*held_out)(void *arg, const struct row_id *id, const float *values);
    void *arg;
};

struct draw_batch {
    float *values;      /* in: room for (rows, width); out: float32, as stored (not scaled) */
    struct row_id *ids; /* in: room for (rows) */
    size_t rows;        /* in: wanted; out: got. Fewer only where the stream has ended */
    uint64_t checkpoint_request;                           /* out: the buffer's present number */
    double same_sequence_pairs, ideal_same_sequence_pairs; /* out: measured and expected */
    double entropy, ideal_entropy; /* out: of sequences in this batch, nats */
    double age_seconds;            /* out: mean time since capture */
};

struct draw;

/* Open a buffer for drawing; waits for nothing. ERR_NOTFOUND while there is no buffer or no
 * descriptor yet (ask again), ERR_MISMATCH, ERR_VERSION, ERR_CORRUPT. */
int draw_open(const struct draw_options *options, struct draw **draw);
void draw_close(struct draw *draw);

const char *draw_descriptor(const struct draw *draw); /* JSON, NUL-terminated, owned by draw */
uint32_t draw_width(const struct draw *draw);

/* Fill a batch. ERR_AGAIN: fewer than min_rows rows have a draw left and more is coming: wait some
 * milliseconds and ask again (checkpoint_request is valid then too). ERR_NOTFOUND: the stream has
 * ended and every draw is made. ERR_CORRUPT: a slab's bytes are damaged (text names it).
 * ERR_MISMATCH: a remade slab holds other rows than those that were drawn from. */
int draw_next(struct draw *draw, struct draw_batch *batch);

/* The state to keep in a checkpoint: valid until the next draw_* call. Between two batches only. */
const struct consumer_state *draw_state(struct draw *draw);
/* Take up a state from a checkpoint, before the first batch. ERR_MISMATCH. */
int draw_resume(struct draw *draw, const struct consumer_state *state);

struct draw_gauges {
    uint64_t slabs, active_slabs, rows_left; /* rows with a draw left, each counted once */
    uint64_t rows_drawn, rows_held_out, rows_skipped;
    uint64_t capacity_rows;
};
struct draw_gauges draw_gauges(const struct draw *draw);

#endif
