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
    uint32_t
        batch_rows; /* most that a batch will ask for: at most a quarter of the buffer's rows */
    uint64_t seed;
    uint64_t min_rows;        /* 0: half of what the buffer holds. Where slabs expire, and one has
                                 gone, half of the rows that are there will do */
    uint64_t active_bytes;    /* slabs active at once, in bytes; 0: half of the machine's memory
                                 (replay: all, so that no machine's memory decides the order) */
    uint32_t held_out_one_in; /* 0: none */
    int shed;    /* the stream's policy: what is gone is skipped, and will not be made again */
    int expires; /* with shed: slabs go by age as well (sink.retention), in any order */
    int replay;  /* an ended stream, by (producer, number), freeing nothing, waiting for nothing */
    int look;    /* with replay: nothing will be drawn, so the stream need not have ended */
    int shuffle; /* 0: rows in order, for tests and controls */
    /* Called once for each held-out row as its slab is first seen: by number, but for frames that
     * were made again (replay: by (producer, number)). May be NULL. What it returns other than
     * ERR_OK, draw_next returns. It runs in a read transaction: it must not take long. */
    int (*held_out)(void *arg, const struct row_id *id, const float *values);
    void *arg;
};

struct draw_batch {
    float *values;      /* in: room for (rows, width); out: float32, as stored (not scaled) */
    struct row_id *ids; /* in: room for (rows) */
    size_t rows;        /* in: wanted; out: got. Fewer only where the stream has ended, or where a
                           full buffer holds no more draws than that: waiting would be for ever */
    uint64_t checkpoint_request; /* out: the buffer's present number */
    /* out: pairs of rows of one sequence, and entropy of sequences in nats: of this batch, and of
     * as many rows drawn uniformly from all that had a draw left. The ideal ones are measured with
     * every eighth batch by such a draw (of identities alone) and kept until the next; 0 where
     * fewer than two batches of rows are left and it was never measured. */
    double same_sequence_pairs, ideal_same_sequence_pairs;
    double entropy, ideal_entropy;
    double age_seconds; /* out: mean time since capture */
};

struct draw;

/* Open a buffer for drawing; waits for nothing. A child looks at the files first (it forks).
 * ERR_NOTFOUND while there is no buffer or no descriptor yet (ask again), ERR_MISMATCH,
 * ERR_VERSION. ERR_CORRUPT: it is damaged; unless this is a replay its sink has been told
 * (damage.h) and makes another: ask again. ERR_USAGE: batch_rows over a quarter of the buffer,
 * min_rows more than it holds, reuse 0. ERR_STATE: replay of a stream that has not ended. */
int draw_open(const struct draw_options *options, struct draw **draw);
void draw_close(struct draw *draw);

const char *draw_descriptor(const struct draw *draw); /* JSON, NUL-terminated, owned by draw */
uint32_t draw_width(const struct draw *draw);

/* Fill a batch; never sleeps. ERR_AGAIN: fewer than min_rows rows have a draw left and more is
 * coming, or none has, or the buffer is being made anew: wait some milliseconds and ask again
 * (checkpoint_request is valid then too: answer it). ERR_NOTFOUND: the stream has ended and every
 * draw is made. ERR_CORRUPT, of a replay alone: bytes are damaged (text names the slab). Elsewhere
 * the sink is told of damage, and ERR_AGAIN is returned until it has made another buffer, in which
 * the draw goes on (draw_damage()). ERR_MISMATCH: a remade
 * slab holds other rows than those that were drawn from, or the folder holds another stream's
 * buffer now. ERR_LIMIT: more rows than batch_rows. Errors of held_out. After an error other than
 * ERR_AGAIN and ERR_NOTFOUND the state is not to be kept. */
int draw_next(struct draw *draw, struct draw_batch *batch);

/* Take in what came and what went, as draw_next() does, and draw nothing: draw_gauges() tells then
 * what is there. ERR_OK, ERR_AGAIN: the buffer is being made anew; else as draw_next(). */
int draw_look(struct draw *draw);

/* From now on a batch is drawn where there are enough rows for it, though fewer than min_rows: the
 * consumer needs no more than what is there, and nobody knows when more comes. */
void draw_hurry(struct draw *draw);

/* Within a call of `held_out`: when the youngest row of its slab was captured (CLOCK_REALTIME). */
uint64_t draw_held_out_captured_ns(const struct draw *draw);

/* What is wrong with the buffer while another is waited for; "" else. Valid until the next draw_*
 * call. */
const char *draw_damage(const struct draw *draw);

/* The state to keep in a checkpoint: valid until the next draw_* call. Between two batches only.
 * NULL: no memory. */
const struct consumer_state *draw_state(struct draw *draw);
/* Take up a state from a checkpoint, before the first batch. ERR_MISMATCH: of another stream or
 * consumer. ERR_STATE: not before the first batch. ERR_FORMAT, ERR_NOMEM. */
int draw_resume(struct draw *draw, const struct consumer_state *state);
/* The consumer is told to stop early: its state becomes finished, and the draws left of what is
 * known count as skipped. No batch after it. */
void draw_finish(struct draw *draw);

struct draw_gauges {
    /* Slabs that this consumer still needs, that their producer has passed and that are not stored:
     * they must be made again. 0 in normal life; above 0, as of the last draw_next, after a resume
     * from a state older than the one slabs were freed by, or after the buffer was lost. Then
     * publish the present state with consumer_write(), so that the sink sets the producers back
     * (coverage_rewind). Drawing goes on meanwhile. */
    uint64_t missing_slabs;
    uint64_t slabs, active_slabs, rows_left; /* rows with a draw left, each counted once */
    uint64_t draws_left;                     /* of these rows */
    uint64_t least_rows; /* of rows_left, with which a batch is drawn while more is coming */
    uint64_t checkpoint_request; /* the buffer's number */
    int ended; /* the stream has: nothing comes to what is there, and nothing is replaced */
    uint64_t rows_drawn, rows_held_out, rows_skipped; /* as in consumer_state */
    uint64_t capacity_rows;
};
struct draw_gauges draw_gauges(const struct draw *draw);

#endif
