/*
 * The safetensors file format: named tensors behind a JSON header.
 *
 *   u64 little-endian: bytes of the header; the header: one JSON object, name -> {dtype, shape,
 *   data_offsets}, and optionally "__metadata__" with strings; then the data, which the tensors
 *   cover without overlap and without holes.
 *
 * Reading maps the file; nothing is believed before it is bounded: header length, dtype, shape,
 * every offset. Do not shorten a file that somebody has open: reading past its new end is a SIGBUS.
 */
#ifndef SLUICE_BASE_SAFETENSORS_H
#define SLUICE_BASE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

enum { SAFETENSORS_MAX_DIMS = 8 };

enum safetensors_dtype {
    SAFETENSORS_F32 = 1,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_U32,   /* is written, and here and below has no values for safetensors_to_f32() */
    SAFETENSORS_OTHER, /* other integers, F64, newer dtypes */
};

struct safetensors_tensor {
    const char *name;
    enum safetensors_dtype dtype;
    uint32_t dims;
    uint64_t shape[SAFETENSORS_MAX_DIMS]; /* (dims) */
    const void *data;                     /* row-major, little-endian, perhaps unaligned */
    uint64_t bytes;
};

struct safetensors_pair { /* one entry of "__metadata__" */
    const char *key, *value;
};

struct safetensors;

/* Open and check a file. ERR_NOTFOUND, ERR_IO, ERR_NOMEM, ERR_FORMAT (malformed; the text says
 * how), ERR_LIMIT (a header above 100,000,000 bytes). A tensor of a dtype that this build does not
 * know is listed like any other, as SAFETENSORS_OTHER; only its values cannot be had. The caller
 * closes it; tensors, names and data live until then. */
int safetensors_open(const char *path, struct safetensors **file);

/* The same, but only the header is read: `data` of every tensor is NULL, and safetensors_offset()
 * says where it lies. Nothing is mapped, so a file that becomes shorter is no SIGBUS. */
int safetensors_open_header(const char *path, struct safetensors **file);

/* The same over bytes in memory, which must outlive `*file`. */
int safetensors_parse(const void *data, size_t bytes, struct safetensors **file);
void safetensors_close(struct safetensors *file);

/* Tensors in the order of their data. NULL from find: there is none of that name. */
size_t safetensors_count(const struct safetensors *file);
const struct safetensors_tensor *safetensors_tensor(const struct safetensors *file, size_t i);
const struct safetensors_tensor *safetensors_find(const struct safetensors *file, const char *name);

/* Of a tensor out of the functions above: the name of its dtype as the file has it ("F8_E4M3"), and
 * where in the file its data begins. */
const char *safetensors_dtype(const struct safetensors_tensor *tensor);
uint64_t safetensors_offset(const struct safetensors *file,
                            const struct safetensors_tensor *tensor);

/* A metadata string, NULL where there is none. Lives as long as the file. */
const char *safetensors_metadata(const struct safetensors *file, const char *key);

/* Values of a tensor, all its dimensions together; 2^64 - 1 where that is more than 64 bits hold
 * (which no tensor of a dtype that is known can have). */
uint64_t safetensors_values(const struct safetensors_tensor *tensor);

/* Copy values [first, first + count) as float32. ERR_VERSION for SAFETENSORS_U32 and SAFETENSORS_OTHER,
 * ERR_LIMIT
 * beyond the tensor's end. */
int safetensors_to_f32(const struct safetensors_tensor *tensor, uint64_t first, uint64_t count,
                       float *out);

/* Write a file whole or not at all (newfile.h), mode 0600, the tensors' data in the order given;
 * `bytes` of each must be what dtype and shape say. Metadata may be NULL with pairs = 0. ERR_FORMAT
 * (bytes do not fit, two tensors of one name), ERR_IO, ERR_NOSPC, ERR_NOMEM. */
int safetensors_write(const char *path, const struct safetensors_tensor *tensors, size_t count,
                      const struct safetensors_pair *metadata, size_t pairs);

#endif
