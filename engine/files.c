/*
 * The engine `files`: rows out of safetensors or .npy files, two-dimensional (rows, width), read
 * through a memory map. Each file is cut into sequences of file_sequence_rows rows (its last may be
 * shorter); sequences are numbered over all files in the order given, none crosses a file's end.
 */
#include "base/err.h"
#include "base/safetensors.h"
#include "engine/backend.h"
#include "engine/fingerprint.h"
#include "engine/npy.h"
#include "engine/span.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct row_file {
    const char *path;
    struct safetensors *safetensors; /* of a safetensors file; its map is in there */
    void *map;                       /* of a .npy file */
    size_t map_bytes;
    struct safetensors_tensor tensor;
    uint64_t first_sequence, sequences;
};

struct files {
    struct row_file *file;
    uint32_t count;
    uint32_t sequence_rows, width;
    uint32_t share_index, share_count;
    uint64_t rows, sequences; /* of all files */
    uint32_t at;              /* file of the next row */
    uint64_t sequence;        /* of the next row */
    uint32_t position;
    uint64_t made;
    char description[96];
    /* one batch */
    uint32_t batch_rows;
    struct row_id *ids;
    uint8_t *flags;
    struct cursor *cursors;
    float *values;
};

/* ---- opening ---------------------------------------------------------------------------- */

static int about_file(int code, const char *path)
{
    char text[600];
    snprintf(text, sizeof text, "%s", err_text());
    return err_set(code, "%s: %s", path, text);
}

static int map_npy(struct row_file *f)
{
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        int code = fd < 0 ? err_of_file(errno) : ERR_FORMAT;
        if (fd >= 0) close(fd);
        return err_set(code, "%s: %s", f->path,
                       fd < 0 ? strerror(errno) : "not a file with anything in it");
    }
    f->map_bytes = (size_t)st.st_size;
    void *map = mmap(NULL, f->map_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED) return err_set(ERR_IO, "cannot map %s: %s", f->path, strerror(errno));
    f->map = map;
    struct npy npy;
    int result = npy_parse(map, f->map_bytes, &npy);
    if (result != ERR_OK) return about_file(result, f->path);
    f->tensor = (struct safetensors_tensor){.dtype = npy.value_bytes == 4 ? SAFETENSORS_F32
                                                                          : SAFETENSORS_F16,
                                            .dims = 2,
                                            .shape = {npy.rows, npy.width},
                                            .data = (const char *)map + npy.data,
                                            .bytes = npy.rows * npy.width * npy.value_bytes};
    return ERR_OK;
}

static int list_tensors(const struct row_file *f, const char *wanted)
{
    char list[500] = "";
    for (size_t i = 0; i < safetensors_count(f->safetensors); i++) {
        const char *name = safetensors_tensor(f->safetensors, i)->name;
        size_t used = strlen(list);
        if (used + strlen(name) + 3 < sizeof list)
            sprintf(list + used, "%s%s", used ? ", " : "", name);
    }
    if (wanted) return err_set(ERR_USAGE, "%s has no tensor %s; it has: %s", f->path, wanted, list);
    return err_set(ERR_USAGE, "%s has %zu tensors; HINT: set capture.tensor to one of: %s", f->path,
                   safetensors_count(f->safetensors), list);
}

static int open_tensor(struct row_file *f, const char *wanted)
{
    int result = safetensors_open(f->path, &f->safetensors);
    if (result != ERR_OK) return result;
    const struct safetensors_tensor *tensor = NULL;
    if (wanted)
        tensor = safetensors_find(f->safetensors, wanted);
    else if (safetensors_count(f->safetensors) == 1)
        tensor = safetensors_tensor(f->safetensors, 0);
    if (!tensor) return list_tensors(f, wanted);
    f->tensor = *tensor;
    if (tensor->dims != 2)
        return err_set(ERR_FORMAT, "%s: %s has %u dimensions, not (rows, width)", f->path,
                       tensor->name, tensor->dims);
    if (tensor->dtype == SAFETENSORS_OTHER)
        return err_set(ERR_VERSION, "%s: %s is not F32, F16 or BF16", f->path, tensor->name);
    return ERR_OK;
}

static int is_npy(const char *path)
{
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".npy") == 0;
}

static int open_file(struct files *s, struct row_file *f, const char *tensor)
{
    int result = is_npy(f->path) ? map_npy(f) : open_tensor(f, tensor);
    if (result != ERR_OK) return result;
    uint64_t rows = f->tensor.shape[0], width = f->tensor.shape[1];
    if (rows == 0 || width == 0 || width > 1u << 17)
        return err_set(ERR_FORMAT, "%s holds %" PRIu64 " rows of %" PRIu64 " values", f->path, rows,
                       width);
    if (s->width != 0 && s->width != width)
        return err_set(ERR_MISMATCH, "%s has rows of %" PRIu64 " values, the files before it of %u",
                       f->path, width, s->width);
    s->width = (uint32_t)width;
    f->first_sequence = s->sequences;
    f->sequences = (rows - 1) / s->sequence_rows + 1;
    s->sequences += f->sequences;
    s->rows += rows;
    return ERR_OK;
}

static void close_files(void *state)
{
    struct files *s = state;
    if (!s) return;
    for (uint32_t i = 0; s->file && i < s->count; i++) {
        safetensors_close(s->file[i].safetensors);
        if (s->file[i].map) munmap(s->file[i].map, s->file[i].map_bytes);
    }
    free(s->file);
    free(s->ids);
    free(s->flags);
    free(s->cursors);
    free(s->values);
    free(s);
}

static int fingerprint(const struct files *s, uint64_t *hash)
{
    *hash = s->sequence_rows;
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t one;
        int result = fingerprint_file(s->file[i].path, FINGERPRINT_SAMPLED, NULL, &one);
        if (result != ERR_OK) return result;
        *hash = fingerprint_add_u64(*hash, one);
        if (s->file[i].tensor.name) *hash = fingerprint_add_text(*hash, s->file[i].tensor.name);
    }
    return ERR_OK;
}

static int allocate(struct files *s)
{
    s->batch_rows = span_batch_rows(s->width);
    s->ids = calloc(s->batch_rows, sizeof *s->ids);
    s->flags = calloc(s->batch_rows, 1);
    s->cursors = calloc(s->batch_rows + 1, sizeof *s->cursors);
    s->values = malloc((size_t)s->batch_rows * s->width * sizeof *s->values);
    if (!s->ids || !s->flags || !s->cursors || !s->values)
        return err_set(ERR_NOMEM, "no memory for rows of %u values", s->width);
    return ERR_OK;
}

/* Several hooks share the width evenly, as rows of a crosscoder lie side by side. */
static int describe(struct files *s, const struct engine_options *o, struct engine_info *info)
{
    uint32_t hooks = o->hooks_count > 0 ? o->hooks_count : 1;
    if (s->width % hooks != 0)
        return err_set(ERR_USAGE, "rows of %u values cannot be shared by %u hooks", s->width,
                       hooks);
    for (uint32_t h = 0; h < hooks; h++) {
        snprintf(info->hook[h].name, sizeof info->hook[h].name, "%s",
                 o->hooks_count > 0 ? o->hooks[h] : "files");
        info->hook[h].width = s->width / hooks;
    }
    snprintf(s->description, sizeof s->description, "%u files, %" PRIu64 " rows of %u values",
             s->count, s->rows, s->width);
    info->hooks = hooks;
    info->model = s->description;
    info->model_hash = info->corpus_hash;
    info->precision = s->file[0].tensor.dtype == SAFETENSORS_F32   ? "f32"
                      : s->file[0].tensor.dtype == SAFETENSORS_F16 ? "f16"
                                                                   : "bf16";
    info->context_tokens = s->sequence_rows;
    info->resumable = 1;
    return ERR_OK;
}

static int open_files(const struct engine_options *o, struct engine_info *info, void **state)
{
    if (o->files_count == 0)
        return err_set(ERR_USAGE, "no files are given; HINT: set capture.files");
    if (o->file_sequence_rows == 0)
        return err_set(ERR_USAGE, "capture.file_sequence_rows must not be 0");
    struct files *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for an engine");
    s->sequence_rows = o->file_sequence_rows;
    s->share_index = o->share_index;
    s->share_count = o->share_count;
    s->sequence = o->share_index;
    s->file = calloc(o->files_count, sizeof *s->file);
    int result = s->file ? ERR_OK : err_set(ERR_NOMEM, "no memory for a list of files");
    for (uint32_t i = 0; i < o->files_count && result == ERR_OK; i++) {
        s->file[i].path = o->files[i];
        s->count = i + 1;
        result = open_file(s, &s->file[i], o->tensor);
    }
    if (result == ERR_OK) result = fingerprint(s, &info->corpus_hash);
    if (result == ERR_OK) result = describe(s, o, info);
    if (result == ERR_OK) result = allocate(s);
    if (result != ERR_OK) {
        close_files(s);
        return result;
    }
    *state = s;
    return ERR_OK;
}

/* ---- rows ------------------------------------------------------------------------------- */

static struct engine_counters counters(const void *state)
{
    const struct files *s = state;
    return (struct engine_counters){.tokens = s->made};
}

static int count_rows(void *state, uint64_t *rows, void (*progress)(void *arg, uint64_t tokens),
                      void *arg)
{
    const struct files *s = state;
    (void)progress;
    (void)arg;
    *rows = s->rows;
    return ERR_OK;
}

/* Rows of the sequence `number`, which lies in file f. */
static uint32_t sequence_length(const struct files *s, const struct row_file *f, uint64_t number)
{
    uint64_t before = (number - f->first_sequence) * s->sequence_rows;
    uint64_t left = f->tensor.shape[0] - before;
    return left < s->sequence_rows ? (uint32_t)left : s->sequence_rows;
}

/* Put s->at to the file of s->sequence; its count at the end. */
static void find_file(struct files *s)
{
    while (s->at < s->count &&
           s->sequence >= s->file[s->at].first_sequence + s->file[s->at].sequences)
        s->at++;
}

static int seek(void *state, const struct cursor *cursor)
{
    struct files *s = state;
    uint64_t sequence;
    int result = span_of_cursor(cursor, s->share_index, s->share_count, &sequence);
    if (result != ERR_OK) return result;
    s->sequence = sequence;
    s->position = cursor->position;
    s->at = 0;
    find_file(s);
    uint32_t length = s->at < s->count ? sequence_length(s, &s->file[s->at], sequence) : 0;
    int at_end =
        s->at == s->count && cursor->position == 0 && sequence < s->sequences + s->share_count;
    if (cursor->position < length || at_end) return ERR_OK;
    return err_set(ERR_MISMATCH,
                   "the files have no sequence %" PRIu64 " with position %u: they are not those "
                   "that this stream was begun with",
                   sequence, cursor->position);
}

static struct cursor here(const struct files *s)
{
    return (struct cursor){.sequence = s->sequence, .position = s->position};
}

/* Add rows of the current sequence to the batch, as many as fit. */
static int add_rows(struct files *s, size_t *rows)
{
    const struct row_file *f = &s->file[s->at];
    uint32_t length = sequence_length(s, f, s->sequence);
    size_t n = length - s->position;
    if (n > s->batch_rows - *rows) n = s->batch_rows - *rows;
    uint64_t first = (s->sequence - f->first_sequence) * s->sequence_rows + s->position;
    int result = safetensors_to_f32(&f->tensor, first * s->width, (uint64_t)n * s->width,
                                    s->values + *rows * s->width);
    if (result != ERR_OK) return about_file(result, f->path);
    for (size_t i = 0; i < n; i++, s->position++) {
        s->ids[*rows + i] = (struct row_id){s->sequence, s->position, 0};
        s->cursors[*rows + i] = here(s);
    }
    *rows += n;
    if (s->position == length) {
        s->position = 0;
        s->sequence += s->share_count;
        find_file(s);
    }
    return ERR_OK;
}

static int next(void *state, struct engine_batch *batch)
{
    struct files *s = state;
    size_t rows = 0;
    find_file(s);
    while (rows < s->batch_rows && s->at < s->count) {
        int result = add_rows(s, &rows);
        if (result != ERR_OK) return result;
    }
    s->cursors[rows] = here(s);
    s->made += rows;
    *batch = (struct engine_batch){rows, s->ids, s->flags, s->cursors, s->values};
    return ERR_OK;
}

const struct backend backend_files = {
    .open = open_files,
    .counters = counters,
    .count_rows = count_rows,
    .seek = seek,
    .next = next,
    .close = close_files,
};
