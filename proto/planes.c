#include "proto/planes.h"

#include "proto/bytes.h"

/*
 * A block of 64 values is worked on at a time, one byte of each value after another: 64 bytes are 8
 * words of 8 values; turning each word's 8 x 8 bits, then the 8 x 8 bytes of all words, leaves in
 * word b bit b of the 64 values in order. Both turns are their own inverse. Plain C on words of 64
 * bits, which compilers make vectors of.
 */
enum { BLOCK = 64, CHUNK = 1024 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are read in place");

static void turn_bits(uint64_t x[8])
{
    for (int i = 0; i < 8; i++) {
        uint64_t t = (x[i] ^ (x[i] >> 7)) & 0x00aa00aa00aa00aau;
        x[i] ^= t ^ (t << 7);
        t = (x[i] ^ (x[i] >> 14)) & 0x0000cccc0000ccccu;
        x[i] ^= t ^ (t << 14);
        t = (x[i] ^ (x[i] >> 28)) & 0x00000000f0f0f0f0u;
        x[i] ^= t ^ (t << 28);
    }
}

/* Exchange the parts of *a that `mask << shift` covers with those of *b that `mask` covers. */
static inline void exchange(uint64_t *a, uint64_t *b, int shift, uint64_t mask)
{
    uint64_t t = ((*a >> shift) ^ *b) & mask;
    *b ^= t;
    *a ^= t << shift;
}

static void turn_bytes(uint64_t x[8])
{
    for (int i = 0; i < 4; i++) exchange(&x[i], &x[i + 4], 32, 0x00000000ffffffffu);
    for (int i = 0; i < 8; i += 4)
        for (int j = i; j < i + 2; j++) exchange(&x[j], &x[j + 2], 16, 0x0000ffff0000ffffu);
    for (int i = 0; i < 8; i += 2) exchange(&x[i], &x[i + 1], 8, 0x00ff00ff00ff00ffu);
}

/* The bytes of a block of values (2 or 4 bytes each) that lie `shift` bits up, and back. */
static inline void take_bytes(const void *values, size_t bytes, int shift, uint64_t x[8])
{
    const uint16_t *v16 = values;
    const uint32_t *v32 = values;
    uint8_t column[BLOCK];
    if (bytes == 2)
        for (int i = 0; i < BLOCK; i++) column[i] = (uint8_t)(v16[i] >> shift);
    else
        for (int i = 0; i < BLOCK; i++) column[i] = (uint8_t)(v32[i] >> shift);
    memcpy(x, column, sizeof column);
}

static inline void give_bytes(const uint64_t x[8], size_t bytes, int shift, void *values)
{
    uint16_t *v16 = values;
    uint32_t *v32 = values;
    uint8_t column[BLOCK];
    memcpy(column, x, sizeof column);
    if (bytes == 2)
        for (int i = 0; i < BLOCK; i++) v16[i] |= (uint16_t)(column[i] << shift);
    else
        for (int i = 0; i < BLOCK; i++) v32[i] |= (uint32_t)column[i] << shift;
}

/* One block of values to 8 x bytes planes, the highest bit's first. The planes are `stride` bytes
 * apart; `take` bytes of each are written (8, but for the last block). */
static inline void split_block(const void *values, size_t bytes, uint8_t *planes, size_t stride,
                               size_t take)
{
    for (size_t bit = 0; bit < 8 * bytes; bit += 8) {
        uint64_t x[8];
        take_bytes(values, bytes, (int)bit, x);
        turn_bits(x);
        turn_bytes(x);
        for (size_t i = 0; i < 8; i++)
            memcpy(planes + (8 * bytes - 1 - bit - i) * stride, &x[i], take);
    }
}

static inline void join_block(const uint8_t *planes, size_t stride, size_t take, size_t bytes,
                              void *values)
{
    memset(values, 0, BLOCK * bytes);
    for (size_t bit = 0; bit < 8 * bytes; bit += 8) {
        uint64_t x[8] = {0};
        for (size_t i = 0; i < 8; i++)
            memcpy(&x[i], planes + (8 * bytes - 1 - bit - i) * stride, take);
        turn_bytes(x);
        turn_bits(x);
        give_bytes(x, bytes, (int)bit, values);
    }
}

/* Largest magnitude of each dimension. As integers, magnitudes are in the order of their values. */
static void largest16(uint32_t rows, uint32_t width, const uint16_t *restrict values,
                      int16_t *restrict largest)
{
    memset(largest, 0, width * sizeof *largest);
    for (uint32_t r = 0; r < rows; r++, values += width)
        for (uint32_t d = 0; d < width; d++) {
            int16_t magnitude = (int16_t)(values[d] & 0x7fff);
            largest[d] = magnitude > largest[d] ? magnitude : largest[d];
        }
}

static void largest32(uint32_t rows, uint32_t width, const uint32_t *restrict values,
                      int32_t *restrict largest)
{
    memset(largest, 0, width * sizeof *largest);
    for (uint32_t r = 0; r < rows; r++, values += width)
        for (uint32_t d = 0; d < width; d++) {
            int32_t magnitude = (int32_t)(values[d] & 0x7fffffff);
            largest[d] = magnitude > largest[d] ? magnitude : largest[d];
        }
}

/* Distance of each magnitude from its dimension's largest, the sign below it. */
static void fold16(size_t n, const uint16_t *restrict values, const int16_t *restrict largest,
                   uint16_t *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint16_t)((largest[i] - (values[i] & 0x7fff)) << 1 | values[i] >> 15);
}

static void unfold16(size_t n, const int16_t *restrict largest, uint16_t *restrict values)
{
    for (size_t i = 0; i < n; i++)
        values[i] = (uint16_t)(((largest[i] - (values[i] >> 1)) & 0x7fff) | values[i] << 15);
}

static void fold32(size_t n, const uint32_t *restrict values, const int32_t *restrict largest,
                   uint32_t *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = ((uint32_t)largest[i] - (values[i] & 0x7fffffff)) << 1 | values[i] >> 31;
}

static void unfold32(size_t n, const int32_t *restrict largest, uint32_t *restrict values)
{
    for (size_t i = 0; i < n; i++)
        values[i] = (((uint32_t)largest[i] - (values[i] >> 1)) & 0x7fffffff) | values[i] << 31;
}

/* Rows of values to planes, their dimensions' largest magnitudes known. The planes run over all
 * values of all rows, so what is left of a row when its blocks are full waits for the next row. */
static inline void split_values(uint32_t rows, uint32_t width, size_t bytes, const uint8_t *values,
                                const uint8_t *largest, uint8_t *planes, size_t stride)
{
    uint32_t waiting[BLOCK + CHUNK]; /* sized and aligned for the widest values */
    uint8_t *folded = (uint8_t *)waiting;
    size_t have = 0, done = 0;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t d = 0, n; d < width; d += n) {
            n = width - d < CHUNK ? width - d : CHUNK;
            const void *in = values + ((size_t)r * width + d) * bytes;
            const void *top = largest + d * bytes;
            if (bytes == 2)
                fold16(n, in, top, (void *)(folded + have * bytes));
            else
                fold32(n, in, top, (void *)(folded + have * bytes));
            have += n;
            size_t at = 0;
            for (; have - at >= BLOCK; at += BLOCK, done += BLOCK / 8)
                split_block(folded + at * bytes, bytes, planes + done, stride, BLOCK / 8);
            have -= at;
            memmove(folded, folded + at * bytes, have * bytes);
        }
    if (have == 0) return;
    memset(folded + have * bytes, 0, (BLOCK - have) * bytes);
    split_block(folded, bytes, planes + done, stride, (have + 7) / 8);
}

static inline void join_values(uint32_t rows, uint32_t width, size_t bytes, const uint8_t *planes,
                               size_t stride, const uint8_t *largest, uint8_t *values)
{
    size_t count = (size_t)rows * width, i = 0;
    for (; count - i >= BLOCK; i += BLOCK)
        join_block(planes + i / 8, stride, BLOCK / 8, bytes, values + i * bytes);
    if (count > i) {
        uint32_t last[BLOCK];
        join_block(planes + i / 8, stride, (count - i + 7) / 8, bytes, last);
        memcpy(values + i * bytes, last, (count - i) * bytes);
    }
    for (uint32_t r = 0; r < rows; r++, values += width * bytes)
        if (bytes == 2)
            unfold16(width, (const void *)largest, (void *)values);
        else
            unfold32(width, (const void *)largest, (void *)values);
}

/* Identities to 16 byte planes: their upper bytes hardly change. */
static void split_ids(uint32_t rows, const uint8_t *restrict in, uint8_t *restrict out)
{
    for (size_t b = 0; b < ROW_ID_BYTES; b++)
        for (size_t r = 0; r < rows; r++) *out++ = in[r * ROW_ID_BYTES + b];
}

static void join_ids(uint32_t rows, const uint8_t *restrict in, uint8_t *restrict out)
{
    for (size_t b = 0; b < ROW_ID_BYTES; b++)
        for (size_t r = 0; r < rows; r++) out[r * ROW_ID_BYTES + b] = *in++;
}

static size_t plane_bytes(uint32_t rows, uint32_t width)
{
    return ((size_t)rows * width + 7) / 8;
}

size_t planes_bytes(uint32_t rows, uint32_t width, uint8_t dtype)
{
    if (dtype == DTYPE_INT8) return frame_raw_bytes(rows, width, dtype);
    size_t bytes = dtype == DTYPE_BF16 ? 2 : 4;
    return (size_t)rows * ROW_ID_BYTES + width * bytes + 8 * bytes * plane_bytes(rows, width);
}

void planes_split(uint32_t rows, uint32_t width, uint8_t dtype, const void *raw, void *planes)
{
    size_t ids = (size_t)rows * ROW_ID_BYTES, stride = plane_bytes(rows, width);
    const uint8_t *values = (const uint8_t *)raw + ids;
    uint8_t *out = (uint8_t *)planes + ids;
    split_ids(rows, raw, planes);
    if (dtype == DTYPE_BF16) {
        largest16(rows, width, (const void *)values, (void *)out);
        split_values(rows, width, 2, values, out, out + 2 * (size_t)width, stride);
    } else if (dtype == DTYPE_F32) {
        largest32(rows, width, (const void *)values, (void *)out);
        split_values(rows, width, 4, values, out, out + 4 * (size_t)width, stride);
    } else {
        memcpy(out, values, planes_bytes(rows, width, dtype) - ids);
    }
}

void planes_join(uint32_t rows, uint32_t width, uint8_t dtype, const void *planes, void *raw)
{
    size_t ids = (size_t)rows * ROW_ID_BYTES, stride = plane_bytes(rows, width);
    const uint8_t *in = (const uint8_t *)planes + ids;
    uint8_t *values = (uint8_t *)raw + ids;
    join_ids(rows, planes, raw);
    if (dtype == DTYPE_BF16)
        join_values(rows, width, 2, in + 2 * (size_t)width, stride, in, values);
    else if (dtype == DTYPE_F32)
        join_values(rows, width, 4, in + 4 * (size_t)width, stride, in, values);
    else
        memcpy(values, in, planes_bytes(rows, width, dtype) - ids);
}
