/*
 * Candidates of a block of rows for a place among each row's largest. Values are exact, or each
 * known within a bound; then what is kept is all that may be among the largest.
 */
#ifndef SLUICE_SAE_CPU_COLLECTOR_H
#define SLUICE_SAE_CPU_COLLECTOR_H

#include "sae/arena.h"
#include "sae/cpu/kernels.h"

enum {
    BLOCK_ROWS = 256, /* rows of a block at most */
    BLOCK_FEATURES =
        256, /* with BLOCK_ROWS: 256 KiB of pre-activations, half of a small L2 cache */
};

/* A value and its bound are added in float32: what exceeds t has a sum that exceeds t (1 - this),
 * and the other way round. */
#define COLLECTOR_SUM_ERROR 0x1p-19f

struct collector {
    uint32_t keep, limit, stride; /* keep 0: all above zero, at most `limit` a row */
    uint32_t *count;              /* (BLOCK_ROWS) */
    uint32_t *due;                /* (BLOCK_ROWS): a list of so many is cut */
    float *threshold;             /* (BLOCK_ROWS): what a candidate must exceed */
    float *slack;    /* (BLOCK_ROWS): values may be off by so much; 0: exact; infinite: given up */
    float *bound;    /* (BLOCK_ROWS, stride): this value by so much, where they may be */
    float *least;    /* (stride): scratch */
    uint32_t *able;  /* (stride): places in a row's list, scratch of a cut */
    uint32_t *index; /* (BLOCK_ROWS, stride) */
    float *value;    /* (BLOCK_ROWS, stride): not below 0 */
    int overflow;    /* keep 0: there were more */
};

/* Lay memory for `limit` candidates per row, and a block's that come at once. */
void collector_lay(struct collector *c, uint32_t keep, uint32_t limit, struct arena *arena);

/* Forget all; candidates must exceed `floor`, 0 or more. Values are exact unless slack is set now,
 * and collector_bounded() called then. */
void collector_begin(struct collector *c, uint32_t rows, float floor);
void collector_bounded(struct collector *c, uint32_t rows);

/* What of a block (rows, n) of pre-activations, without bias (n), is a candidate; the first feature
 * is `first`. Blocks must come in order. */
void collector_add(struct collector *c, const struct kernels *kernels, uint32_t rows,
                   const float *block, uint32_t n, const float *bias, uint32_t first);

/* After candidates were appended, a block's at most: cut down lists that are due. A row
 * that has too many candidates, as its values are not exact enough, is given up: its slack is
 * infinite, its list empty. */
void collector_tidy(struct collector *c, const struct kernels *kernels, uint32_t rows);

/* Cut row r down to the `keep` largest; of equal ones the lower index stays. Where values aren't
 * exact, to those that may be among them. */
void collector_cut(struct collector *c, const struct kernels *kernels, uint32_t r);

#endif
