#include "sae/cpu/kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,fma")))

enum { LANES = 16, TILE = 8 }; /* a tile: 8 registers, 128 floats of y that never leave them */

static inline __mmask16 tail_mask(size_t n)
{
    return n >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

/* One tile of combine(): `n` floats, at most TILE * LANES. */
TARGET static void combine_tile(float *y, size_t n, const float *base, float base_scale,
                                const float *x, size_t stride, const uint32_t *index,
                                const float *a, size_t count)
{
    __m512 sum[TILE];
    __mmask16 mask[TILE];
    for (int t = 0; t < TILE; t++) {
        size_t at = (size_t)t * LANES;
        mask[t] = at < n ? tail_mask(n - at) : 0;
        sum[t] = base ? _mm512_mul_ps(_mm512_set1_ps(base_scale),
                                      _mm512_maskz_loadu_ps(mask[t], base + at))
                      : _mm512_setzero_ps();
    }
    for (size_t j = 0; j < count; j++) {
        const float *row = x + (index ? index[j] : j) * stride;
        __m512 scale = _mm512_set1_ps(a[j]);
        for (int t = 0; t < TILE; t++)
            sum[t] =
                _mm512_fmadd_ps(scale, _mm512_maskz_loadu_ps(mask[t], row + t * LANES), sum[t]);
    }
    for (int t = 0; t < TILE; t++) _mm512_mask_storeu_ps(y + t * LANES, mask[t], sum[t]);
}

/* The same for `vectors` whole registers, a constant, without masks. */
TARGET static inline __attribute__((always_inline)) void
combine_whole(int vectors, float *y, const float *base, float base_scale, const float *x,
              size_t stride, const uint32_t *index, const float *a, size_t count)
{
    __m512 sum[TILE];
#pragma GCC unroll 8
    for (int t = 0; t < vectors; t++)
        sum[t] = base ? _mm512_mul_ps(_mm512_set1_ps(base_scale), _mm512_loadu_ps(base + t * LANES))
                      : _mm512_setzero_ps();
    for (size_t j = 0; j < count; j++) {
        const float *row = x + (index ? index[j] : j) * stride;
        __m512 scale = _mm512_set1_ps(a[j]);
#pragma GCC unroll 8
        for (int t = 0; t < vectors; t++)
            sum[t] = _mm512_fmadd_ps(scale, _mm512_loadu_ps(row + t * LANES), sum[t]);
    }
#pragma GCC unroll 8
    for (int t = 0; t < vectors; t++) _mm512_storeu_ps(y + t * LANES, sum[t]);
}

TARGET static void combine(float *y, size_t n, const float *base, float base_scale, const float *x,
                           size_t stride, const uint32_t *index, const float *a, size_t count)
{
    enum { WHOLE = TILE * LANES, HALF = WHOLE / 2 };
    size_t i = 0;
    for (; i + WHOLE <= n; i += WHOLE)
        combine_whole(TILE, y + i, base ? base + i : NULL, base_scale, x + i, stride, index, a,
                      count);
    if (i + HALF <= n) {
        combine_whole(TILE / 2, y + i, base ? base + i : NULL, base_scale, x + i, stride, index, a,
                      count);
        i += HALF;
    }
    if (i < n)
        combine_tile(y + i, n - i, base ? base + i : NULL, base_scale, x + i, stride, index, a,
                     count);
}

/* Listed rows lie anywhere: the processor does not guess the next one. */
TARGET static inline void fetch(const float *row, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) _mm_prefetch((const char *)(row + i), _MM_HINT_T0);
}

TARGET static inline float sum_of(const __m512 sum[4])
{
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

/* Of `rows` rows, a constant, side by side; each is summed as if it were alone. */
TARGET static inline __attribute__((always_inline)) void
dots_of(int rows, float *out, const float *y, size_t n, const float *const *row)
{
    __m512 sum[2][4];
#pragma GCC unroll 2
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int t = 0; t < 4; t++) sum[r][t] = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
#pragma GCC unroll 4
        for (int t = 0; t < 4; t++) {
            __m512 of_y = _mm512_loadu_ps(y + i + t * LANES);
#pragma GCC unroll 2
            for (int r = 0; r < rows; r++)
                sum[r][t] =
                    _mm512_fmadd_ps(_mm512_loadu_ps(row[r] + i + t * LANES), of_y, sum[r][t]);
        }
    for (; i < n; i += LANES) {
        __mmask16 mask = tail_mask(n - i);
        __m512 of_y = _mm512_maskz_loadu_ps(mask, y + i);
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++)
            sum[r][0] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, row[r] + i), of_y, sum[r][0]);
    }
#pragma GCC unroll 2
    for (int r = 0; r < rows; r++) out[r] = sum_of(sum[r]);
}

TARGET static void dots(float *out, const float *y, size_t n, const float *x, size_t stride,
                        const uint32_t *index, size_t count)
{
    const float *row[2];
    size_t j = 0;
    for (; j + 2 <= count; j += 2) {
        for (size_t r = 0; r < 2; r++) {
            row[r] = x + (index ? index[j + r] : j + r) * stride;
            if (index && j + 2 + r < count) fetch(x + index[j + 2 + r] * stride, n);
        }
        dots_of(2, out + j, y, n, row);
    }
    if (j == count) return;
    row[0] = x + (index ? index[j] : j) * stride;
    dots_of(1, out + j, y, n, row);
}

TARGET static void subtract(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 mask = tail_mask(n - i);
        _mm512_mask_storeu_ps(
            y + i, mask,
            _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i)));
    }
}

TARGET static size_t above(const float *v, const float *bias, size_t n, float threshold,
                           uint32_t first, uint32_t *index, float *value)
{
    const __m512 limit = _mm512_set1_ps(threshold);
    const __m512i steps = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    size_t taken = 0;
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 mask = tail_mask(n - i);
        __m512 x = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, v + i),
                                 _mm512_maskz_loadu_ps(mask, bias + i));
        __mmask16 pass = _mm512_mask_cmp_ps_mask(mask, x, limit, _CMP_GT_OQ);
        if (!pass) continue;
        __m512i at = _mm512_add_epi32(steps, _mm512_set1_epi32((int)(first + (uint32_t)i)));
        unsigned count = (unsigned)__builtin_popcount(pass);
        __mmask16 room = tail_mask(count);
        /* Compressing in a register and storing is much faster on some processors than
         * compressing into memory. */
        _mm512_mask_storeu_ps(value + taken, room, _mm512_maskz_compress_ps(pass, x));
        _mm512_mask_storeu_epi32(index + taken, room, _mm512_maskz_compress_epi32(pass, at));
        taken += count;
    }
    return taken;
}

/* Floats that are not negative order as their bits do: the answer is found bit by bit, from the
 * highest, as the largest pattern that at least k values reach. */
TARGET static float kth(const float *value, size_t n, size_t k, unsigned rough)
{
    uint32_t found = 0;
    for (uint32_t bit = 1u << 30; bit >> rough; bit >>= 1) {
        const __m512i limit = _mm512_set1_epi32((int)(found | bit));
        size_t reach = 0;
        for (size_t i = 0; i < n; i += LANES) {
            __mmask16 mask = tail_mask(n - i);
            __m512i bits = _mm512_maskz_loadu_epi32(mask, value + i);
            reach += (size_t)__builtin_popcount(_mm512_mask_cmpge_epi32_mask(mask, bits, limit));
        }
        if (reach >= k) found |= bit;
    }
    float result;
    memcpy(&result, &found, sizeof result);
    return result;
}

TARGET static void adam(const struct adam_rate *rate, float *w, float *m, float *v,
                        const float *gradient, size_t n)
{
    const __m512 scale = _mm512_set1_ps(rate->gradient_scale), step = _mm512_set1_ps(rate->step);
    const __m512 beta1 = _mm512_set1_ps(rate->beta1), beta2 = _mm512_set1_ps(rate->beta2);
    const __m512 rest1 = _mm512_set1_ps(1.0f - rate->beta1);
    const __m512 rest2 = _mm512_set1_ps(1.0f - rate->beta2);
    const __m512 root = _mm512_set1_ps(rate->root), epsilon = _mm512_set1_ps(rate->epsilon);
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 mask = tail_mask(n - i);
        __m512 g = gradient ? _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(mask, gradient + i))
                            : _mm512_setzero_ps();
        __m512 m1 = _mm512_mul_ps(beta1, _mm512_maskz_loadu_ps(mask, m + i));
        __m512 v1 = _mm512_mul_ps(beta2, _mm512_maskz_loadu_ps(mask, v + i));
        m1 = _mm512_fmadd_ps(rest1, g, m1);
        v1 = _mm512_fmadd_ps(_mm512_mul_ps(rest2, g), g, v1);
        __m512 divisor = _mm512_fmadd_ps(_mm512_sqrt_ps(v1), root, epsilon);
        __m512 change = _mm512_div_ps(_mm512_mul_ps(step, m1), divisor);
        _mm512_mask_storeu_ps(m + i, mask, m1);
        _mm512_mask_storeu_ps(v + i, mask, v1);
        _mm512_mask_storeu_ps(w + i, mask,
                              _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, w + i), change));
    }
}

const struct kernels kernels_avx512 = {
    "avx512", combine, dots, subtract, above, kth, adam,
};

#endif
