#include "engine/llama_file.h"

#include "base/err.h"
#include "base/model_file.h"
#include "engine/fingerprint.h"
#include "engine/llama_quiet.h"

#include <errno.h>
#include <ggml.h>
#include <gguf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int llama_file_check(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return err_set(err_of_file(errno), "cannot open the model %s: %s; HINT: see stream.model",
                       path, strerror(errno));
    unsigned char head[8] = {0};
    size_t n = fread(head, 1, sizeof head, file);
    int failed = ferror(file);
    fclose(file);
    if (failed) return err_set(ERR_IO, "cannot read the model %s", path);
    if (n == sizeof head && memcmp(head, "GGUF", 4) == 0) return ERR_OK;
    return err_set(ERR_FORMAT,
                   "%s is not a GGUF file (it begins with %02x %02x %02x %02x); HINT: "
                   "stream.model wants a model in llama.cpp's format, *.gguf",
                   path, head[0], head[1], head[2], head[3]);
}

struct told_part { /* of a model, that is being read */
    const struct engine_watch *watch;
    const char *file;
};

static void tell_read(void *arg, uint64_t bytes, uint64_t of_bytes)
{
    struct told_part *part = arg;
    part->watch->reading(part->watch->arg, part->file, bytes, of_bytes);
}

static int part_fingerprint(const char *part, const char *cache_dir,
                            const struct engine_watch *watch, uint64_t *hash)
{
    int is_kept = fingerprint_is_kept(part, FINGERPRINT_WHOLE, cache_dir);
    int is_told = watch && watch->reading && !is_kept;
    struct told_part told = {watch, part};
    struct fingerprint_watch reader = {tell_read, &told};
    int result = fingerprint_file_watched(part, FINGERPRINT_WHOLE, cache_dir,
                                          is_told ? &reader : NULL, hash);
    if (is_told) watch->reading(watch->arg, NULL, 0, 0);
    return result;
}

int llama_file_fingerprint(const char *path, const char *cache_dir,
                           const struct engine_watch *watch, uint64_t *hash)
{
    char part[PATH_MAX];
    int parts = model_file_parts(path);
    *hash = 0;
    for (int i = 0; i < parts; i++) {
        uint64_t one;
        int result = model_file_part(path, i, part);
        if (result == ERR_OK) result = part_fingerprint(part, cache_dir, watch, &one);
        if (result != ERR_OK) return result;
        *hash = fingerprint_add_u64(*hash, one);
    }
    return ERR_OK;
}

/* The layer in a weight's name, blk.N.something; -1 where it is in none. */
static int32_t layer_of(const char *name)
{
    int layer;
    return sscanf(name, "blk.%6d.", &layer) == 1 ? layer : -1;
}

static int add_part(const char *path, int32_t keep_layers, struct llama_file_size *size)
{
    struct gguf_init_params params = {.no_alloc = true};
    llama_quiet_start();
    llama_quiet_clear();
    struct gguf_context *gguf = gguf_init_from_file(path, params);
    if (!gguf)
        return err_set(ERR_FORMAT, "%s is a damaged GGUF file: %s", path, llama_quiet_error());
    for (int64_t i = 0; i < gguf_get_n_tensors(gguf); i++) {
        int32_t layer = layer_of(gguf_get_tensor_name(gguf, i));
        if (layer >= size->layers) size->layers = layer + 1;
        if (keep_layers >= 0 && layer >= keep_layers) continue;
        enum ggml_type type = gguf_get_tensor_type(gguf, i);
        uint64_t bytes = gguf_get_tensor_size(gguf, i);
        if (ggml_type_size(type) == 0) continue; /* a type that llama.cpp no longer knows */
        size->values += bytes / ggml_type_size(type) * (uint64_t)ggml_blck_size(type);
        size->bytes += bytes;
    }
    gguf_free(gguf);
    return ERR_OK;
}

int llama_file_size(const char *path, int32_t keep_layers, struct llama_file_size *size)
{
    char part[PATH_MAX];
    int parts = model_file_parts(path), result = ERR_OK;
    *size = (struct llama_file_size){0};
    for (int i = 0; i < parts && result == ERR_OK; i++) {
        result = model_file_part(path, i, part);
        if (result == ERR_OK) result = add_part(part, keep_layers, size);
    }
    return result;
}
