/*
 * Which features are near each other: those that fire at the same tokens, and those whose directions
 * point the same way.
 *
 * Firing together is told by pointwise mutual information, ln(P(g | f) / P(g)), which a feature that
 * always fires does not win, as it would by counting. P(g | f) is estimated on at most
 * NEIGHBOURS_ROWS of f's rows, evenly chosen; where f has no more it is exact. A pair that fires at
 * fewer than NEIGHBOURS_LEAST of those is left out: chance gives rare features any PMI.
 */
#ifndef SLUICE_INSPECT_NEIGHBOURS_H
#define SLUICE_INSPECT_NEIGHBOURS_H

#include "inspect/sorter.h"
#include "inspect/subject.h"

enum {
    NEIGHBOURS = 16,
    NEIGHBOURS_ROWS = 2048,
    NEIGHBOURS_LEAST = 5,
    NEIGHBOURS_BLOCK = 64, /* features whose cosines are made at once */
};

struct neighbour {
    uint32_t feature;
    uint32_t rows; /* looked at, at which both fire; of neighbours_alike() 0 */
    double score;  /* PMI, or cosine */
};

/* The largest PMI first (ties: the lower feature). `counter` (features) is 0, and is 0 again after;
 * `touched` (features) is scratch. How many, at most NEIGHBOURS, into out. */
uint32_t neighbours_together(const struct record_view *view, const struct sorted *sorted,
                             uint32_t feature, uint32_t features, uint64_t kept_rows,
                             uint32_t *counter, uint32_t *touched, struct neighbour *out);

/* Get ready for neighbours_cosines(): 1 / norm of each direction into inverse (features), 0 of one that
 * is 0. Errors of blas_open(). */
int neighbours_norms(const struct subject *subject, float *inverse);

/* Cosines of the directions of features first to first + count, at most NEIGHBOURS_BLOCK, with all:
 * out (count, features), by the subject's threads. They are the same bits for the same `first` and
 * `count`, whatever the threads. neighbours_norms() before. */
void neighbours_cosines(const struct subject *subject, const float *inverse, uint32_t first,
                        uint32_t count, float *out);

/* Of one feature's row of them (features), the largest first (ties: the lower feature); those above
 * 0, without itself. */
uint32_t neighbours_alike(const float *cosines, uint32_t feature, uint32_t features,
                          struct neighbour *out);

#endif
