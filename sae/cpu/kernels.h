/*
 * The inner loops, in plain C (kept for ever: the oracle of the others), AVX2 and AVX-512. All work
 * on any length and alignment. Sums may differ between the sets in their last bits, since the order
 * of addition differs; within one set a result depends on the arguments alone.
 */
#ifndef SLUICE_SAE_CPU_KERNELS_H
#define SLUICE_SAE_CPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* One step of Adam (Kingma and Ba 2015, algorithm 1), bias corrections folded in. */
struct adam_rate {
    float gradient_scale; /* what clipping multiplies the gradient by */
    float beta1, beta2;
    float step; /* learning rate / (1 - beta1^t) */
    float root; /* 1 / sqrt(1 - beta2^t) */
    float epsilon;
};

struct kernels {
    const char *name;

    /* y = base_scale * base + sum_j a[j] * x[index[j]], each vector of n floats; the i-th row of x
     * begins at x + i * stride. base may be NULL (zeros) or y; index may be NULL (row j). */
    void (*combine)(float *y, size_t n, const float *base, float base_scale, const float *x,
                    size_t stride, const uint32_t *index, const float *a, size_t count);

    /* out[j] = x[index[j]] . y */
    void (*dots)(float *out, const float *y, size_t n, const float *x, size_t stride,
                 const uint32_t *index, size_t count);

    /* y = a - b */
    void (*subtract)(float *y, const float *a, const float *b, size_t n);

    /* Append every v[i] + bias[i] > threshold, in order of i: value and first + i. Returns how
     * many; there must be room for n. NaN is never taken. */
    size_t (*above)(const float *v, const float *bias, size_t n, float threshold, uint32_t first,
                    uint32_t *index, float *value);

    /* The k-th largest of n values that are all >= 0 (1 <= k <= n), duplicates counted; rounded
     * down, the lowest `rough` bits of the float become 0 (fewer than 31). Rough is faster. */
    float (*kth)(const float *value, size_t n, size_t k, unsigned rough);

    /* One Adam step on n weights and their moments. gradient NULL: it is zero. */
    void (*adam)(const struct adam_rate *rate, float *w, float *m, float *v, const float *gradient,
                 size_t n);
};

extern const struct kernels kernels_plain;
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;

/* The fastest set that this processor runs; SLUICE_KERNELS=plain|avx2|avx512 in the environment
 * asks for a slower one. A name that isn't one of them counts here for nothing; sae_new() refuses
 * it. */
const struct kernels *kernels_best(void);

/* Whether this processor runs the set of that name ("plain", "avx2", "avx512"); NULL if not. */
const struct kernels *kernels_by_name(const char *name);

#endif
