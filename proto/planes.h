/*
 * The order of bytes in which lz4 sees a raw payload. lz4 has no entropy coder: it finds nothing in
 * bf16 values as they lie (ratio 0.996 on real rows). So each magnitude is written as its distance
 * from the largest of its dimension in this frame, which leaves the upper bits of nearly all of
 * them 0, and the values are split into bit planes, so that these zeros lie side by side (1.41).
 * docs/SPEED-wire.md has what else was measured, PROTOCOL.md the layout.
 */
#ifndef SLUICE_PROTO_PLANES_H
#define SLUICE_PROTO_PLANES_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that planes_split() writes. The combination is within frame_raw_bytes()'s bounds, here and
 * below. At most 2 x raw bytes + 64. */
size_t planes_bytes(uint32_t rows, uint32_t width, uint8_t dtype);

/* raw (frame.h) to planes[planes_bytes()] and back; they do not overlap; raw is aligned to 4 bytes.
 * Any bytes are a valid input for either. */
void planes_split(uint32_t rows, uint32_t width, uint8_t dtype, const void *raw, void *planes);
void planes_join(uint32_t rows, uint32_t width, uint8_t dtype, const void *planes, void *raw);

#endif
