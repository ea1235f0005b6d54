#include "base/safetensors.h"

#include "base/err.h"
#include "base/newfile.h"
#include "base/row.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_LIMIT_BYTES = 100000000 };

struct safetensors {
    void *map; /* NULL: bytes of the caller's */
    size_t map_bytes;
    json_t *header; /* names and metadata point into it */
    size_t count;
    struct safetensors_tensor *tensor; /* (count) */
};

static const struct dtype_name {
    const char *name;
    uint32_t bytes;
    enum safetensors_dtype dtype;
} dtypes[] = {
    {"F32", 4, SAFETENSORS_F32},       {"F16", 2, SAFETENSORS_F16},
    {"BF16", 2, SAFETENSORS_BF16},     {"F64", 8, SAFETENSORS_OTHER},
    {"I64", 8, SAFETENSORS_OTHER},     {"U64", 8, SAFETENSORS_OTHER},
    {"I32", 4, SAFETENSORS_OTHER},     {"U32", 4, SAFETENSORS_OTHER},
    {"I16", 2, SAFETENSORS_OTHER},     {"U16", 2, SAFETENSORS_OTHER},
    {"I8", 1, SAFETENSORS_OTHER},      {"U8", 1, SAFETENSORS_OTHER},
    {"BOOL", 1, SAFETENSORS_OTHER},    {"F8_E4M3", 1, SAFETENSORS_OTHER},
    {"F8_E5M2", 1, SAFETENSORS_OTHER},
};

static const struct dtype_name *dtype_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0) return &dtypes[i];
    return NULL;
}

static const struct dtype_name *dtype_by_code(enum safetensors_dtype dtype)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (dtypes[i].dtype == dtype && dtype != SAFETENSORS_OTHER) return &dtypes[i];
    return NULL;
}

/* Bytes of a tensor of this shape; 0 with *overflow = 1 where no file could hold it. */
static uint64_t shape_bytes(const uint64_t *shape, uint32_t dims, uint32_t value_bytes,
                            int *overflow)
{
    uint64_t bytes = value_bytes;
    int empty = 0;
    *overflow = 0;
    for (uint32_t i = 0; i < dims; i++) {
        if (shape[i] == 0) {
            empty = 1;
        } else if (__builtin_mul_overflow(bytes, shape[i], &bytes)) {
            *overflow = 1;
            return 0;
        }
    }
    return empty ? 0 : bytes;
}

static int json_u64(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return 0;
    *out = (uint64_t)json_integer_value(value);
    return 1;
}

/* One entry of the header into a tensor; data_bytes bounds its offsets. */
static int parse_tensor(const char *name, const json_t *entry, const char *data,
                        uint64_t data_bytes, struct safetensors_tensor *tensor)
{
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const char *dtype_text = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype_text || !json_is_array(shape) || !json_is_array(offsets))
        return err_set(ERR_FORMAT, "tensor '%.100s': no dtype, shape or data_offsets", name);
    const struct dtype_name *dtype = dtype_by_name(dtype_text);
    if (!dtype)
        return err_set(ERR_VERSION, "tensor '%.100s': unknown dtype '%.20s'", name, dtype_text);
    if (json_array_size(shape) > SAFETENSORS_MAX_DIMS)
        return err_set(ERR_FORMAT, "tensor '%.100s': more than %d dimensions", name,
                       SAFETENSORS_MAX_DIMS);
    tensor->name = name;
    tensor->dtype = dtype->dtype;
    tensor->dims = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < tensor->dims; i++)
        if (!json_u64(json_array_get(shape, i), &tensor->shape[i]))
            return err_set(ERR_FORMAT, "tensor '%.100s': bad shape", name);
    uint64_t begin, end;
    if (json_array_size(offsets) != 2 || !json_u64(json_array_get(offsets, 0), &begin) ||
        !json_u64(json_array_get(offsets, 1), &end) || begin > end || end > data_bytes)
        return err_set(ERR_FORMAT, "tensor '%.100s': its data lies outside the file", name);
    int overflow;
    tensor->bytes = shape_bytes(tensor->shape, tensor->dims, dtype->bytes, &overflow);
    if (overflow || tensor->bytes != end - begin)
        return err_set(ERR_FORMAT, "tensor '%.100s': shape and data differ in size", name);
    tensor->data = data + begin;
    return ERR_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct safetensors_tensor *x = a, *y = b;
    if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The tensors must cover the data exactly: no overlap, no hole, nothing after the last. */
static int check_cover(struct safetensors *file, const char *data, uint64_t data_bytes)
{
    if (file->count > 1) qsort(file->tensor, file->count, sizeof file->tensor[0], by_place);
    const char *end = data;
    for (size_t i = 0; i < file->count; i++) {
        if ((const char *)file->tensor[i].data != end)
            return err_set(ERR_FORMAT, "tensor '%.100s': overlaps or leaves a hole before it",
                           file->tensor[i].name);
        end += file->tensor[i].bytes;
    }
    if (end != data + data_bytes)
        return err_set(ERR_FORMAT, "%llu bytes belong to no tensor",
                       (unsigned long long)(data + data_bytes - end));
    return ERR_OK;
}

static int parse_entries(struct safetensors *file, const char *data, uint64_t data_bytes)
{
    const char *name;
    json_t *entry;
    file->tensor = calloc(json_object_size(file->header) + 1, sizeof file->tensor[0]);
    if (!file->tensor) return err_set(ERR_NOMEM, "no memory for a safetensors header");
    json_object_foreach(file->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            const char *key;
            json_t *value;
            if (!json_is_object(entry)) return err_set(ERR_FORMAT, "__metadata__ is not an object");
            json_object_foreach(entry, key, value)
            {
                if (!json_is_string(value))
                    return err_set(ERR_FORMAT, "__metadata__ '%.100s' is not a string", key);
            }
            continue;
        }
        int code = parse_tensor(name, entry, data, data_bytes, &file->tensor[file->count]);
        if (code) return code;
        file->count++;
    }
    return check_cover(file, data, data_bytes);
}

int safetensors_parse(const void *data, size_t bytes, struct safetensors **out)
{
    const unsigned char *p = data;
    if (bytes < 8)
        return err_set(ERR_FORMAT, "%zu bytes are too few for a safetensors file", bytes);
    uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; i--) header_bytes = header_bytes << 8 | p[i];
    if (header_bytes > HEADER_LIMIT_BYTES)
        return err_set(ERR_LIMIT,
                       "header of %llu bytes: not a safetensors file, or beyond %d bytes",
                       (unsigned long long)header_bytes, HEADER_LIMIT_BYTES);
    if (header_bytes > bytes - 8)
        return err_set(ERR_FORMAT, "header of %llu bytes in a file of %zu",
                       (unsigned long long)header_bytes, bytes);
    if (header_bytes < 2 || p[8] != '{')
        return err_set(ERR_FORMAT, "the header does not begin with '{'");
    struct safetensors *file = calloc(1, sizeof *file);
    if (!file) return err_set(ERR_NOMEM, "no memory for a safetensors header");
    json_error_t error;
    file->header = json_loadb((const char *)p + 8, header_bytes, JSON_REJECT_DUPLICATES, &error);
    int code;
    if (!file->header)
        code = err_set(ERR_FORMAT, "header is not JSON: %.200s", error.text);
    else
        code = parse_entries(file, (const char *)p + 8 + header_bytes, bytes - 8 - header_bytes);
    if (code) {
        safetensors_close(file);
        return code;
    }
    *out = file;
    return ERR_OK;
}

int safetensors_open(const char *path, struct safetensors **out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_set(err_of_file(errno), "cannot open %s: %s", path, strerror(errno));
    struct stat st;
    void *map = MAP_FAILED;
    int regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (regular && st.st_size > 0)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int map_errno = errno;
    close(fd);
    if (!regular) return err_set(ERR_USAGE, "%s is not a regular file", path);
    if (st.st_size == 0) return err_set(ERR_FORMAT, "%s is empty", path);
    if (map == MAP_FAILED) return err_set(ERR_IO, "cannot map %s: %s", path, strerror(map_errno));
    struct safetensors *file;
    int code = safetensors_parse(map, (size_t)st.st_size, &file);
    if (code) {
        char why[512];
        strncpy(why, err_text(), sizeof why - 1);
        why[sizeof why - 1] = '\0';
        munmap(map, (size_t)st.st_size);
        return err_set(code, "%s: %s", path, why);
    }
    file->map = map;
    file->map_bytes = (size_t)st.st_size;
    *out = file;
    return ERR_OK;
}

void safetensors_close(struct safetensors *file)
{
    if (!file) return;
    if (file->map) munmap(file->map, file->map_bytes);
    json_decref(file->header);
    free(file->tensor);
    free(file);
}

size_t safetensors_count(const struct safetensors *file)
{
    return file->count;
}

const struct safetensors_tensor *safetensors_tensor(const struct safetensors *file, size_t i)
{
    return i < file->count ? &file->tensor[i] : NULL;
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->tensor[i].name, name) == 0) return &file->tensor[i];
    return NULL;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

uint64_t safetensors_values(const struct safetensors_tensor *tensor)
{
    uint64_t values = 1;
    for (uint32_t i = 0; i < tensor->dims; i++) values *= tensor->shape[i];
    return values;
}

/* IEEE 754 half precision, subnormals, infinities and NaN too. */
static float f16_to_f32(uint16_t h)
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

int safetensors_to_f32(const struct safetensors_tensor *tensor, uint64_t first, uint64_t count,
                       float *out)
{
    uint64_t values = safetensors_values(tensor);
    if (first > values || count > values - first)
        return err_set(ERR_LIMIT, "tensor '%.100s' ends before value %llu", tensor->name,
                       (unsigned long long)(first + count));
    const char *data = tensor->data;
    if (tensor->dtype == SAFETENSORS_F32) {
        if (count) memcpy(out, data + first * 4, count * 4);
        return ERR_OK;
    }
    if (tensor->dtype != SAFETENSORS_F16 && tensor->dtype != SAFETENSORS_BF16)
        return err_set(ERR_VERSION,
                       "tensor '%.100s' is neither F32 nor F16 nor BF16; HINT: "
                       "convert it first",
                       tensor->name);
    for (uint64_t i = 0; i < count; i++) {
        uint16_t h;
        memcpy(&h, data + (first + i) * 2, 2);
        out[i] = tensor->dtype == SAFETENSORS_F16 ? f16_to_f32(h) : bf16_to_f32(h);
    }
    return ERR_OK;
}

/* The header's JSON; NULL with err_set() done. */
static json_t *make_header(const struct safetensors_tensor *tensors, size_t count,
                           const struct safetensors_pair *metadata, size_t pairs)
{
    json_t *header = json_object();
    json_t *strings = pairs ? json_object() : NULL;
    for (size_t i = 0; i < pairs; i++)
        json_object_set_new(strings, metadata[i].key, json_string(metadata[i].value));
    if (pairs) json_object_set_new(header, "__metadata__", strings);
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const struct safetensors_tensor *t = &tensors[i];
        const struct dtype_name *dtype = dtype_by_code(t->dtype);
        int overflow = 0;
        if (!dtype || t->dims > SAFETENSORS_MAX_DIMS || json_object_get(header, t->name) ||
            shape_bytes(t->shape, t->dims, dtype->bytes, &overflow) != t->bytes || overflow) {
            err_set(ERR_FORMAT,
                    "tensor '%.100s' cannot be written: its name is taken, or dtype, "
                    "shape and bytes do not agree",
                    t->name);
            json_decref(header);
            return NULL;
        }
        json_t *shape = json_array();
        for (uint32_t d = 0; d < t->dims; d++)
            json_array_append_new(shape, json_integer((json_int_t)t->shape[d]));
        json_object_set_new(header, t->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype->name, "shape", shape,
                                      "data_offsets", (json_int_t)offset,
                                      (json_int_t)(offset + t->bytes)));
        offset += t->bytes;
    }
    return header;
}

int safetensors_write(const char *path, const struct safetensors_tensor *tensors, size_t count,
                      const struct safetensors_pair *metadata, size_t pairs)
{
    json_t *header = make_header(tensors, count, metadata, pairs);
    if (!header) return ERR_FORMAT;
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (!text) return err_set(ERR_NOMEM, "no memory to write %s", path);
    size_t text_bytes = strlen(text);
    size_t padded = (text_bytes + 7) / 8 * 8; /* so that the data begins on 8 bytes */
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)padded >> 8 * i);
    struct newfile *file;
    int code = newfile_begin(path, &file);
    if (code == ERR_OK) {
        newfile_write(file, length, 8);
        newfile_write(file, text, text_bytes);
        newfile_write(file, "       ", padded - text_bytes);
        for (size_t i = 0; i < count; i++) newfile_write(file, tensors[i].data, tensors[i].bytes);
        code = newfile_commit(file);
    }
    free(text);
    return code;
}
