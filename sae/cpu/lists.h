/*
 * Which features are active in which rows: by row, as the encoder finds them, and the same pairs by
 * feature, as the gradients of the weights want them.
 */
#ifndef SLUICE_SAE_CPU_LISTS_H
#define SLUICE_SAE_CPU_LISTS_H

#include "sae/arena.h"
#include "sae/cpu/pool.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { LIST_CHUNKS = 8 }; /* row ranges that are grouped side by side */

struct row_lists {
    uint32_t rows, capacity; /* B; pairs that there is room for */
    uint32_t *start, *count; /* (B): of each row's pairs */
    uint32_t *index;         /* (capacity): feature, ascending within a row */
    float *value;            /* (capacity): f, > 0 */
    float *gradient;         /* (capacity): of the loss with respect to the pre-activation */
    atomic_uint used;
    atomic_int overflow; /* 1: there was no room for some row */
};

struct feature_lists {
    uint32_t features, capacity;
    uint32_t *start; /* (F + 1) */
    uint32_t *row;   /* (capacity), ascending within a feature */
    float *value;    /* (capacity) */
    float *gradient; /* (capacity) */
    uint32_t *place; /* (LIST_CHUNKS, F): scratch */
};

/* Lay memory for `rows` rows and `capacity` pairs of them all. */
void row_lists_lay(struct row_lists *lists, uint32_t rows, uint32_t capacity, struct arena *arena);
/* Forget all pairs. */
void row_lists_clear(struct row_lists *lists);
/* Room for `count` pairs of `row`: where they start; -1 and overflow = 1 where there is none, and
 * the row then has no pairs. May be called from several threads for several rows. */
int64_t row_lists_reserve(struct row_lists *lists, uint32_t row, uint32_t count);

/* Lay memory for `capacity` pairs. */
void feature_lists_lay(struct feature_lists *lists, uint32_t features, uint32_t capacity,
                       struct arena *arena);
/* Group the pairs of the first `rows` rows by feature. */
void feature_lists_group(struct feature_lists *lists, const struct row_lists *rows_lists,
                         uint32_t rows, struct pool *pool);

#endif
