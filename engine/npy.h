/*
 * The header of a .npy file (NumPy's format, versions 1 to 3): what its array is. A header is at
 * most NPY_HEADER_MOST bytes, the bound that NumPy itself has for files that it does not trust.
 */
#ifndef SLUICE_ENGINE_NPY_H
#define SLUICE_ENGINE_NPY_H

#include "engine/array.h"

#include <stddef.h>
#include <stdint.h>

enum { NPY_HEADER_MOST = 10000, NPY_BEGIN_BYTES = 12 + NPY_HEADER_MOST };

/* Read the header out of the first `known` bytes (NPY_BEGIN_BYTES, or the whole file if that is
 * shorter) of a file of `size` bytes, and check that the values are all there. `is_bf16`: values of
 * 2 bytes without a type (V2, as ml_dtypes writes bfloat16) are bfloat16.
 * A dtype that can't be read is no error here: array->dtype is 0 then, its text is set, and where
 * the values end is not checked; npy_refuse() says what to do about it.
 * ERR_FORMAT; ERR_VERSION: another version of the format, or no dtype at all. */
int npy_parse(const void *data, size_t known, uint64_t size, int is_bf16, struct array *array);

/* The error of an array whose values are not what is wanted (`floats`, else integers): ERR_VERSION,
 * the dtype by its whole name, and what to do. */
int npy_refuse(const struct array *array, int floats);

#endif
