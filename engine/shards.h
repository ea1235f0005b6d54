/*
 * An index of safetensors shards: model.safetensors.index.json, a JSON object whose "weight_map"
 * says which file, beside the index, holds which tensor.
 */
#ifndef SLUICE_ENGINE_SHARDS_H
#define SLUICE_ENGINE_SHARDS_H

#include <limits.h>

/* The path of the shard that holds `tensor`. Names of shards stay below the index's folder.
 * ERR_USAGE: the index has no such tensor (the text lists those that it has). ERR_NOTFOUND: the
 * shard is not there. ERR_FORMAT (no such index), ERR_LIMIT (above 100,000,000 bytes), ERR_IO,
 * ERR_NOMEM. */
int shards_find(const char *index, const char *tensor, char shard[PATH_MAX]);

/* The only tensor of the index that is none of `others` (each may be NULL), malloc'ed. ERR_USAGE:
 * there are several, or none; errors else as above. */
int shards_only(const char *index, const char *const others[2], char **tensor);

#endif
