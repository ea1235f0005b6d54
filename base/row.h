/*
 * What a row is: the identity that travels with each activation, the cursor at which it can be made
 * again, and the number formats that activations come in.
 */
#ifndef SLUICE_BASE_ROW_H
#define SLUICE_BASE_ROW_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The token that a row belongs to. 16 bytes, stored and sent little-endian as laid out here.
 * `sequence` is unique within a stream; (sequence, position) names one row of it. */
struct row_id {
    uint64_t sequence; /* context window, numbered over all producers of the stream */
    uint32_t position; /* of the token in its context, 0-based */
    uint32_t token;    /* the token id that the model saw there; ROW_NO_TOKEN: left out */
};

#define ROW_NO_TOKEN UINT32_MAX /* in all rows of a stream that keeps no token ids */

/* Where an engine must be put to make a row again: the start of the row's context, and the row's
 * place in that. 32 bytes, stored and sent little-endian as laid out here. All zero is the
 * beginning. */
struct cursor {
    uint64_t document; /* index of the document in which the context begins */
    uint64_t offset;   /* tokens of that document that lie before the context */
    uint64_t sequence; /* of the context */
    uint32_t position; /* of the next row in the context */
    uint32_t reserved; /* 0 */
};

/* What a stream may be at most. All other bounds follow from these, or are held against them where
 * they are stated: frames (proto/frame.c), descriptors (proto/descriptor.h), slabs
 * (buffer/store_size.c), autoencoders (sae/options.c). */
enum {
    ROW_MAX_WIDTH = 1 << 17, /* values of a row, all hooks together */
    ROW_MAX_HOOKS = 128,
};

enum dtype { DTYPE_F32 = 1, DTYPE_BF16 = 2, DTYPE_INT8 = 3 };

/* bf16 is the upper half of a float32; rounding is to nearest, ties to even; NaN stays NaN. */
static inline uint16_t bf16_from_f32(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

static inline float bf16_to_f32(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* IEEE 754 half precision, subnormals, infinities and NaN too. */
static inline float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 1023u;
    uint32_t bits;
    float x;
    if (exponent == 0) {
        x = (float)mantissa * 0x1.0p-24f;
        return sign ? -x : x;
    }
    bits = exponent == 31 ? 0x7f800000u | mantissa << 13 : (exponent + 112) << 23 | mantissa << 13;
    bits |= sign;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
