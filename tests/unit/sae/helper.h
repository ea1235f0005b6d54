/* What several tests of this folder need. */
#ifndef SLUICE_TESTS_SAE_HELPER_H
#define SLUICE_TESTS_SAE_HELPER_H

#include "base/err.h"
#include "base/rng.h"
#include "sae/sae.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

/* Every kind of SAE; `count` is the last. */
static const struct {
    enum sae_arch arch, activation;
} kinds[] = {
    {SAE_L1, SAE_L1},
    {SAE_TOPK, SAE_TOPK},
    {SAE_BATCHTOPK, SAE_BATCHTOPK},
    {SAE_MATRYOSHKA, SAE_MATRYOSHKA},
    {SAE_JUMPRELU, SAE_JUMPRELU},
    {SAE_GATED, SAE_GATED},
    {SAE_TRANSCODER, SAE_L1},
    {SAE_TRANSCODER, SAE_TOPK},
    {SAE_TRANSCODER, SAE_BATCHTOPK},
    {SAE_CROSSCODER, SAE_L1},
    {SAE_CROSSCODER, SAE_TOPK},
    {SAE_CROSSCODER, SAE_BATCHTOPK},
    {SAE_CLT, SAE_JUMPRELU},
    {SAE_CLT, SAE_BATCHTOPK},
    {SAE_COUNT, SAE_COUNT},
};
enum { KINDS = sizeof kinds / sizeof kinds[0], KIND_COUNT = KINDS - 1 };

/* Defaults of a kind on rows of `width` values; a transcoder sees a third of them and skips, a
 * crosscoder has as many hooks as the smallest divisor says; a clt has two layers whose inputs are half
 * as wide as their outputs, or one. */
static inline struct sae_options kind_options(int kind, uint32_t width)
{
    struct sae_options o;
    sae_options_default(kinds[kind].arch, &o);
    o.activation = kinds[kind].activation;
    o.width = width;
    if (o.arch == SAE_TRANSCODER) {
        o.width_in = width / 3;
        o.skip = 1;
    }
    if (o.arch == SAE_CLT) {
        o.width_in = width / 3;
        o.hooks = width % 6 == 0 ? 2 : 1;
    }
    for (uint32_t h = width; o.arch == SAE_CROSSCODER && h > 1; h--)
        if (width % h == 0) o.hooks = h;
    return o;
}

/* One on two threads; the rest is the architecture's default. */
static inline struct sae *small_sae(enum sae_arch arch, uint32_t width, uint32_t features,
                                    uint32_t k, uint32_t rows)
{
    struct sae_options o;
    struct sae *sae;
    sae_options_default(arch, &o);
    o.width = width;
    o.features = features;
    o.k = k;
    o.batch_rows = rows;
    o.threads = 2;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    return sae;
}

struct candidate {
    float value;
    uint32_t index;
};

/* For qsort(): the largest first, of equal ones the lower index. */
static inline int best_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* `count` random unit directions, (count, width). */
static inline void random_directions(struct rng *rng, float *out, uint32_t count, uint32_t width)
{
    for (uint32_t i = 0; i < count; i++) {
        float *row = out + (size_t)i * width;
        double square = 0;
        for (uint32_t j = 0; j < width; j++) {
            row[j] = (float)rng_normal(rng);
            square += (double)row[j] * row[j];
        }
        for (uint32_t j = 0; j < width; j++) row[j] = (float)(row[j] / sqrt(square));
    }
}

/* Rows that are sums of `active` of the directions, each with a weight between 1 and 2, scaled to
 * E||x||^2 = width. */
static inline void sparse_rows(struct rng *rng, const float *directions, uint32_t count,
                               uint32_t width, uint32_t active, float *x, uint32_t rows)
{
    double square = 0;
    for (uint32_t r = 0; r < rows; r++) {
        float *row = x + (size_t)r * width;
        for (uint32_t j = 0; j < width; j++) row[j] = 0;
        for (uint32_t a = 0; a < active; a++) {
            const float *d = directions + (size_t)rng_below(rng, count) * width;
            float weight = 1 + (float)rng_unit(rng);
            for (uint32_t j = 0; j < width; j++) row[j] += weight * d[j];
        }
        for (uint32_t j = 0; j < width; j++) square += (double)row[j] * row[j];
    }
    float scale = (float)sqrt(width * (double)rows / square);
    for (size_t i = 0; i < (size_t)rows * width; i++) x[i] *= scale;
}

#endif
