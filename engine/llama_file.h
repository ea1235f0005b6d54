/*
 * What can be known of a GGUF file without loading it.
 */
#ifndef SLUICE_ENGINE_LLAMA_FILE_H
#define SLUICE_ENGINE_LLAMA_FILE_H

#include "engine/options.h"

#include <stdint.h>

/* Whether it is a GGUF file of a version that llama.cpp reads. ERR_NOTFOUND, ERR_IO, ERR_FORMAT
 * (the text says what it begins with instead). */
int llama_file_check(const char *path);

/* Fingerprint of a model: of the whole file, and of the other parts of a model in several files
 * (NAME-00001-of-00003.gguf). cache_dir as in fingerprint_file(). `watch` (NULL: nobody) is told of
 * a part that has to be read. */
int llama_file_fingerprint(const char *path, const char *cache_dir,
                           const struct engine_watch *watch, uint64_t *hash);

struct llama_file_size {
    int32_t layers;  /* of the whole model */
    uint64_t values; /* weights that remain when `keep_layers` are kept */
    uint64_t bytes;  /* of these weights, as they lie in the file */
};

/* Count the weights of the first keep_layers layers (-1: all) and of what lies in no layer, over
 * all parts. ERR_FORMAT. */
int llama_file_size(const char *path, int32_t keep_layers, struct llama_file_size *size);

#endif
