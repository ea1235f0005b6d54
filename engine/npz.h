/*
 * A .npz: a ZIP archive of .npy files, as numpy.savez and numpy.savez_compressed write it. The one
 * place that knows libzip.
 *
 * A member that is stored is read where it lies; one that is compressed is unpacked into a
 * temporary file (blob_temporary()) when it is opened, since rows are read at any place. Either
 * way all of it is read once and its checksum compared.
 */
#ifndef SLUICE_ENGINE_NPZ_H
#define SLUICE_ENGINE_NPZ_H

#include "engine/blob.h"

struct npz;

/* ERR_NOTFOUND, ERR_IO, ERR_FORMAT (not a ZIP archive, or two arrays of one name), ERR_NOMEM. The
 * caller closes it. */
int npz_open(const char *path, struct npz **npz);
void npz_close(struct npz *npz);

/* Arrays: members whose name ends in .npy, by their name without it, in the archive's order. */
uint32_t npz_count(const struct npz *npz);
const char *npz_name(const struct npz *npz, uint32_t i);
uint64_t npz_size(const struct npz *npz, uint32_t i); /* bytes of the .npy, unpacked */

/* The first bytes of array i, at most `most`; *known = how many. ERR_FORMAT, ERR_VERSION
 * (encrypted, a compression that libzip does not know), ERR_IO, ERR_NOMEM. */
int npz_begin(struct npz *npz, uint32_t i, size_t most, void *out, size_t *known);

/* All bytes of array i, as one .npy, which outlive `npz`. Blocks while it is unpacked or checked.
 * ERR_CHECKSUM and ERR_FORMAT: it is damaged. ERR_NOSPC, ERR_IO, ERR_VERSION, ERR_NOMEM. */
int npz_bytes(struct npz *npz, uint32_t i, struct blob **bytes);

#endif
