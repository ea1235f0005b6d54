#include "proto/rows.h"

#include "base/rng.h"
#include "proto/bytes.h"

#include <math.h>

/*
 * A raw payload is little-endian, and so is every machine that this is built for: the values are
 * read in place. The loops over a row are written so that compilers turn them into vectors.
 */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw payloads are read in place");
_Static_assert(sizeof(struct row_id) == ROW_ID_BYTES, "identities are laid out as on the wire");

/* Largest float32 that each dtype holds and gives back finite. bf16 rounds what is above to
 * infinity; int8 gives back up to 128/127 of the largest that it was given. */
static const float largest_f32 = 0x1.fffffep127f;
static const float largest_bf16 = 0x1.fefffep127f;
static const float largest_int8 = 0x1p127f;

static size_t values_offset(uint8_t dtype, uint32_t rows, uint32_t width)
{
    return (size_t)rows * ROW_ID_BYTES + (dtype == DTYPE_INT8 ? 4 * (size_t)width : 0);
}

/* Finite float32 to bf16, to nearest, ties to even; without bf16_from_f32's case for NaN. */
static void to_bf16(size_t n, const float *restrict x, uint16_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        out[i] = (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
}

static void from_bf16(size_t n, const uint16_t *restrict x, float *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)x[i] << 16;
        memcpy(&out[i], &u, sizeof u);
    }
}

/* scales[width] = max|x| of each dimension / 127, or 1 where that is 0. */
static void int8_scales(uint32_t rows, uint32_t width, const float *restrict values,
                        float *restrict scales)
{
    memset(scales, 0, width * sizeof *scales);
    for (uint32_t r = 0; r < rows; r++, values += width)
        for (uint32_t d = 0; d < width; d++) {
            float a = fabsf(values[d]);
            scales[d] = a > scales[d] ? a : scales[d];
        }
    for (uint32_t d = 0; d < width; d++) {
        scales[d] /= 127;
        if (scales[d] == 0) scales[d] = 1;
    }
}

/* Rounds |x| < 2^22 to the nearest integer, ties to even, where the machine rounds so: what is
 * below 1 falls off the end of the sum. (rintf is a call on machines without SSE4.1.) */
static inline float round_small(float x)
{
    const float shift = 0x1.8p23f;
    return (x + shift) - shift;
}

static void to_int8(uint32_t rows, uint32_t width, const float *restrict values,
                    const float *restrict scales, int8_t *restrict out)
{
    for (uint32_t r = 0; r < rows; r++, values += width, out += width)
        for (uint32_t d = 0; d < width; d++) {
            float q = values[d] / scales[d];
            q = q > 127 ? 127 : q;
            q = q < -127 ? -127 : q;
            out[d] = (int8_t)round_small(q);
        }
}

void rows_to_raw(uint8_t dtype, uint32_t rows, uint32_t width, const struct row_id *ids,
                 const float *values, void *raw)
{
    uint8_t *bytes = raw;
    void *out = bytes + values_offset(dtype, rows, width);
    size_t n = (size_t)rows * width;
    memcpy(bytes, ids, (size_t)rows * ROW_ID_BYTES);
    if (dtype == DTYPE_F32) {
        memcpy(out, values, n * sizeof *values);
    } else if (dtype == DTYPE_BF16) {
        to_bf16(n, values, out);
    } else {
        float *scales = (void *)(bytes + (size_t)rows * ROW_ID_BYTES);
        int8_scales(rows, width, values, scales);
        to_int8(rows, width, values, scales, out);
    }
}

struct row_id rows_id(const void *raw, uint32_t i)
{
    return get_row_id((const uint8_t *)raw + (size_t)i * ROW_ID_BYTES);
}

void rows_values(uint8_t dtype, uint32_t rows, uint32_t width, const void *raw, uint32_t i,
                 float *out)
{
    const uint8_t *bytes = raw;
    const uint8_t *values = bytes + values_offset(dtype, rows, width);
    size_t at = (size_t)i * width;
    if (dtype == DTYPE_F32) {
        memcpy(out, values + 4 * at, width * sizeof *out);
    } else if (dtype == DTYPE_BF16) {
        from_bf16(width, (const void *)(values + 2 * at), out);
    } else {
        const float *scales = (const void *)(bytes + (size_t)rows * ROW_ID_BYTES);
        const int8_t *q = (const void *)(values + at);
        for (uint32_t d = 0; d < width; d++) out[d] = scales[d] * (float)q[d];
    }
}

/* Whether no |x| is above the limit; NaN is above any. */
static int within(size_t n, const float *x, float limit)
{
    int bad = 0;
    for (size_t i = 0; i < n; i++) bad |= !(fabsf(x[i]) <= limit);
    return !bad;
}

int rows_finite(uint8_t dtype, uint32_t width, const float *values)
{
    return within(width, values,
                  dtype == DTYPE_BF16   ? largest_bf16
                  : dtype == DTYPE_INT8 ? largest_int8
                                        : largest_f32);
}

/* A value is not finite where its exponent is all ones; adding one to the exponent then carries
 * into the sign's place, and into no other value. Words of four values at a time, since the sink
 * looks at every byte that comes in. */
static int bf16_finite(size_t n, const uint16_t *x)
{
    const uint64_t exponents = 0x7f807f807f807f80u, ones = 0x0080008000800080u;
    uint64_t sum = 0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        uint64_t word[4];
        memcpy(word, x + i, sizeof word);
        for (int j = 0; j < 4; j++) sum |= (word[j] & exponents) + ones;
    }
    for (; i < n; i++) sum |= (x[i] & (uint16_t)exponents) + (uint64_t)(uint16_t)ones;
    return !(sum & 0x8000800080008000u);
}

int rows_raw_finite(uint8_t dtype, uint32_t rows, uint32_t width, const void *raw)
{
    const uint8_t *bytes = raw;
    const void *values = bytes + values_offset(dtype, rows, width);
    size_t n = (size_t)rows * width;
    if (dtype == DTYPE_F32) return within(n, values, largest_f32);
    if (dtype == DTYPE_BF16) return bf16_finite(n, values);
    return within(width, (const void *)(bytes + (size_t)rows * ROW_ID_BYTES), largest_int8 / 127);
}

int rows_held_out(uint64_t sequence, uint32_t one_in)
{
    return one_in != 0 && hash_u64(sequence ^ 0x686f6c646f757431u) % one_in == 0;
}
