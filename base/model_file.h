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

/* What tells a model from another, wherever it lies: a hash of the sizes of its files and of 4 MiB of
 * each, in 256 pieces at even distances, so that each layer is looked at. Never 0. Reads the disk: a few
 * milliseconds of a file that was just loaded. ERR_IO, ERR_USAGE (no regular
 * file), ERR_NOMEM. */
int model_file_key(const char *path, uint64_t *key);

#endif
