#include "proto/planes.h"

#include "proto/bytes.h"

static uint32_t value_bytes(uint8_t dtype)
{
    return dtype == DTYPE_F32 ? 4 : dtype == DTYPE_BF16 ? 2 : 1;
}

/* in (rows, columns) of elements of `bytes` bytes to out (bytes, columns, rows). */
static void split(uint32_t rows, uint32_t columns, uint32_t bytes, const uint8_t *in, uint8_t *out)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < columns; c++)
            for (uint32_t b = 0; b < bytes; b++) out[((size_t)b * columns + c) * rows + r] = *in++;
}

static void join(uint32_t rows, uint32_t columns, uint32_t bytes, const uint8_t *in, uint8_t *out)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < columns; c++)
            for (uint32_t b = 0; b < bytes; b++) *out++ = in[((size_t)b * columns + c) * rows + r];
}

void planes_split(uint32_t rows, uint32_t width, uint8_t dtype, const void *raw, void *planes)
{
    const uint8_t *in = raw;
    uint8_t *out = planes;
    size_t ids = (size_t)rows * ROW_ID_BYTES;
    size_t scales = dtype == DTYPE_INT8 ? 4 * (size_t)width : 0;
    split(rows, 1, ROW_ID_BYTES, in, out);
    memcpy(out + ids, in + ids, scales);
    split(rows, width, value_bytes(dtype), in + ids + scales, out + ids + scales);
}

void planes_join(uint32_t rows, uint32_t width, uint8_t dtype, const void *planes, void *raw)
{
    const uint8_t *in = planes;
    uint8_t *out = raw;
    size_t ids = (size_t)rows * ROW_ID_BYTES;
    size_t scales = dtype == DTYPE_INT8 ? 4 * (size_t)width : 0;
    join(rows, 1, ROW_ID_BYTES, in, out);
    memcpy(out + ids, in + ids, scales);
    join(rows, width, value_bytes(dtype), in + ids + scales, out + ids + scales);
}
