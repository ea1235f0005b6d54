/* Rows in and out of a raw payload, against slow references. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "proto/frame.h"
#include "proto/rows.h"

static const uint8_t dtypes[] = {DTYPE_F32, DTYPE_BF16, DTYPE_INT8};
static struct rng rng;

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The nearest of a bf16 grid to x: of its two neighbours the nearer, of two equally near the even
 * one. In doubles, which hold all of these exactly; the step above the largest counts as 2^128. */
static uint16_t slow_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000), below = (uint16_t)(u >> 16 & 0x7fff);
    double low = (double)bf16_to_f32(below);
    double high = below == 0x7f7f ? 0x1p128 : (double)bf16_to_f32((uint16_t)(below + 1));
    double down = fabs((double)x) - low, up = high - fabs((double)x);
    int take_high = up < down || (up == down && (below & 1));
    return (uint16_t)(sign | (below + take_high));
}

/* One row of bits through the payload and back. */
static void through_bf16(uint32_t n, const float *x, uint16_t *stored, float *back)
{
    size_t bytes = frame_raw_bytes(1, n, DTYPE_BF16);
    uint8_t *raw = malloc(bytes);
    struct row_id id = {1, 2, 3};
    rows_to_raw(DTYPE_BF16, 1, n, &id, x, raw);
    memcpy(stored, raw + 16, 2 * (size_t)n);
    rows_values(DTYPE_BF16, 1, n, raw, 0, back);
    free(raw);
}

static void bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    enum { N = 70000 };
    float *x = malloc(N * sizeof *x), *back = malloc(N * sizeof *back);
    uint16_t *stored = malloc(N * sizeof *stored);
    uint32_t n = 0;
    for (uint32_t half = 0; half < 0x10000 && n < N; half += 13) {
        static const uint32_t lows[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
        for (int i = 0; i < 6; i++) {
            float f = float_of(half << 16 | lows[i]);
            if (rows_finite(DTYPE_BF16, 1, &f)) x[n++] = f;
        }
    }
    while (n < N) {
        float f = float_of((uint32_t)rng_u64(&rng));
        if (rows_finite(DTYPE_BF16, 1, &f)) x[n++] = f;
    }
    through_bf16(n, x, stored, back);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(stored[i], slow_bf16(x[i]));
        assert_int_equal(stored[i], bf16_from_f32(x[i]));
        float want = bf16_to_f32(stored[i]);
        assert_memory_equal(&back[i], &want, sizeof want);
    }
    free(x);
    free(back);
    free(stored);
}

static void f32_rows_come_back_bit_for_bit(void **state)
{
    (void)state;
    for (uint32_t width = 1; width < 70; width++) {
        uint32_t rows = 1 + width % 9;
        float *x = malloc((size_t)rows * width * sizeof *x), *back = malloc(width * sizeof *back);
        struct row_id ids[10];
        uint8_t *raw = malloc(frame_raw_bytes(rows, width, DTYPE_F32));
        for (uint32_t i = 0; i < rows * width; i++) x[i] = float_of((uint32_t)rng_u64(&rng));
        for (uint32_t r = 0; r < rows; r++)
            ids[r] = (struct row_id){rng_u64(&rng), (uint32_t)rng_u64(&rng), r};
        rows_to_raw(DTYPE_F32, rows, width, ids, x, raw);
        for (uint32_t r = 0; r < rows; r++) {
            struct row_id id = rows_id(raw, r);
            rows_values(DTYPE_F32, rows, width, raw, r, back);
            assert_memory_equal(back, x + (size_t)r * width, width * sizeof *x);
            assert_memory_equal(&id, &ids[r], sizeof id);
        }
        free(x);
        free(back);
        free(raw);
    }
}

/* Half a scale, and what the rounding of three float operations adds. */
static void int8_errs_by_half_a_scale_of_its_dimension(void **state)
{
    (void)state;
    enum { ROWS = 33, WIDTH = 67 };
    float x[ROWS * WIDTH], back[WIDTH], largest[WIDTH] = {0};
    struct row_id ids[ROWS] = {{0, 0, 0}};
    for (int r = 0; r < ROWS; r++)
        for (int d = 0; d < WIDTH; d++) {
            /* Dimensions of very different sizes and means: one scale for all would fail. */
            float size = ldexpf(1, d % 40 - 20);
            float v = d == 5 ? 0 : size * (float)(rng_normal(&rng) + (d % 3) * 20);
            x[r * WIDTH + d] = v;
            if (fabsf(v) > largest[d]) largest[d] = fabsf(v);
        }
    uint8_t *raw = malloc(frame_raw_bytes(ROWS, WIDTH, DTYPE_INT8));
    rows_to_raw(DTYPE_INT8, ROWS, WIDTH, ids, x, raw);
    for (uint32_t r = 0; r < ROWS; r++) {
        rows_values(DTYPE_INT8, ROWS, WIDTH, raw, r, back);
        for (int d = 0; d < WIDTH; d++) {
            double scale = (double)largest[d] / 127;
            double error = fabs((double)back[d] - (double)x[r * WIDTH + (uint32_t)d]);
            assert_true(error <= 0.5 * scale * (1 + 1e-4));
            if (d == 5) assert_true(back[d] == 0);
        }
    }
    free(raw);
}

/* Each value of the grid itself comes back as itself: no bias, no off-by-one at the ends. */
static void int8_keeps_its_own_grid(void **state)
{
    (void)state;
    float x[255], back;
    struct row_id ids[255] = {{0, 0, 0}};
    for (int i = 0; i < 255; i++) x[i] = (float)(i - 127) * 0.25f;
    uint8_t *raw = malloc(frame_raw_bytes(255, 1, DTYPE_INT8));
    rows_to_raw(DTYPE_INT8, 255, 1, ids, x, raw);
    for (uint32_t i = 0; i < 255; i++) {
        rows_values(DTYPE_INT8, 255, 1, raw, i, &back);
        assert_true(back == x[i]);
    }
    free(raw);
}

/* Below 2^-126 a scale has few bits: values become 0 or are cut off, but never wrap around. */
static void values_too_small_for_a_scale_are_cut_off(void **state)
{
    (void)state;
    for (int steps = -300; steps <= 300; steps++) {
        float x = (float)steps * 0x1p-149f, back = 1;
        struct row_id id = {0, 0, 0};
        uint8_t raw[32] __attribute__((aligned(4)));
        rows_to_raw(DTYPE_INT8, 1, 1, &id, &x, raw);
        assert_true(rows_raw_finite(DTYPE_INT8, 1, 1, raw));
        rows_values(DTYPE_INT8, 1, 1, raw, 0, &back);
        assert_true(x < 0 ? back <= 0 && back >= 2 * x : back >= 0 && back <= 2 * x);
    }
}

static void a_value_that_is_not_finite_is_seen_wherever_it_is(void **state)
{
    (void)state;
    enum { WIDTH = 77 };
    static const uint32_t bad[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001};
    float x[WIDTH];
    for (size_t t = 0; t < sizeof dtypes; t++)
        for (uint32_t width = 1; width <= WIDTH; width++)
            for (uint32_t at = 0; at < width; at++)
                for (int b = 0; b < 5; b++) {
                    for (uint32_t d = 0; d < width; d++) x[d] = -1.5f;
                    if (b == 0) assert_true(rows_finite(dtypes[t], width, x));
                    x[at] = float_of(bad[b]);
                    assert_false(rows_finite(dtypes[t], width, x));
                }
}

/* The largest that each dtype holds comes back finite; the next float32 is refused. */
static void the_largest_values_stay_finite(void **state)
{
    (void)state;
    static const uint32_t largest[] = {0x7f7fffff, 0x7f7f7fff, 0x7f000000};
    for (size_t t = 0; t < sizeof dtypes; t++)
        for (uint32_t sign = 0; sign < 2; sign++) {
            float x = float_of(largest[t] | sign << 31), back;
            float next = float_of((largest[t] + 1) | sign << 31);
            struct row_id id = {0, 0, 0};
            uint8_t raw[32] __attribute__((aligned(4)));
            assert_true(rows_finite(dtypes[t], 1, &x));
            assert_false(rows_finite(dtypes[t], 1, &next));
            rows_to_raw(dtypes[t], 1, 1, &id, &x, raw);
            assert_true(rows_raw_finite(dtypes[t], 1, 1, raw));
            rows_values(dtypes[t], 1, 1, raw, 0, &back);
            assert_true(isfinite(back));
            assert_true(fabs((double)back / (double)x - 1) < 0.005);
        }
}

/* Payloads from a peer: every value, and for int8 every scale, is looked at. */
static void a_payload_that_is_not_finite_is_seen_wherever_it_is(void **state)
{
    (void)state;
    enum { ROWS = 5, WIDTH = 19 };
    float x[ROWS * WIDTH], back[WIDTH];
    struct row_id ids[ROWS] = {{~(uint64_t)0, ~0u, ~0u}};
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)i;
    for (size_t t = 0; t < sizeof dtypes; t++) {
        size_t bytes = frame_raw_bytes(ROWS, WIDTH, dtypes[t]);
        uint8_t *raw = malloc(bytes);
        rows_to_raw(dtypes[t], ROWS, WIDTH, ids, x, raw);
        assert_true(rows_raw_finite(dtypes[t], ROWS, WIDTH, raw));
        size_t size = dtypes[t] == DTYPE_BF16 ? 2 : 4, ids_bytes = ROWS * 16;
        size_t count = dtypes[t] == DTYPE_INT8 ? WIDTH : ROWS * WIDTH;
        for (size_t i = 0; i < count; i++)
            for (uint8_t top = 0x7f;; top = 0xff) {
                uint8_t *at = raw + ids_bytes + i * size, keep[4];
                memcpy(keep, at, size);
                at[size - 1] = top; /* infinity or a NaN, of either sign */
                at[size - 2] |= 0x80;
                assert_false(rows_raw_finite(dtypes[t], ROWS, WIDTH, raw));
                memcpy(at, keep, size);
                if (top == 0xff) break;
            }
        assert_true(rows_raw_finite(dtypes[t], ROWS, WIDTH, raw));
        free(raw);
    }
    /* -128 is never written, but a peer may; with the largest scale that passes it stays finite. */
    uint8_t raw[16 + 4 + 1] __attribute__((aligned(4))) = {0};
    float scale = 0x1p127f / 127;
    memcpy(raw + 16, &scale, sizeof scale);
    raw[20] = 0x80;
    assert_true(rows_raw_finite(DTYPE_INT8, 1, 1, raw));
    rows_values(DTYPE_INT8, 1, 1, raw, 0, back);
    assert_true(isfinite(back[0]));
    scale = nextafterf(scale, INFINITY);
    memcpy(raw + 16, &scale, sizeof scale);
    assert_false(rows_raw_finite(DTYPE_INT8, 1, 1, raw));
}

static void one_sequence_in_so_many_is_held_out_for_ever_the_same(void **state)
{
    (void)state;
    uint32_t held = 0;
    uint64_t first[3], found = 0;
    for (uint64_t s = 0; s < 256000; s++) {
        assert_false(rows_held_out(s, 0));
        assert_true(rows_held_out(s, 1));
        if (!rows_held_out(s, 256)) continue;
        held++;
        if (found < 3) first[found++] = s;
    }
    assert_in_range(held, 1000 - 130, 1000 + 130); /* 4 standard deviations */
    /* Part of the protocol: consumers of different builds must agree. */
    assert_int_equal(first[0], 179);
    assert_int_equal(first[1], 633);
    assert_int_equal(first[2], 762);
}

int main(void)
{
    rng_seed(&rng, 3);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(f32_rows_come_back_bit_for_bit),
        cmocka_unit_test(int8_errs_by_half_a_scale_of_its_dimension),
        cmocka_unit_test(int8_keeps_its_own_grid),
        cmocka_unit_test(values_too_small_for_a_scale_are_cut_off),
        cmocka_unit_test(a_value_that_is_not_finite_is_seen_wherever_it_is),
        cmocka_unit_test(the_largest_values_stay_finite),
        cmocka_unit_test(a_payload_that_is_not_finite_is_seen_wherever_it_is),
        cmocka_unit_test(one_sequence_in_so_many_is_held_out_for_ever_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
