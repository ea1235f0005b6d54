#include "sae/cpu/exact.h"

#include <string.h>

enum { USUAL = 128 }; /* candidates of a row that there is room for at once, in the mean */

static uint32_t capacity_of(uint32_t stride)
{
    return stride < BLOCK_ROWS * USUAL ? BLOCK_ROWS * USUAL : stride;
}

void exact_lay(struct exact *e, uint32_t features, uint32_t layer_features, uint32_t stride,
               struct arena *arena)
{
    *e = (struct exact){features, layer_features, .capacity = capacity_of(stride)};
    e->end = arena_take(arena, features, sizeof *e->end);
    e->row = arena_take(arena, e->capacity, sizeof *e->row);
    e->slot = arena_take(arena, e->capacity, sizeof *e->slot);
    e->dots = arena_take(arena, BLOCK_ROWS, sizeof *e->dots);
}

/* The candidates of rows [first, last), ordered by feature, within a feature by row. */
static void order(struct exact *e, const struct collector *c, uint32_t first, uint32_t last)
{
    uint32_t at = 0;
    memset(e->end, 0, e->features * sizeof *e->end);
    for (uint32_t r = first; r < last; r++)
        for (uint32_t j = 0; j < c->count[r]; j++) e->end[c->index[(size_t)r * c->stride + j]]++;
    for (uint32_t f = 0; f < e->features; f++) { /* counts become starts */
        uint32_t count = e->end[f];
        e->end[f] = at;
        at += count;
    }
    for (uint32_t r = first; r < last; r++)
        for (uint32_t j = 0; j < c->count[r]; j++) {
            uint32_t slot = r * c->stride + j, place = e->end[c->index[slot]]++;
            e->row[place] = r;
            e->slot[place] = slot;
        }
}

void exact_values(struct exact *e, const struct kernels *kernels, struct collector *c,
                  const float *x, size_t stride, uint32_t n, const float *w, uint32_t width,
                  const float *bias)
{
    for (uint32_t first = 0, last = 0; first < n; first = last) {
        uint32_t count = 0;
        while (last < n && count + c->count[last] <= e->capacity) count += c->count[last++];
        order(e, c, first, last);
        for (uint32_t f = 0, at = 0; f < e->features; at = e->end[f++]) {
            uint32_t rows = e->end[f] - at;
            if (rows == 0) continue;
            kernels->dots(e->dots, w + (size_t)f * width, width, x + f / e->layer_features * width,
                          stride, e->row + at, rows);
            for (uint32_t i = 0; i < rows; i++) c->value[e->slot[at + i]] = e->dots[i] + bias[f];
        }
    }
}
