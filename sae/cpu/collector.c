#include "sae/cpu/collector.h"

#include <math.h>
#include <string.h>

/* Bits of a float that a cut of bounded values leaves aside, for half the passes: a 256th of the
 * value at most, much less than bounds are. */
enum { ROUGH = 15 };

static const uint32_t first_cut = 12; /* times `keep`: when a list of bounded values is cut first */

void collector_lay(struct collector *c, uint32_t keep, uint32_t limit, struct arena *arena)
{
    size_t stride = (size_t)limit + BLOCK_FEATURES;
    *c = (struct collector){.keep = keep, .limit = limit, .stride = (uint32_t)stride};
    c->count = arena_take(arena, BLOCK_ROWS, sizeof *c->count);
    c->due = arena_take(arena, BLOCK_ROWS, sizeof *c->due);
    c->threshold = arena_take(arena, BLOCK_ROWS, sizeof *c->threshold);
    c->slack = arena_take(arena, BLOCK_ROWS, sizeof *c->slack);
    c->index = arena_take(arena, BLOCK_ROWS * stride, sizeof *c->index);
    c->value = arena_take(arena, BLOCK_ROWS * stride, sizeof *c->value);
    c->bound = arena_take(arena, BLOCK_ROWS * stride, sizeof *c->bound);
    c->least = arena_take(arena, stride, sizeof *c->least);
    c->able = arena_take(arena, stride, sizeof *c->able);
}

void collector_begin(struct collector *c, uint32_t rows, float floor)
{
    memset(c->count, 0, rows * sizeof *c->count);
    memset(c->slack, 0, rows * sizeof *c->slack);
    for (uint32_t r = 0; r < rows; r++) {
        c->threshold[r] = floor;
        c->due[r] = c->limit;
    }
    c->overflow = 0;
}

/* What the sum of a value and its bound must exceed where the exact value is to exceed this. */
static float lowered(float threshold)
{
    return threshold > 1e-30f ? threshold * (1 - COLLECTOR_SUM_ERROR) : 0;
}

void collector_bounded(struct collector *c, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++) {
        c->threshold[r] = c->slack[r] < INFINITY ? lowered(c->threshold[r]) : INFINITY;
        if (c->slack[r] > 0)
            c->due[r] = first_cut * c->keep < c->limit ? first_cut * c->keep : c->limit;
    }
}

/* The `keep` largest, exactly; the smallest that stays is what later candidates must exceed: they
 * have higher indexes. */
static void cut_exact(struct collector *c, const struct kernels *kernels, uint32_t r)
{
    uint32_t count = c->count[r];
    uint32_t *index = c->index + (size_t)r * c->stride;
    float *value = c->value + (size_t)r * c->stride;
    float least = kernels->kth(value, count, c->keep, 0);
    uint32_t larger = 0, kept = 0;
    for (uint32_t j = 0; j < count; j++) larger += value[j] > least;
    uint32_t equal = c->keep - larger;
    for (uint32_t j = 0; j < count; j++) {
        if (!(value[j] > least)) {
            if (value[j] < least || equal == 0) continue;
            equal--;
        }
        index[kept] = index[j];
        value[kept++] = value[j];
    }
    c->count[r] = kept;
    c->threshold[r] = least;
}

/* The `keep` values that are the most at the least tell what the others must be able to reach. */
static void cut_bounded(struct collector *c, const struct kernels *kernels, uint32_t r)
{
    uint32_t count = c->count[r];
    size_t at = (size_t)r * c->stride;
    for (uint32_t j = 0; j < count; j++) {
        float least = c->value[at + j] - c->bound[at + j];
        c->least[j] = least > 0 ? least : 0;
    }
    float reached = lowered(kernels->kth(c->least, count, c->keep, ROUGH));
    if (reached > c->threshold[r]) c->threshold[r] = reached;
    uint32_t kept = (uint32_t)kernels->above(c->value + at, c->bound + at, count, c->threshold[r],
                                             0, c->able, c->least);
    for (uint32_t j = 0; j < kept; j++) {
        uint32_t from = c->able[j];
        c->index[at + j] = c->index[at + from];
        c->value[at + j] = c->value[at + from];
        c->bound[at + j] = c->bound[at + from];
    }
    c->count[r] = kept;
}

void collector_cut(struct collector *c, const struct kernels *kernels, uint32_t r)
{
    if (c->count[r] <= c->keep) return;
    if (c->slack[r] > 0)
        cut_bounded(c, kernels, r);
    else
        cut_exact(c, kernels, r);
}

static void give_up(struct collector *c, uint32_t r)
{
    c->slack[r] = c->threshold[r] = INFINITY;
    c->count[r] = 0;
}

/* One that is hardly shorter then is left to grow to twice that, and given up at the limit: else it
 * would be cut at every turn. */
static void shorten(struct collector *c, const struct kernels *kernels, uint32_t r)
{
    if (c->keep == 0) {
        c->overflow = 1;
        c->count[r] = 0;
        return;
    }
    collector_cut(c, kernels, r);
    if (!(c->slack[r] > 0)) return;
    if (c->count[r] + BLOCK_FEATURES > c->limit) {
        give_up(c, r);
        return;
    }
    uint32_t twice = 2 * c->count[r];
    if (twice > c->due[r]) c->due[r] = twice < c->limit ? twice : c->limit;
}

void collector_tidy(struct collector *c, const struct kernels *kernels, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++)
        if (c->count[r] >= c->due[r]) shorten(c, kernels, r);
}

void collector_add(struct collector *c, const struct kernels *kernels, uint32_t rows,
                   const float *block, uint32_t n, const float *bias, uint32_t first)
{
    for (uint32_t r = 0; r < rows; r++) {
        size_t at = (size_t)r * c->stride + c->count[r];
        float *value = c->value + at;
        uint32_t added =
            (uint32_t)kernels->above(block + (size_t)r * n, bias, n, c->threshold[r] - c->slack[r],
                                     first, c->index + at, value);
        for (uint32_t j = 0; j < added; j++) {
            if (!(value[j] > 0)) value[j] = 0;
            c->bound[at + j] = c->slack[r];
        }
        c->count[r] += added;
    }
    collector_tidy(c, kernels, rows);
}
