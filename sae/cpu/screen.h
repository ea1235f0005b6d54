/*
 * Which features may be among a row's largest, at a quarter of what float32 costs: rows and weights
 * are quantized to 8 bits, and their product tells each pre-activation up to a bound that is proven
 * here. What the bound leaves open is for the caller to compute in float32 (encode.c).
 *
 * The bound. Let x be a row, w a feature's weights, D their width, u = 2^-24. Each 16 dimensions
 * are rotated, both of x and of w, so that a few large ones don't make the others' steps coarse; x'
 * and w' are the rotated vectors, |x'| = |x|, |w'| = |w|, x'.w' = x.w. Quantized, a = s q ~ x' and
 * b = t p ~ w', q and p whole numbers in [-127, 127], s and t the steps. Then
 *
 *     x.w - a.b = (x' - a).w' + a.(w' - b),   so by Cauchy-Schwarz
 *     |x.w - a.b| <= |x' - a| |w'| + |a| |w' - b|,
 *
 * and all four norms are measured: nothing is assumed of the data or of the rounding to q and p.
 * a.b = s t (q.p), where q.p is exact in 32 bits (255 127 D < 2^31). To that come
 * - the float32 dot product that it is to bound, summed in any order, fused or not: at most
 *   D u / (1 - D u) sum |x_i w_i| <= 1.07 D u |x| |w| for D up to 2^20
 *   (Higham, Accuracy and Stability, 3.1);
 * - the conversion of q.p and two multiplications by s and t: 4 u |a| |b|, |a| <= |x| + |x' - a|;
 * - the rotation: four sums or differences one upon the other, 4.01 u |x|, and a quarter, exact;
 * - the norms, which are made in float32: relative D u at most, and a difference x'_i - s q_i that
 *   is off by 2 u |x'_i|;
 * - bias and bound are added in float32. Only values above zero are of interest: there the error is
 *   within 3 u of the sum and 3 u of the bound. The sum's part is the caller's
 *   (COLLECTOR_SUM_ERROR), the bound's is below.
 * With k = (D + 32) 2^-23, more than twice D u + 16 u, all of that is covered by
 *     e = (1 + k) (|x' - a| + 3 k |x|),  n = (1 + k) |w|,
 *     g = (1 + k) |a|,                    m = (1 + k) |w' - b| + k |w|,
 *     bound = e n + g m.
 * Underflow anywhere costs less than D 2^-120, below the product of the 2^-50 that are added to e,
 * n and m. A row of zeros has e = g = 0: its dot products are exactly zero.
 *
 * For a product made by BLAS in place of the 8-bit one, two float32 sums differ by 2.14 D u |x'|
 * |w'| at most: bound = e n with e = 3 k |x'|.
 *
 * Rows for which some bound is not below 1e30 (huge, infinite or NaN, or such weights) have no
 * bound: slack is infinite, and the caller computes all their features.
 */
#ifndef SLUICE_SAE_CPU_SCREEN_H
#define SLUICE_SAE_CPU_SCREEN_H

#include "sae/cpu/collector.h"
#include "sae/cpu/pool.h"

#include <stddef.h>
#include <stdint.h>

enum {
    SCREEN_PANEL = 48,        /* features that meet a few rows at once */
    SCREEN_LANES = 16,        /* of them side by side in memory */
    SCREEN_ROWS = 8,          /* rows that meet a panel at once */
    SCREEN_MAX_WIDTH = 16384, /* beyond that float32; the product's 32 bits end at 66,311 */
};

/* Of one vector, against its rotated original; float32 as they come. */
struct screen_vector {
    float step;      /* s: vector ~ step * q */
    float norm;      /* |v'| */
    float rest;      /* |v' - step q| */
    float quantized; /* |step q| */
    int32_t sum;     /* of q */
    int nonzero;     /* some value is not 0 */
};

/* The quantized rows of a block. */
struct screen_rows {
    int8_t *q;    /* (BLOCK_ROWS, 4 groups) */
    float *step;  /* (BLOCK_ROWS) */
    int32_t *sum; /* (BLOCK_ROWS) of q */
    float *e, *g; /* (BLOCK_ROWS): bound = e n + g m */
};

/* A step's features. Beyond F they are filled up with some that nothing exceeds. */
struct screen {
    const struct screen_kernels *kernels; /* NULL: float32 products alone */
    uint32_t width, features;             /* D, F */
    uint32_t groups;                      /* of 4 dimensions: screen_lanes(D) / 4 */
    uint32_t padded;                      /* F, to whole panels */
    int quantized;                        /* this step */
    uint8_t *p;                           /* (padded / 16, groups, 16, 4): p + 128 */
    float *step, *n, *m, *bias;           /* (padded) */
    float most_n, most_m;                 /* the largest of n and m, of this step */
};

struct screen_kernels {
    const char *name;
    /* v (width), rotated, becomes q (screen_lanes(width)). */
    void (*quantize)(const float *v, uint32_t width, int8_t *q, struct screen_vector *out);
    /* Append every feature of a panel whose upper bound exceeds a row's threshold, for `rows` rows:
     * its number, max(0, value) and the bound. There must be room for a panel. */
    void (*take)(const struct screen *s, const struct screen_rows *x, uint32_t rows, uint32_t panel,
                 struct collector *c);
};

/* D, to whole groups that are rotated. */
uint32_t screen_lanes(uint32_t width);

extern const struct screen_kernels screen_plain; /* the oracle */
extern const struct screen_kernels screen_vnni;  /* AVX-512 VNNI */

/* Whether this processor runs what is called "off" (NULL), "plain" or "vnni". */
int screen_by_name(const char *name, const struct screen_kernels **kernels);
/* What this processor runs faster than a float32 product; NULL: nothing. SLUICE_SCREEN=off|plain|
 * vnni in the environment asks for another one that it runs. It changes no result. A name that
 * isn't one of them counts here for nothing; sae_new() refuses it. */
const struct screen_kernels *screen_best(void);

/* Lay memory for a step's features. kernels may be NULL. */
void screen_lay(struct screen *s, uint32_t width, uint32_t features,
                const struct screen_kernels *kernels, struct arena *arena);
/* Lay memory for the rows of a block; `s` tells their width. */
void screen_rows_lay(struct screen_rows *x, const struct screen *s, struct arena *arena);

/* A step's weights (F, D) and biases (F); s->quantized tells whether for 8-bit products. */
void screen_weights(struct screen *s, const struct kernels *kernels, struct pool *pool,
                    const float *w, const float *bias);

/* Rows of input, `stride` apart: e and g of each; for 8-bit products also q. slack[r] is the
 * largest bound of any feature, or infinity where there is none. */
void screen_block(const struct screen *s, const struct kernels *kernels, const float *input,
                  size_t stride, uint32_t rows, int eight_bit, struct screen_rows *x, float *slack);

#endif
