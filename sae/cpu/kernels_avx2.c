#include "sae/cpu/kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define TARGET __attribute__((target("avx2,fma,popcnt,bmi")))

enum { LANES = 8, TILE = 8 }; /* a tile: 8 registers, 64 floats of y that never leave them */

TARGET static void combine(float *y, size_t n, const float *base, float base_scale, const float *x,
                           size_t stride, const uint32_t *index, const float *a, size_t count)
{
    size_t i = 0;
    for (; i + TILE * LANES <= n; i += TILE * LANES) {
        __m256 sum[TILE];
        for (int t = 0; t < TILE; t++)
            sum[t] = base ? _mm256_mul_ps(_mm256_set1_ps(base_scale),
                                          _mm256_loadu_ps(base + i + t * LANES))
                          : _mm256_setzero_ps();
        for (size_t j = 0; j < count; j++) {
            const float *row = x + (index ? index[j] : j) * stride + i;
            __m256 scale = _mm256_set1_ps(a[j]);
            for (int t = 0; t < TILE; t++)
                sum[t] = _mm256_fmadd_ps(scale, _mm256_loadu_ps(row + t * LANES), sum[t]);
        }
        for (int t = 0; t < TILE; t++) _mm256_storeu_ps(y + i + t * LANES, sum[t]);
    }
    if (i < n)
        kernels_plain.combine(y + i, n - i, base ? base + i : NULL, base_scale, x + i, stride,
                              index, a, count);
}

TARGET static float sum_lanes(__m256 v)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

TARGET static void dots(float *out, const float *y, size_t n, const float *x, size_t stride,
                        const uint32_t *index, size_t count)
{
    for (size_t j = 0; j < count; j++) {
        const float *row = x + (index ? index[j] : j) * stride;
        __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                         _mm256_setzero_ps()};
        size_t i = 0;
        for (; i + 4 * LANES <= n; i += 4 * LANES)
            for (int t = 0; t < 4; t++)
                sum[t] = _mm256_fmadd_ps(_mm256_loadu_ps(row + i + t * LANES),
                                         _mm256_loadu_ps(y + i + t * LANES), sum[t]);
        float rest = 0.0f;
        for (; i < n; i++) rest += row[i] * y[i];
        out[j] = rest + sum_lanes(_mm256_add_ps(_mm256_add_ps(sum[0], sum[1]),
                                                _mm256_add_ps(sum[2], sum[3])));
    }
}

TARGET static void subtract(float *y, const float *a, const float *b, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        _mm256_storeu_ps(y + i, _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)));
    for (; i < n; i++) y[i] = a[i] - b[i];
}

TARGET static size_t above(const float *v, const float *bias, size_t n, float threshold,
                           uint32_t first, uint32_t *index, float *value)
{
    const __m256 limit = _mm256_set1_ps(threshold);
    size_t taken = 0, i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m256 x = _mm256_add_ps(_mm256_loadu_ps(v + i), _mm256_loadu_ps(bias + i));
        unsigned pass = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(x, limit, _CMP_GT_OQ));
        if (!pass) continue;
        float lane[LANES];
        _mm256_storeu_ps(lane, x);
        for (; pass; pass &= pass - 1) {
            unsigned l = (unsigned)__builtin_ctz(pass);
            index[taken] = first + (uint32_t)i + l;
            value[taken++] = lane[l];
        }
    }
    return taken + kernels_plain.above(v + i, bias + i, n - i, threshold, first + (uint32_t)i,
                                       index + taken, value + taken);
}

/* As in kernels_avx512.c: bit by bit, the largest pattern that at least k values reach. */
TARGET static float kth(const float *value, size_t n, size_t k, unsigned rough)
{
    uint32_t found = 0;
    for (uint32_t bit = 1u << 30; bit >> rough; bit >>= 1) {
        uint32_t wanted = found | bit;
        const __m256i limit = _mm256_set1_epi32((int)(wanted - 1));
        size_t reach = 0, i = 0;
        for (; i + LANES <= n; i += LANES) {
            __m256i bits = _mm256_loadu_si256((const __m256i *)(const void *)(value + i));
            int pass = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(bits, limit)));
            reach += (size_t)__builtin_popcount((unsigned)pass);
        }
        for (; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, &value[i], sizeof bits);
            reach += bits >= wanted;
        }
        if (reach >= k) found = wanted;
    }
    float result;
    memcpy(&result, &found, sizeof result);
    return result;
}

TARGET static void adam(const struct adam_rate *rate, float *w, float *m, float *v,
                        const float *gradient, size_t n)
{
    const __m256 scale = _mm256_set1_ps(rate->gradient_scale), step = _mm256_set1_ps(rate->step);
    const __m256 beta1 = _mm256_set1_ps(rate->beta1), beta2 = _mm256_set1_ps(rate->beta2);
    const __m256 rest1 = _mm256_set1_ps(1.0f - rate->beta1);
    const __m256 rest2 = _mm256_set1_ps(1.0f - rate->beta2);
    const __m256 root = _mm256_set1_ps(rate->root), epsilon = _mm256_set1_ps(rate->epsilon);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m256 g =
            gradient ? _mm256_mul_ps(scale, _mm256_loadu_ps(gradient + i)) : _mm256_setzero_ps();
        __m256 m1 = _mm256_fmadd_ps(rest1, g, _mm256_mul_ps(beta1, _mm256_loadu_ps(m + i)));
        __m256 v1 = _mm256_mul_ps(beta2, _mm256_loadu_ps(v + i));
        v1 = _mm256_fmadd_ps(_mm256_mul_ps(rest2, g), g, v1);
        __m256 divisor = _mm256_fmadd_ps(_mm256_sqrt_ps(v1), root, epsilon);
        __m256 change = _mm256_div_ps(_mm256_mul_ps(step, m1), divisor);
        _mm256_storeu_ps(m + i, m1);
        _mm256_storeu_ps(v + i, v1);
        _mm256_storeu_ps(w + i, _mm256_sub_ps(_mm256_loadu_ps(w + i), change));
    }
    kernels_plain.adam(rate, w + i, m + i, v + i, gradient ? gradient + i : NULL, n - i);
}

const struct kernels kernels_avx2 = {
    "avx2", combine, dots, subtract, above, kth, adam,
};

#endif
