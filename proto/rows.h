/*
 * Rows inside a raw payload: float32 in, float32 out, any dtype between. Nothing here blocks,
 * allocates or fails. A raw payload lies at a multiple of 4 bytes; rows, width and dtype are within
 * frame_raw_bytes()'s bounds.
 */
#ifndef SLUICE_PROTO_ROWS_H
#define SLUICE_PROTO_ROWS_H

#include "base/row.h"

/* Lay rows out as a raw payload (frame.h): identities, scales for int8, values.
 * ids[rows]; values (rows, width) float32; raw has frame_raw_bytes() bytes. The caller has left out
 * rows that rows_finite() refuses. bf16 rounds to nearest, ties to even; int8 has one scale
 * per dimension, its largest magnitude in this frame / 127, and errs by half a scale at most. */
void rows_to_raw(uint8_t dtype, uint32_t rows, uint32_t width, const struct row_id *ids,
                 const float *values, void *raw);

/* Identity of row i of a raw payload. */
struct row_id rows_id(const void *raw, uint32_t i);

/* Convert row i of a raw payload of `rows` rows to float32: out[width]. */
void rows_values(uint8_t dtype, uint32_t rows, uint32_t width, const void *raw, uint32_t i,
                 float *out);

/* Whether one float32 row holds no NaN or infinity and stays finite in `dtype`. */
int rows_finite(uint8_t dtype, uint32_t width, const float *values);

/* Whether all values of a raw payload are finite (scales too). */
int rows_raw_finite(uint8_t dtype, uint32_t rows, uint32_t width, const void *raw);

/* Whether a row is held out: a pure function of its sequence, the same for every consumer.
 * 1 in `one_in` sequences; 0 = none. */
int rows_held_out(uint64_t sequence, uint32_t one_in);

#endif
