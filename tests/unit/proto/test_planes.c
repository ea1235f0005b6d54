/* The order of bytes that lz4 sees, against a plain twin that follows PROTOCOL.md bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "proto/bytes.h"
#include "proto/planes.h"

static struct rng rng;

static uint32_t value_at(const uint8_t *values, size_t bytes, size_t i)
{
    return bytes == 2 ? get_le16(values + 2 * i) : get_le32(values + 4 * i);
}

/* As PROTOCOL.md has it. */
static void plain_split(uint32_t rows, uint32_t width, uint8_t dtype, const uint8_t *raw,
                        uint8_t *out)
{
    for (size_t b = 0; b < 16; b++)
        for (size_t r = 0; r < rows; r++) *out++ = raw[16 * r + b];
    const uint8_t *values = raw + 16 * (size_t)rows;
    size_t count = (size_t)rows * width, bytes = dtype == DTYPE_F32 ? 4 : 2, bits = 8 * bytes;
    if (dtype == DTYPE_INT8) {
        memcpy(out, values, 4 * (size_t)width + count);
        return;
    }
    uint32_t *largest = calloc(width, sizeof *largest), sign = 1u << (bits - 1);
    for (size_t i = 0; i < count; i++) {
        uint32_t magnitude = value_at(values, bytes, i) & (sign - 1);
        if (magnitude > largest[i % width]) largest[i % width] = magnitude;
    }
    for (size_t d = 0; d < width; d++)
        for (size_t b = 0; b < bytes; b++) *out++ = (uint8_t)(largest[d] >> 8 * b);
    size_t plane = (count + 7) / 8;
    memset(out, 0, bits * plane);
    for (size_t i = 0; i < count; i++) {
        uint32_t v = value_at(values, bytes, i);
        uint32_t folded = (largest[i % width] - (v & (sign - 1))) << 1 | (v >= sign);
        for (size_t bit = 0; bit < bits; bit++)
            if (folded >> bit & 1) out[(bits - 1 - bit) * plane + i / 8] |= (uint8_t)(1 << i % 8);
    }
    free(largest);
}

static void compare(uint32_t rows, uint32_t width, uint8_t dtype)
{
    size_t raw_bytes = frame_raw_bytes(rows, width, dtype);
    size_t bytes = planes_bytes(rows, width, dtype);
    assert_true(bytes <= frame_scratch_bytes(raw_bytes));
    uint8_t *raw = malloc(raw_bytes), *back = malloc(raw_bytes);
    uint8_t *planes = malloc(bytes), *plain = malloc(bytes);
    for (size_t i = 0; i < raw_bytes; i++) raw[i] = (uint8_t)rng_u64(&rng);
    planes_split(rows, width, dtype, raw, planes);
    plain_split(rows, width, dtype, raw, plain);
    assert_memory_equal(planes, plain, bytes);
    planes_join(rows, width, dtype, planes, back);
    assert_memory_equal(back, raw, raw_bytes);
    free(raw);
    free(back);
    free(planes);
    free(plain);
}

static void fast_and_plain_agree_on_odd_shapes(void **state)
{
    (void)state;
    static const uint8_t dtypes[] = {DTYPE_F32, DTYPE_BF16, DTYPE_INT8};
    static const uint32_t widths[] = {1, 2, 3, 7, 8, 9, 31, 63, 64, 65, 127, 576, 1023, 1025, 2049};
    static const uint32_t rows[] = {1, 2, 3, 7, 8, 9, 64, 65};
    for (size_t t = 0; t < sizeof dtypes; t++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++)
            for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
                compare(rows[r], widths[w], dtypes[t]);
}

/* Join takes whatever lz4 gives it; what it makes is judged by its checksum. */
static void any_bytes_can_be_joined(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        uint32_t rows = 1 + (uint32_t)rng_below(&rng, 20),
                 width = 1 + (uint32_t)rng_below(&rng, 90);
        uint8_t dtype = (uint8_t)(DTYPE_F32 + rng_below(&rng, 3));
        size_t bytes = planes_bytes(rows, width, dtype);
        uint8_t *planes = malloc(bytes), *raw = malloc(frame_raw_bytes(rows, width, dtype));
        for (size_t b = 0; b < bytes; b++) planes[b] = (uint8_t)rng_u64(&rng);
        planes_join(rows, width, dtype, planes, raw);
        free(planes);
        free(raw);
    }
}

int main(void)
{
    rng_seed(&rng, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_and_plain_agree_on_odd_shapes),
        cmocka_unit_test(any_bytes_can_be_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
