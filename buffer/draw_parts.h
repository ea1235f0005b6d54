/*
 * The draw's inside, shared by its three files: draw.c (its life, and whether to draw now),
 * draw_arrivals.c (what came into the buffer and what went) and draw_rows.c (the rows of one
 * batch).
 */
#ifndef SLUICE_BUFFER_DRAW_PARTS_H
#define SLUICE_BUFFER_DRAW_PARTS_H

#include "base/rng.h"
#include "buffer/draw.h"
#include "buffer/environment.h"
#include "buffer/permutation.h"
#include "buffer/quality.h"
#include "buffer/slab_table.h"

struct planned_row {
    const char *raw;
    uint32_t slab; /* index into table.slab */
    uint32_t row;
};

struct draw {
    struct draw_options options; /* strings are copies */
    char *dir, *stream, *consumer;
    struct environment e; /* env NULL: the buffer is gone, or not attached again yet */
    struct format_record format;
    uint64_t device, inode; /* of the data file that is attached */
    uint64_t file_bytes;    /* of it, when it was looked at last: LMDB never makes it shorter */
    uint64_t lock_inode;    /* of the table of readers that we are counted in */
    MDB_txn *txn;           /* reset between batches */
    char *descriptor;
    struct store_state state; /* of the buffer, as of the present batch */
    struct slab_table table;
    struct rng rng;
    uint64_t last_id;     /* every slab up to it has been seen */
    int first_look;       /* nothing was seen yet since it was attached */
    int look_for_missing; /* something happened after which frames may be missing */
    uint64_t missing;
    uint64_t missing_since_ns; /* CLOCK_MONOTONIC; 0: none is */
    char damage[640];          /* what is wrong with the buffer, "": nothing is known to be */
    uint64_t distrusted;       /* inode of the data file that was left for it; 0: still attached */
    uint64_t distrusted_run;   /* that buffer's identity; 0: not known */
    uint64_t told_ns;          /* when its sink was last told */
    uint64_t replaced_slabs;   /* as of the last batch */
    struct slab_list arrived;
    float *row; /* (width): a held-out row */
    uint64_t row_captured_ns;
    /* of one batch */
    struct planned_row *plan; /* (batch_rows) */
    struct quality sequences, places;
    struct rng reference; /* of the ideal draw: no part of the state */
    uint64_t batches;
    double ideal_pairs, ideal_entropy;
    uint64_t ideal_rows;     /* of the batch that they were measured for */
    struct permutation full; /* shape of a full slab's orders */
    int started, finished;
    int progress; /* descriptor of the progress file, -1: none */
    struct consumer_state saved;
};

/* In draw.c. Let go of the buffer: what is known of its slabs stays. */
void draw_detach(struct draw *d);

/* In draw_damage.c. Whether somebody mends what is found damaged: not for a replay. */
int draw_has_sink(const struct draw *d);
/* Leave the buffer in the data file `inode`, whose identity is `run` (0: not known), for what
 * d->damage says of it (else err_text()), and tell its sink. Returns ERR_AGAIN. */
int draw_distrust(struct draw *d, uint64_t inode, uint64_t run);
/* Whether the damaged buffer is still the one that is there; then its sink is told again. */
int draw_is_distrusted(struct draw *d);
/* What came of a look at the buffer, `result`, with slabs missing for so long that it is damage:
 * ERR_CORRUPT then, else `result`. */
int draw_check_missing(struct draw *d, int result);

/* In a transaction: the slab's value, checked against its record. ERR_NOTFOUND: it is gone. */
int draw_lookup(struct draw *d, const struct drawn_slab *slab, const char **raw);
/* Its checksum, once after it was seen. ERR_CORRUPT. */
int draw_check(struct draw *d, struct drawn_slab *slab, const char *raw);
int draw_held_out(const struct draw *d, const char *raw, uint32_t row);
/* The row at place `i` in the order of the slab's present pass. */
uint32_t draw_row_at(const struct draw *d, const struct drawn_slab *slab, uint32_t i);

/* In a transaction: take in what is new, notice what is gone, hand out held-out rows, advance. */
int draw_arrivals(struct draw *d);
/* In a transaction: choose and copy `wanted` rows, or as many as there are draws. */
int draw_rows(struct draw *d, struct draw_batch *batch, size_t wanted);

#endif
