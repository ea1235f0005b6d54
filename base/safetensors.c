#include "base/safetensors.h"

#include "base/err.h"
#include "base/newfile.h"
#include "base/row.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_LIMIT_BYTES = 100000000 };

struct entry {
    struct safetensors_tensor tensor;
    const char *dtype;
    uint64_t begin; /* of its data, behind the header */
};

struct safetensors {
    void *map; /* NULL: bytes of the caller's, or none but the header's */
    size_t map_bytes;
    json_t *header;   /* names and metadata point into it */
    const char *data; /* NULL: none but the header was read */
    uint64_t data_offset, data_bytes;
    size_t count;
    struct entry *entry; /* (count) */
};

static const struct dtype_name {
    const char *name;
    uint32_t bytes;
    enum safetensors_dtype dtype;
} dtypes[] = {
    {"F32", 4, SAFETENSORS_F32},       {"F16", 2, SAFETENSORS_F16},
    {"BF16", 2, SAFETENSORS_BF16},     {"F64", 8, SAFETENSORS_OTHER},
    {"I64", 8, SAFETENSORS_OTHER},     {"U64", 8, SAFETENSORS_OTHER},
    {"I32", 4, SAFETENSORS_OTHER},     {"U32", 4, SAFETENSORS_U32},
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

static int parse_shape(const char *name, const json_t *shape, struct safetensors_tensor *tensor)
{
    if (json_array_size(shape) > SAFETENSORS_MAX_DIMS)
        return err_set(ERR_FORMAT, "tensor '%.100s': more than %d dimensions", name,
                       SAFETENSORS_MAX_DIMS);
    tensor->dims = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < tensor->dims; i++)
        if (!json_u64(json_array_get(shape, i), &tensor->shape[i]))
            return err_set(ERR_FORMAT, "tensor '%.100s': bad shape", name);
    return ERR_OK;
}

/* One entry of the header. Of a dtype that is younger than this build nobody knows how large a
 * value is, so its data is only held to the file. */
static int parse_tensor(const struct safetensors *file, const char *name, const json_t *object,
                        struct entry *entry)
{
    const json_t *shape = json_object_get(object, "shape");
    const json_t *offsets = json_object_get(object, "data_offsets");
    struct safetensors_tensor *tensor = &entry->tensor;
    entry->dtype = json_string_value(json_object_get(object, "dtype"));
    if (!entry->dtype || !json_is_array(shape) || !json_is_array(offsets))
        return err_set(ERR_FORMAT, "tensor '%.100s': no dtype, shape or data_offsets", name);
    const struct dtype_name *dtype = dtype_by_name(entry->dtype);
    tensor->name = name;
    tensor->dtype = dtype ? dtype->dtype : SAFETENSORS_OTHER;
    int result = parse_shape(name, shape, tensor);
    if (result != ERR_OK) return result;
    uint64_t end;
    if (json_array_size(offsets) != 2 || !json_u64(json_array_get(offsets, 0), &entry->begin) ||
        !json_u64(json_array_get(offsets, 1), &end) || entry->begin > end || end > file->data_bytes)
        return err_set(ERR_FORMAT, "tensor '%.100s': its data lies outside the file", name);
    int overflow;
    tensor->bytes = end - entry->begin;
    if (dtype &&
        (shape_bytes(tensor->shape, tensor->dims, dtype->bytes, &overflow) != tensor->bytes ||
         overflow))
        return err_set(ERR_FORMAT, "tensor '%.100s': shape and data differ in size", name);
    tensor->data = file->data ? file->data + entry->begin : NULL;
    return ERR_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->tensor.bytes != y->tensor.bytes) return x->tensor.bytes < y->tensor.bytes ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

/* The tensors must cover the data exactly: no overlap, no hole, nothing after the last. */
static int check_cover(struct safetensors *file)
{
    if (file->count > 1) qsort(file->entry, file->count, sizeof file->entry[0], by_place);
    uint64_t end = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (file->entry[i].begin != end)
            return err_set(ERR_FORMAT, "tensor '%.100s': overlaps or leaves a hole before it",
                           file->entry[i].tensor.name);
        end += file->entry[i].tensor.bytes;
    }
    if (end != file->data_bytes)
        return err_set(ERR_FORMAT, "%llu bytes belong to no tensor",
                       (unsigned long long)(file->data_bytes - end));
    return ERR_OK;
}

static int check_metadata(const json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return err_set(ERR_FORMAT, "__metadata__ is not an object");
    json_object_foreach((json_t *)metadata, key, value)
    {
        if (!json_is_string(value))
            return err_set(ERR_FORMAT, "__metadata__ '%.100s' is not a string", key);
    }
    return ERR_OK;
}

static int parse_entries(struct safetensors *file)
{
    const char *name;
    json_t *object;
    file->entry = calloc(json_object_size(file->header) + 1, sizeof file->entry[0]);
    if (!file->entry) return err_set(ERR_NOMEM, "no memory for a safetensors header");
    json_object_foreach(file->header, name, object)
    {
        int is_metadata = strcmp(name, "__metadata__") == 0;
        int result = is_metadata ? check_metadata(object)
                                 : parse_tensor(file, name, object, &file->entry[file->count]);
        if (result != ERR_OK) return result;
        file->count += !is_metadata;
    }
    return check_cover(file);
}

/* Bytes of the header of a file of `size` bytes that begins with these 8. */
static int header_length(const unsigned char *p, uint64_t size, uint64_t *length)
{
    *length = 0;
    for (int i = 7; i >= 0; i--) *length = *length << 8 | p[i];
    if (*length > HEADER_LIMIT_BYTES)
        return err_set(ERR_LIMIT,
                       "header of %llu bytes: not a safetensors file, or beyond %d bytes",
                       (unsigned long long)*length, HEADER_LIMIT_BYTES);
    if (*length > size - 8)
        return err_set(ERR_FORMAT, "header of %llu bytes in a file of %llu",
                       (unsigned long long)*length, (unsigned long long)size);
    if (*length < 2) return err_set(ERR_FORMAT, "the header does not begin with '{'");
    return ERR_OK;
}

/* The header's text of a file of `size` bytes; `data`: what comes behind it, or NULL. */
static int parse(const char *text, uint64_t length, const char *data, uint64_t size,
                 struct safetensors **out)
{
    if (text[0] != '{') return err_set(ERR_FORMAT, "the header does not begin with '{'");
    struct safetensors *file = calloc(1, sizeof *file);
    if (!file) return err_set(ERR_NOMEM, "no memory for a safetensors header");
    file->data = data;
    file->data_offset = 8 + length;
    file->data_bytes = size - file->data_offset;
    json_error_t error;
    file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    int result = file->header ? parse_entries(file)
                              : err_set(ERR_FORMAT, "header is not JSON: %.200s", error.text);
    if (result != ERR_OK) {
        safetensors_close(file);
        return result;
    }
    *out = file;
    return ERR_OK;
}

int safetensors_parse(const void *data, size_t bytes, struct safetensors **out)
{
    const unsigned char *p = data;
    uint64_t length;
    if (bytes < 8)
        return err_set(ERR_FORMAT, "%zu bytes are too few for a safetensors file", bytes);
    int result = header_length(p, bytes, &length);
    if (result != ERR_OK) return result;
    return parse((const char *)p + 8, length, (const char *)p + 8 + length, bytes, out);
}

/* A regular file with something in it. */
static int open_regular(const char *path, int *fd, uint64_t *size)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return err_set(err_of_file(errno), "cannot open %s: %s", path, strerror(errno));
    int result = ERR_OK;
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode))
        result = err_set(ERR_USAGE, "%s is not a regular file", path);
    else if (st.st_size == 0)
        result = err_set(ERR_FORMAT, "%s is empty", path);
    if (result != ERR_OK)
        close(*fd);
    else
        *size = (uint64_t)st.st_size;
    return result;
}

static int about(int code, const char *path)
{
    return err_set(code, "%s: %s", path, err_text());
}

static int read_header(int fd, uint64_t size, struct safetensors **out)
{
    unsigned char first[8];
    uint64_t length;
    if (size < 8 || pread(fd, first, 8, 0) != 8)
        return err_set(ERR_FORMAT, "%llu bytes are too few for a safetensors file",
                       (unsigned long long)size);
    int result = header_length(first, size, &length);
    if (result != ERR_OK) return result;
    char *text = malloc(length);
    if (!text) return err_set(ERR_NOMEM, "no memory for a safetensors header");
    uint64_t used = 0;
    while (used < length) {
        ssize_t n = pread(fd, text + used, length - used, (off_t)(8 + used));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        used += (uint64_t)n;
    }
    result = used == length ? parse(text, length, NULL, size, out)
                            : err_set(ERR_IO, "the header cannot be read");
    free(text);
    return result;
}

int safetensors_open_header(const char *path, struct safetensors **out)
{
    int fd;
    uint64_t size;
    int result = open_regular(path, &fd, &size);
    if (result != ERR_OK) return result;
    result = read_header(fd, size, out);
    close(fd);
    return result != ERR_OK ? about(result, path) : ERR_OK;
}

int safetensors_open(const char *path, struct safetensors **out)
{
    int fd;
    uint64_t size;
    int result = open_regular(path, &fd, &size);
    if (result != ERR_OK) return result;
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    int map_errno = errno;
    close(fd);
    if (map == MAP_FAILED) return err_set(ERR_IO, "cannot map %s: %s", path, strerror(map_errno));
    struct safetensors *file;
    result = safetensors_parse(map, size, &file);
    if (result != ERR_OK) {
        munmap(map, size);
        return about(result, path);
    }
    file->map = map;
    file->map_bytes = size;
    *out = file;
    return ERR_OK;
}

void safetensors_close(struct safetensors *file)
{
    if (!file) return;
    if (file->map) munmap(file->map, file->map_bytes);
    json_decref(file->header);
    free(file->entry);
    free(file);
}

size_t safetensors_count(const struct safetensors *file)
{
    return file->count;
}

const struct safetensors_tensor *safetensors_tensor(const struct safetensors *file, size_t i)
{
    return i < file->count ? &file->entry[i].tensor : NULL;
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->entry[i].tensor.name, name) == 0) return &file->entry[i].tensor;
    return NULL;
}

/* A tensor is the beginning of its entry. */
const char *safetensors_dtype(const struct safetensors_tensor *tensor)
{
    return ((const struct entry *)(const void *)tensor)->dtype;
}

uint64_t safetensors_offset(const struct safetensors *file, const struct safetensors_tensor *tensor)
{
    return file->data_offset + ((const struct entry *)(const void *)tensor)->begin;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

uint64_t safetensors_values(const struct safetensors_tensor *tensor)
{
    int overflow;
    uint64_t values = shape_bytes(tensor->shape, tensor->dims, 1, &overflow);
    return overflow ? UINT64_MAX : values;
}

int safetensors_to_f32(const struct safetensors_tensor *tensor, uint64_t first, uint64_t count,
                       float *out)
{
    uint64_t values = safetensors_values(tensor);
    if (first > values || count > values - first)
        return err_set(ERR_LIMIT, "tensor '%.100s' ends before value %llu", tensor->name,
                       (unsigned long long)(first + count));
    const char *data = tensor->data;
    if (!data && count)
        return err_set(ERR_STATE, "of tensor '%.100s' only the header was read", tensor->name);
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
    int result = newfile_begin(path, &file);
    if (result == ERR_OK) {
        newfile_write(file, length, 8);
        newfile_write(file, text, text_bytes);
        newfile_write(file, "       ", padded - text_bytes);
        for (size_t i = 0; i < count; i++) newfile_write(file, tensors[i].data, tensors[i].bytes);
        result = newfile_commit(file);
    }
    free(text);
    return result;
}
