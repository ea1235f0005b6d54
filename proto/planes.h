/*
 * The order of bytes in which lz4 sees a raw payload: one dimension's values together over the rows
 * of a frame, and split into planes, so that what hardly changes lies side by side. PROTOCOL.md has
 * the layout; the size stays that of the raw payload.
 */
#ifndef SLUICE_PROTO_PLANES_H
#define SLUICE_PROTO_PLANES_H

#include <stdint.h>

/* raw (frame.h) to planes and back; both hold frame_raw_bytes(rows, width, dtype), which the caller
 * has checked to be within bounds, and do not overlap. Any bytes are a valid input for either. */
void planes_split(uint32_t rows, uint32_t width, uint8_t dtype, const void *raw, void *planes);
void planes_join(uint32_t rows, uint32_t width, uint8_t dtype, const void *planes, void *raw);

#endif
