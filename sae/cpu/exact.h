/*
 * From candidates whose values are bounded to exact pre-activations: kernels->dots() plus bias, of
 * every candidate of a block of rows.
 *
 * They are computed feature by feature. A feature's weights then come once for all rows of the
 * block that want them, and the rows, which come again and again, fit the second cache; row by row
 * it would be the other way round, and weights fit no cache.
 */
#ifndef SLUICE_SAE_CPU_EXACT_H
#define SLUICE_SAE_CPU_EXACT_H

#include "sae/cpu/collector.h"

struct exact {
    uint32_t features, layer_features, capacity;
    uint32_t *end;        /* (F): behind a feature's last candidate */
    uint32_t *row, *slot; /* (capacity): of candidates by feature: row of the block, place in the
                           * collector's lists */
    float *dots;          /* (BLOCK_ROWS) */
};

/* Lay memory for lists of `stride` candidates per row at most. Each layer_features features see the
 * next `width` values of a row. */
void exact_lay(struct exact *e, uint32_t features, uint32_t layer_features, uint32_t stride,
               struct arena *arena);

/* The pre-activations of n rows x, `stride` apart: weights w (F, width), bias (F). c->value of all
 * candidates of the rows is set; bounds are not looked at. */
void exact_values(struct exact *e, const struct kernels *kernels, struct collector *c,
                  const float *x, size_t stride, uint32_t n, const float *w, uint32_t width,
                  const float *bias);

#endif
