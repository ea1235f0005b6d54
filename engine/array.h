/*
 * An array on disk: what its values are, how they lie, and reading rows of it, whatever the order
 * of bytes and of dimensions. Shared by .npy, .npz and safetensors.
 *
 * Rows are what all dimensions but the last make ("(sequences, rows, width)"), or the first alone
 * ("(rows, layers, width)": the layers of a row lie side by side).
 */
#ifndef SLUICE_ENGINE_ARRAY_H
#define SLUICE_ENGINE_ARRAY_H

#include "engine/blob.h"

#include <stdint.h>

enum { ARRAY_MAX_DIMS = 8 };

enum array_dtype {
    ARRAY_F16 = 1,
    ARRAY_F32,
    ARRAY_F64,
    ARRAY_BF16,
    ARRAY_I8,
    ARRAY_I16,
    ARRAY_I32,
    ARRAY_I64,
    ARRAY_U8,
    ARRAY_U16,
    ARRAY_U32,
    ARRAY_U64,
    ARRAY_DTYPES,
};

struct array {
    char dtype_text[256]; /* as the file has it, for people; cut and made printable */
    int dtype;            /* enum array_dtype; 0: one that can't be read */
    int big_endian, fortran;
    uint32_t dims;
    uint64_t shape[ARRAY_MAX_DIMS];
    uint64_t offset; /* in the file, of the first value */
};

/* "f16", "bf16", "i64", ...; "?" for others. */
const char *array_dtype_name(int dtype);
uint32_t array_value_bytes(int dtype);
int array_is_float(int dtype);
void array_set_dtype_text(struct array *array, const char *text, size_t length);

/* Bytes of all values; ERR_FORMAT where 64 bits do not hold them. */
int array_bytes(const struct array *array, uint64_t *bytes);

/* The same array seen as rows of `width` values. */
struct array_view {
    uint64_t rows, width;
    uint64_t outer,
        inner; /* rows = outer * inner; inner is 1 where the first dimension is the row */
};

struct array_reader;

/* Read rows of `array`, whose bytes are borrowed. The reader keeps at most 64 MiB of an array in
 * Fortran order of several sequences (more only where one row is larger). ERR_NOMEM. */
int array_reader_new(const struct array *array, const struct array_view *view,
                     const struct blob *bytes, struct array_reader **reader);
void array_reader_free(struct array_reader *reader);

/* Rows [first, first + count) as (count, width). Values of float64 beyond float32's range become
 * infinite. ERR_IO, ERR_NOMEM; floats only. */
int array_read_f32(struct array_reader *reader, uint64_t first, size_t count, float *out);

/* The same of integers; those of u64 above 2^63 - 1 come out negative. */
int array_read_i64(struct array_reader *reader, uint64_t first, size_t count, int64_t *out);

#endif
