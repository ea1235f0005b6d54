#include "engine/place.h"

#include "base/err.h"
#include "base/safetensors.h"
#include "engine/names.h"
#include "engine/npy.h"
#include "engine/npz.h"
#include "engine/shards.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int place_about(int code, const char *path)
{
    return strstr(err_text(), path) ? code : err_set(code, "%s: %s", path, err_text());
}

const char *place_name(const struct place *p)
{
    static _Thread_local char text[PATH_MAX + 300];
    snprintf(text, sizeof text, "%s%s%.250s", p->path, p->name ? ": " : "", p->name ? p->name : "");
    return text;
}

static int about_array(int code, const struct place *p)
{
    return strstr(err_text(), p->path) ? code : place_about(code, place_name(p));
}

static int keep_name(struct place *p, const char *name)
{
    p->name = strdup(name);
    return p->name ? ERR_OK : err_set(ERR_NOMEM, "no memory to read %s", p->path);
}

static int is_other(const struct place_wish *w, const char *name)
{
    for (int i = 0; i < 2; i++)
        if (w->others[i] && strcmp(w->others[i], name) == 0) return 1;
    return 0;
}

/* Which of `count` arrays is meant. */
static int choose(const char *path, const struct place_wish *w, size_t count,
                  const char *(*name_of)(const void *file, size_t i), const void *file,
                  size_t *chosen)
{
    struct names names = {0};
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = name_of(file, i);
        names_add(&names, name);
        if (w->name ? strcmp(name, w->name) != 0 : is_other(w, name)) continue;
        *chosen = i;
        found++;
    }
    if (found == 1) return ERR_OK;
    if (w->name)
        return err_set(ERR_USAGE,
                       "%s has no tensor %s; it has: %s; HINT: see %s; of shards "
                       "give their .safetensors.index.json, not the folder",
                       path, w->name, names_text(&names), w->key);
    return err_set(ERR_USAGE, "%s has %zu tensors; HINT: set %s to one of: %s", path, count, w->key,
                   names_text(&names));
}

/* ---- kinds ---- */

static int find_npy(struct place *p, const struct blob *bytes, const struct place_wish *w)
{
    uint64_t size = blob_size(bytes);
    size_t known = size < NPY_BEGIN_BYTES ? size : NPY_BEGIN_BYTES;
    char begin[NPY_BEGIN_BYTES];
    p->kind = PLACE_NPY;
    int result = blob_read(bytes, 0, known, begin);
    if (result == ERR_OK) result = npy_parse(begin, known, size, w->is_bf16, &p->array);
    return result == ERR_OK ? ERR_OK : place_about(result, p->path);
}

static const char *npz_name_of(const void *file, size_t i)
{
    return npz_name(file, (uint32_t)i);
}

static int find_member(struct place *p, struct npz *npz, const struct place_wish *w)
{
    char begin[NPY_BEGIN_BYTES];
    size_t i, known;
    if (npz_count(npz) == 0)
        return err_set(ERR_FORMAT,
                       "%s: a ZIP archive without arrays; HINT: a .npz is what numpy.savez writes; "
                       "save a PyTorch file with safetensors.torch.save_file",
                       p->path);
    int result = choose(p->path, w, npz_count(npz), npz_name_of, npz, &i);
    if (result != ERR_OK) return result;
    p->member = (uint32_t)i;
    result = keep_name(p, npz_name(npz, p->member));
    if (result == ERR_OK) result = npz_begin(npz, p->member, sizeof begin, begin, &known);
    if (result == ERR_OK)
        result = npy_parse(begin, known, npz_size(npz, p->member), w->is_bf16, &p->array);
    return result == ERR_OK ? ERR_OK : about_array(result, p);
}

static int find_npz(struct place *p, const struct place_wish *w)
{
    struct npz *npz;
    p->kind = PLACE_NPZ;
    int result = npz_open(p->path, &npz);
    if (result != ERR_OK) return result;
    result = find_member(p, npz, w);
    npz_close(npz);
    return result;
}

static int dtype_of_safetensors(const char *name)
{
    static const struct {
        const char *name;
        int dtype;
    } known[] = {{"F16", ARRAY_F16}, {"F32", ARRAY_F32}, {"F64", ARRAY_F64}, {"BF16", ARRAY_BF16},
                 {"I8", ARRAY_I8},   {"I16", ARRAY_I16}, {"I32", ARRAY_I32}, {"I64", ARRAY_I64},
                 {"U8", ARRAY_U8},   {"U16", ARRAY_U16}, {"U32", ARRAY_U32}, {"U64", ARRAY_U64}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0) return known[i].dtype;
    return 0;
}

static const char *tensor_name_of(const void *file, size_t i)
{
    return safetensors_tensor(file, i)->name;
}

static int find_tensor(struct place *p, const struct safetensors *file, const struct place_wish *w)
{
    size_t i;
    int result = choose(p->path, w, safetensors_count(file), tensor_name_of, file, &i);
    if (result != ERR_OK) return result;
    const struct safetensors_tensor *t = safetensors_tensor(file, i);
    const char *dtype = safetensors_dtype(t);
    array_set_dtype_text(&p->array, dtype, strlen(dtype));
    p->array.dtype = dtype_of_safetensors(dtype);
    p->array.dims = t->dims;
    memcpy(p->array.shape, t->shape, sizeof p->array.shape);
    p->array.offset = safetensors_offset(file, t);
    return keep_name(p, t->name);
}

static int find_safetensors(struct place *p, const struct place_wish *w)
{
    struct safetensors *file;
    p->kind = PLACE_SAFETENSORS;
    int result = safetensors_open_header(p->path, &file);
    if (result != ERR_OK) return result;
    result = find_tensor(p, file, w);
    safetensors_close(file);
    return result;
}

/* The same wish again, of the shard. */
static int find_shard(const char *index, const struct place_wish *w, struct place *p)
{
    char shard[PATH_MAX], *only = NULL;
    struct place_wish wish = *w;
    wish.in_index = 1;
    int result = w->name ? ERR_OK : shards_only(index, w->others, &only);
    if (result == ERR_OK && !w->name) wish.name = only;
    if (result == ERR_OK) result = shards_find(index, wish.name, shard);
    if (result == ERR_OK) {
        place_fini(p);
        result = place_find(shard, &wish, p);
    }
    free(only);
    return result;
}

/* ---- which kind it is ---- */

static int begins(const char *begin, size_t known, const char *with, size_t length)
{
    return known >= length && memcmp(begin, with, length) == 0;
}

static int ends_with(const char *path, const char *end)
{
    size_t length = strlen(path), tail = strlen(end);
    return length > tail && strcmp(path + length - tail, end) == 0;
}

/* What it looks like, of files that people give by mistake; NULL: nothing known. */
static const char *looks_like(const char *begin, size_t known)
{
    static const struct {
        const char *text;
        size_t length;
        const char *name;
    } kinds[] = {
        {"version https://git-lfs", 23, "a pointer of Git LFS; HINT: git lfs pull"},
        {"\x89HDF", 4, "an HDF5 file; HINT: save its array with numpy.save"},
        {"PAR1", 4, "a Parquet file; HINT: save its rows with numpy.save"},
        {"GGUF", 4, "a GGUF model; HINT: capture.engine: llama"},
        {"\x1f\x8b", 2, "gzip; HINT: unpack it first"},
        {"\x28\xb5\x2f\xfd", 4, "zstd; HINT: unpack it first"},
        {"\x80\x02", 2, "a Python pickle; HINT: save it with numpy.save"},
        {"\x80\x03", 2, "a Python pickle; HINT: save it with numpy.save"},
        {"\x80\x04", 2, "a Python pickle; HINT: save it with numpy.save"},
        {"\x80\x05", 2, "a Python pickle; HINT: save it with numpy.save"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (begins(begin, known, kinds[i].text, kinds[i].length)) return kinds[i].name;
    return NULL;
}

/* A safetensors file's length of its header, whose first byte may well be a '{'. */
static int has_header(const char *begin, size_t known, uint64_t size)
{
    uint64_t length = 0;
    if (known <= 8 || begin[8] != '{') return 0;
    for (int i = 8; i-- > 0;) length = length << 8 | (unsigned char)begin[i];
    return length <= 100000000 && length <= size - 8;
}

static int find_by_kind(const char *path, const struct blob *bytes, const struct place_wish *w,
                        struct place *p)
{
    char begin[24];
    size_t known = blob_size(bytes) < sizeof begin ? blob_size(bytes) : sizeof begin;
    int result = blob_read(bytes, 0, known, begin);
    if (result != ERR_OK) return result;
    if (begins(begin, known, "\x93NUMPY", 6)) return find_npy(p, bytes, w);
    if (begins(begin, known, "PK\3\4", 4) || begins(begin, known, "PK\5\6", 4))
        return find_npz(p, w);
    if (has_header(begin, known, blob_size(bytes))) return find_safetensors(p, w);
    int is_index = begins(begin, known, "{", 1) || ends_with(path, ".json");
    if (is_index && w->in_index)
        return err_set(ERR_FORMAT, "%s: a shard is a safetensors file, not JSON", path);
    if (is_index) return find_shard(path, w, p);
    if (known > 8 && begin[8] == '{') return find_safetensors(p, w);
    const char *other = looks_like(begin, known);
    if (other) return err_set(ERR_FORMAT, "%s looks like %s", path, other);
    if (ends_with(path, ".npy")) return find_npy(p, bytes, w);
    if (ends_with(path, ".npz")) return find_npz(p, w);
    if (ends_with(path, ".safetensors")) return find_safetensors(p, w);
    return err_set(ERR_FORMAT, "%s is neither a .npy, a .npz nor a safetensors file", path);
}

int place_find(const char *path, const struct place_wish *wish, struct place *place)
{
    struct blob *bytes;
    memset(place, 0, sizeof *place);
    int result = blob_open(path, &bytes);
    if (result != ERR_OK) return result;
    blob_identity(bytes, &place->identity);
    place->path = strdup(path);
    result = place->path ? find_by_kind(path, bytes, wish, place)
                         : err_set(ERR_NOMEM, "no memory to read %s", path);
    blob_close(bytes);
    if (result != ERR_OK) place_fini(place);
    return result;
}

void place_fini(struct place *p)
{
    free(p->path);
    free(p->name);
    memset(p, 0, sizeof *p);
}

int place_expect(const struct place *p, int floats)
{
    const struct array *a = &p->array;
    int result;
    if (a->dtype && array_is_float(a->dtype) == floats) return ERR_OK;
    if (p->kind != PLACE_SAFETENSORS)
        result = npy_refuse(a, floats);
    else if (floats)
        result = err_set(ERR_VERSION,
                         "dtype %s is not F64, F32, F16 or BF16; HINT: save x.to(torch.float32)",
                         a->dtype_text);
    else
        result = err_set(ERR_VERSION, "dtype %s is not of integers; HINT: save x.to(torch.int64)",
                         a->dtype_text);
    return about_array(result, p);
}

/* ---- reading ---- */

static int check_identity(const struct place *p, const struct blob *bytes)
{
    struct blob_identity now;
    blob_identity(bytes, &now);
    if (memcmp(&now, &p->identity, sizeof now) == 0) return ERR_OK;
    return err_set(ERR_MISMATCH,
                   "%s has changed since the run began; HINT: let it be as it was, or start over "
                   "with --fresh",
                   p->path);
}

static int open_member(const struct place *p, struct blob **bytes)
{
    struct npz *npz;
    int result = npz_open(p->path, &npz);
    if (result != ERR_OK) return result;
    if (p->member < npz_count(npz) && strcmp(npz_name(npz, p->member), p->name) == 0)
        result = npz_bytes(npz, p->member, bytes);
    else
        result = err_set(ERR_MISMATCH, "%s has changed since the run began", p->path);
    npz_close(npz);
    return result == ERR_OK ? ERR_OK : place_about(result, p->path);
}

int place_open(const struct place *p, struct blob **bytes)
{
    int result = blob_open(p->path, bytes);
    if (result != ERR_OK) return result;
    result = check_identity(p, *bytes);
    if (result == ERR_OK && p->kind != PLACE_NPZ) return ERR_OK;
    blob_close(*bytes);
    *bytes = NULL;
    return result == ERR_OK ? open_member(p, bytes) : result;
}
