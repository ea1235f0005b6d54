#include "sae/cpu/screen.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vnni,fma")))

enum { LANES = SCREEN_LANES, WIDE = SCREEN_PANEL / SCREEN_LANES, ROWS = SCREEN_ROWS };

static inline __mmask16 tail_mask(size_t n)
{
    return n >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

/* See rotate() in screen.c. */
TARGET static inline __m512 rotate(__m512 x)
{
    __m512 y = _mm512_permute_ps(x, 0xb1);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xaaaa, y, x);
    y = _mm512_permute_ps(x, 0x4e);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xcccc, y, x);
    y = _mm512_shuffle_f32x4(x, x, 0xb1);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xf0f0, y, x);
    y = _mm512_shuffle_f32x4(x, x, 0x4e);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xff00, y, x);
    return _mm512_mul_ps(x, _mm512_set1_ps(0.25f));
}

TARGET static void quantize(const float *v, uint32_t width, int8_t *q, struct screen_vector *out)
{
    __m512 rotated[SCREEN_MAX_WIDTH / LANES];
    __m512 most = _mm512_setzero_ps(), square = most, rest = most;
    __m512i sum = _mm512_setzero_si512(), q_square = sum;
    __mmask16 nonzero = 0;
    uint32_t vectors = screen_lanes(width) / LANES;
    for (uint32_t i = 0; i < vectors; i++) {
        __m512 x = _mm512_maskz_loadu_ps(tail_mask(width - i * LANES), v + i * LANES);
        nonzero |= _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        rotated[i] = x = rotate(x);
        most = _mm512_max_ps(most, _mm512_abs_ps(x));
        square = _mm512_fmadd_ps(x, x, square);
    }
    float largest = _mm512_reduce_max_ps(most), all = _mm512_reduce_add_ps(square);
    int usable = largest > 0x1p-100f && isfinite(all);
    float step = usable ? largest / 127 : 0, inverse = usable ? 127 / largest : 0;
    const __m512i top = _mm512_set1_epi32(127), bottom = _mm512_set1_epi32(-127);
    for (uint32_t i = 0; i < vectors; i++) {
        __m512i p = _mm512_cvtps_epi32(_mm512_mul_ps(rotated[i], _mm512_set1_ps(inverse)));
        p = _mm512_max_epi32(_mm512_min_epi32(p, top), bottom);
        if (!usable) p = _mm512_setzero_si512();
        __m512 difference =
            _mm512_fnmadd_ps(_mm512_set1_ps(step), _mm512_cvtepi32_ps(p), rotated[i]);
        rest = _mm512_fmadd_ps(difference, difference, rest);
        sum = _mm512_add_epi32(sum, p);
        q_square = _mm512_add_epi32(q_square, _mm512_mullo_epi32(p, p));
        _mm_storeu_si128((__m128i *)(q + i * LANES), _mm512_cvtepi32_epi8(p));
    }
    float size = sqrtf((float)_mm512_reduce_add_epi32(q_square));
    *out = (struct screen_vector){step,
                                  sqrtf(all),
                                  sqrtf(_mm512_reduce_add_ps(rest)),
                                  step * size,
                                  _mm512_reduce_add_epi32(sum),
                                  nonzero != 0};
}

/* q.p of 8 rows and a panel. The instruction stands as itself: given the intrinsic, gcc 12 moves
 * sums to and from memory, which halves the speed. */
TARGET static inline void product(const int8_t *q, const int32_t *q_sum, const uint8_t *p,
                                  size_t groups, __m512i out[ROWS][WIDE])
{
    const size_t lane = groups * LANES * 4, row = groups * 4;
    __m512i sum[ROWS][WIDE];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (int j = 0; j < WIDE; j++) sum[i][j] = _mm512_set1_epi32(-128 * q_sum[i]);
    for (size_t k = 0; k < groups; k++) {
        __m512i w[WIDE];
#pragma GCC unroll 8
        for (int j = 0; j < WIDE; j++) w[j] = _mm512_load_si512(p + (size_t)j * lane + k * 64);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            int32_t four;
            memcpy(&four, q + (size_t)i * row + k * 4, 4);
            __m512i x = _mm512_set1_epi32(four);
#pragma GCC unroll 8
            for (int j = 0; j < WIDE; j++)
                __asm__("vpdpbusd %2, %1, %0" : "+v"(sum[i][j]) : "v"(w[j]), "v"(x));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (int j = 0; j < WIDE; j++) out[i][j] = sum[i][j];
}

/* Candidates among 16 features from f, of one row. */
TARGET static inline void look(const struct screen *s, const struct screen_rows *x, uint32_t r,
                               uint32_t f, __m512i sum, struct collector *c)
{
    const __m512i steps = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_load_ps(s->step + f));
    value = _mm512_fmadd_ps(value, _mm512_set1_ps(x->step[r]), _mm512_load_ps(s->bias + f));
    __m512 bound = _mm512_mul_ps(_mm512_set1_ps(x->e[r]), _mm512_load_ps(s->n + f));
    bound = _mm512_fmadd_ps(_mm512_set1_ps(x->g[r]), _mm512_load_ps(s->m + f), bound);
    __m512 upper = _mm512_add_ps(value, bound);
    __mmask16 pass = _mm512_cmp_ps_mask(upper, _mm512_set1_ps(c->threshold[r]), _CMP_GT_OQ);
    if (!pass) return;
    size_t at = (size_t)r * c->stride + c->count[r];
    unsigned count = (unsigned)__builtin_popcount(pass);
    __mmask16 room = tail_mask(count);
    value = _mm512_max_ps(value, _mm512_setzero_ps());
    __m512i index = _mm512_add_epi32(steps, _mm512_set1_epi32((int)f));
    _mm512_mask_storeu_ps(c->value + at, room, _mm512_maskz_compress_ps(pass, value));
    _mm512_mask_storeu_ps(c->bound + at, room, _mm512_maskz_compress_ps(pass, bound));
    _mm512_mask_storeu_epi32(c->index + at, room, _mm512_maskz_compress_epi32(pass, index));
    c->count[r] += count;
}

TARGET static void take(const struct screen *s, const struct screen_rows *x, uint32_t rows,
                        uint32_t panel, struct collector *c)
{
    const uint8_t *p = s->p + (size_t)panel * SCREEN_PANEL * s->groups * 4;
    __m512i sum[ROWS][WIDE];
    for (uint32_t r = 0; r < rows; r += ROWS) { /* there is memory for rows beyond the last */
        product(x->q + (size_t)r * s->groups * 4, x->sum + r, p, s->groups, sum);
        for (uint32_t i = 0; i < ROWS && r + i < rows; i++)
            for (uint32_t j = 0; j < WIDE; j++)
                look(s, x, r + i, panel * SCREEN_PANEL + j * LANES, sum[i][j], c);
    }
}

const struct screen_kernels screen_vnni = {"vnni", quantize, take};

#endif
