/*
 * A file written piece by piece that appears whole or not at all, after a power cut too: temporary
 * file in the same folder (mode 0600), fsync, rename, fsync of the folder. For what is too large to
 * be put together in memory first. file_replace() (fileio.h) does the same for one block.
 */
#ifndef SLUICE_BASE_NEWFILE_H
#define SLUICE_BASE_NEWFILE_H

#include <stddef.h>
#include <stdint.h>

struct newfile;

/* Begin a new `path`. The old file, if any, stays until newfile_commit(). ERR_IO, ERR_NOSPC,
 * ERR_NOMEM. On success the caller ends with newfile_commit() or newfile_abort(). */
int newfile_begin(const char *path, struct newfile **file);

/* Append bytes. Small pieces are gathered, large ones written as they are, without a copy. Blocks
 * on the disk. The first failure (ERR_IO, ERR_NOSPC) is kept and returned by every later call, so a
 * sequence of writes may be checked once, at the commit. */
int newfile_write(struct newfile *file, const void *data, size_t bytes);

/* Bytes written so far. */
uint64_t newfile_bytes(const struct newfile *file);

/* Make it durable and put it in place; frees `file` whatever happens. On failure (ERR_IO,
 * ERR_NOSPC, or that of an earlier write) the old file stays and the temporary one is removed. */
int newfile_commit(struct newfile *file);

/* Give it up: removes the temporary file, frees `file`. NULL is fine. */
void newfile_abort(struct newfile *file);

#endif
