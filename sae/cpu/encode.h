/* The encoder and decoder on blocks of rows. For the files of sae/. */
#ifndef SLUICE_SAE_CPU_ENCODE_H
#define SLUICE_SAE_CPU_ENCODE_H

#include "sae/encoder.h"

/* Blocks of this many rows, so that every thread has some. */
uint32_t encode_rows_of_block(uint32_t rows);
/* Blocks of the rows at hand; rows of block `item`, and which is its first. */
uint32_t encode_blocks(const struct encoder *e);
uint32_t encode_block_of(const struct encoder *e, uint32_t item, uint32_t *first);

/* Whether 8-bit products screen in a step of so many rows. */
int encode_quantizes(const struct encoder *e, uint32_t rows);
/* What encode_block() needs of a step's weights: their bounds, and their 8 bits. Once per step,
 * before it. */
void encode_begin(struct encoder *e);
/* Which features of rows [first, first + n) exceed `floor`, or the room.keep largest of those, into
 * `active`. */
void encode_block(struct encoder *e, uint32_t first, uint32_t n, float floor, uint32_t thread);
/* How far 8-bit products, or float32 ones, of n rows may be off what encode_block() gives:
 * scratch's active.slack. */
void encode_bounds(const struct encoder *e, uint32_t first, uint32_t n, int eight_bit,
                   struct encode_scratch *s);
/* Products of n rows from `first` with m weights w (m, D_in) of features of f's layer: (n, m),
 * without bias. */
void encode_product(const struct encoder *e, uint32_t first, uint32_t n, uint32_t f, const float *w,
                    uint32_t m, float *block);
/* Pre-activations, with bias, of n rows from `first` and m features from f: (n, m). */
void encode_values(const struct encoder *e, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                   float *y);
/* Features of the block that begins at f; all of a block are of one layer. */
uint32_t encode_features_of_block(const struct encoder *e, uint32_t f);
/* Blocks of all features; the first feature of block `item`. */
uint32_t encode_feature_blocks(const struct encoder *e);
uint32_t encode_feature_block(const struct encoder *e, uint32_t item);
/* Move what was collected into lists; names: what numbers stand for, or NULL. */
void encode_deliver(const struct kernels *kernels, struct collector *c, struct row_lists *lists,
                    uint32_t first, uint32_t rows, const uint32_t *names);

/* decode.c: out += values (n, m) times the directions of m features from f. */
void decode_values(const struct encoder *e, uint32_t n, uint32_t f, uint32_t m, const float *values,
                   float *out);
/* decode.c: out (D) = b_dec + the sum of `count` features. */
void decode_row(const struct encoder *e, const uint32_t *feature, const float *value, size_t count,
                float *out);
/* decode.c: out (n, D) += scale W_skip x of n rows from `first`. Nothing where there is none. */
void decode_skip(const struct encoder *e, uint32_t first, uint32_t n, float scale, float *out);
/* decode.c: L0 and L1 of row r from its list. */
void decode_measure_row(struct encoder *e, uint32_t r);
/* decode.c: the same of n rows from `first` grow by what m features from f add: values (n, m). */
void decode_measure_block(struct encoder *e, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                          const float *values);

#endif
