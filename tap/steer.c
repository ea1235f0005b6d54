#include "tap/steer.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { LANES = 16, CHUNK = 1024 };

/* Sums of so many lanes, which compilers turn into vector instructions, of each kind of processor. Not by
 * the loader's own choice (ifunc), which comes before a sanitizer is ready. */
#define DOT(name, kind)                                                                            \
    kind static float name(const float *restrict a, const float *restrict b, uint32_t n)           \
    {                                                                                              \
        float lane[LANES] = {0}, sum = 0;                                                          \
        uint32_t i = 0;                                                                            \
        for (; i + LANES <= n; i += LANES)                                                         \
            for (uint32_t k = 0; k < LANES; k++) lane[k] += a[i + k] * b[i + k];                   \
        for (; i < n; i++) sum += a[i] * b[i];                                                     \
        for (uint32_t k = 0; k < LANES; k++) sum += lane[k];                                       \
        return sum;                                                                                \
    }
DOT(dot_512, __attribute__((target("avx512f"))))
DOT(dot_256, __attribute__((target("avx2"))))
DOT(dot_plain, )

typedef float (*dot_of)(const float *restrict, const float *restrict, uint32_t);

static float dot(const float *a, const float *b, uint32_t n)
{
    static dot_of _Atomic chosen;
    dot_of best = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!best) {
        best = __builtin_cpu_supports("avx512f") ? dot_512
               : __builtin_cpu_supports("avx2")  ? dot_256
                                                 : dot_plain;
        atomic_store_explicit(&chosen, best, memory_order_relaxed);
    }
    return best(a, b, n);
}

int steer_applies(const struct steer_table *t, const struct steer_token *token, const float *row)
{
    double square = 0;
    if ((token->is_special && !t->facts->steers_special) ||
        (token->is_first && !t->facts->steers_first))
        return 0;
    for (uint32_t i = 0; i < t->facts->width; i++) square += (double)row[i] * (double)row[i];
    double limit = t->facts->limit;
    return isfinite(square) && !(limit > 0 && square > limit * limit);
}

/* ---- values ---- */

static float before(const struct steer_table *t, const float *row, uint32_t encoder)
{
    return dot(row, t->w + (size_t)encoder * t->facts->width, t->facts->width) + t->b[encoder];
}

static float gated(const struct steer_table *t, uint32_t encoder, float y)
{
    float z = t->scale[encoder] * y + t->magnitude[encoder];
    return y > 0 && z > 0 ? z : 0;
}

/* Of those above 0, the ones that k others exceed are not active. The others are computed only where there
 * is a feature to lose. */
static void keep_largest(const struct steer_table *t, const float *row, float *values)
{
    const struct steer_facts *f = t->facts;
    uint32_t larger[STEER_MOST] = {0};
    int any = 0;
    for (uint32_t c = 0; c < f->clamps; c++) any |= values[c] > 0;
    for (uint32_t e = 0; any && e < f->encoders; e++) {
        float y = before(t, row, e);
        for (uint32_t c = 0; c < f->clamps; c++)
            larger[c] += y > values[c] || (y == values[c] && e < f->clamp[c].encoder);
    }
    for (uint32_t c = 0; c < f->clamps; c++)
        if (!(values[c] > 0) || larger[c] >= f->k) values[c] = 0;
}

void steer_values(const struct steer_table *t, const float *row, float *values)
{
    const struct steer_facts *f = t->facts;
    for (uint32_t c = 0; c < f->clamps; c++) {
        uint32_t e = f->clamp[c].encoder;
        float y = before(t, row, e);
        values[c] = y;
        if (f->rule == STEER_ABOVE && !(y > t->threshold[e])) values[c] = 0;
        if (f->rule == STEER_GATED) values[c] = gated(t, e, y);
    }
    if (f->rule == STEER_LARGEST) keep_largest(t, row, values);
}

/* ---- rows ---- */

void steer_row(const struct steer_table *t, float *row)
{
    const struct steer_facts *f = t->facts;
    float has[STEER_MOST] = {0};
    double by[STEER_MOST];
    if (f->rule != STEER_ADD) steer_values(t, row, has);
    for (uint32_t c = 0; c < f->clamps; c++) by[c] = (double)f->clamp[c].value - (double)has[c];
    for (uint32_t at = 0; at < f->width; at += CHUNK) {
        uint32_t n = f->width - at < CHUNK ? f->width - at : CHUNK;
        double sum[CHUNK] = {0};
        for (uint32_t c = 0; c < f->clamps; c++) {
            const float *direction = t->directions + (size_t)c * f->width + at;
            for (uint32_t i = 0; i < n && by[c] != 0; i++) sum[i] += by[c] * (double)direction[i];
        }
        for (uint32_t i = 0; i < n; i++) row[at + i] += (float)sum[i];
    }
}
