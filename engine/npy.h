/*
 * The header of a .npy file (NumPy's format, versions 1 to 3): two-dimensional arrays of float32 or
 * float16, little-endian, in C order.
 */
#ifndef SLUICE_ENGINE_NPY_H
#define SLUICE_ENGINE_NPY_H

#include <stddef.h>
#include <stdint.h>

struct npy {
    uint64_t rows, width;
    uint32_t value_bytes; /* 4: float32, 2: float16 */
    size_t data;          /* offset of the first value */
};

/* Read the header of the file whose bytes are data[size], and check that the values are all there.
 * ERR_FORMAT, ERR_VERSION (another dtype, order or format version; the text says which). */
int npy_parse(const void *data, size_t size, struct npy *npy);

#endif
