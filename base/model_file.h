/*
 * The file of a model, and what tells it from another. Large models lie in several: the first is given,
 * NAME-00001-of-00003.gguf, and the others lie beside it.
 */
#ifndef SLUICE_BASE_MODEL_FILE_H
#define SLUICE_BASE_MODEL_FILE_H

#include <limits.h>
#include <stdint.h>

/* Files of the model of which `path` is the first; 1 where the name does not speak of parts. */
int model_file_parts(const char *path);
/* The path of one, from 0. ERR_IO: it is too long. */
int model_file_part(const char *path, int part, char out[PATH_MAX]);

/* What tells a model from another, wherever it lies: a hash of the sizes of its files and of a page of
 * each MiB of them, 4 MiB at least. A change that is smaller than that may not be seen. Never 0. Reads
 * the disk: some 0.1 s for 16 GiB that were just loaded. ERR_IO, ERR_USAGE (no regular file),
 * ERR_NOMEM. */
int model_file_key(const char *path, uint64_t *key);

#endif
