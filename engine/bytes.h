/*
 * Bytes that can be read at any place: those of a regular file, or of something that can seek. Read
 * with pread(), not mapped, so that a file which becomes shorter, or a disk that fails, is an error
 * and not a SIGBUS.
 */
#ifndef SLUICE_ENGINE_BYTES_H
#define SLUICE_ENGINE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Which file it was, and in what state: two looks at the same are equal. */
struct bytes_identity {
    uint64_t device, inode, size;
    struct timespec changed;
};

struct bytes;

/* Open a file that is not empty. ERR_NOTFOUND, ERR_IO (also: not a regular file, empty), ERR_NOMEM.
 * The caller closes it. */
int bytes_open(const char *path, struct bytes **bytes);

/* An empty temporary file of ours in $TMPDIR, or /var/tmp, that has no name and is gone when it is
 * closed; `size` bytes are set aside at once. ERR_NOSPC, ERR_IO, ERR_NOMEM; the text names the
 * folder. */
int bytes_temporary(uint64_t size, struct bytes **bytes);

/* Bytes that someone else reads: `read` as bytes_read() is, `close` frees `source` with the bytes.
 * ERR_NOMEM: `source` is still the caller's. */
struct bytes_source {
    int (*read)(void *source, uint64_t offset, size_t size, void *out);
    void (*close)(void *source);
    void *source;
};
int bytes_of(const char *path, uint64_t size, const struct bytes_source *source,
             struct bytes **bytes);
void bytes_close(struct bytes *bytes);

const char *bytes_path(const struct bytes *bytes);
uint64_t bytes_size(const struct bytes *bytes);
void bytes_identity(const struct bytes *bytes, struct bytes_identity *identity);

/* Read exactly `size` bytes at `offset`. ERR_IO: the disk, or the file ends before them. */
int bytes_read(const struct bytes *bytes, uint64_t offset, size_t size, void *out);

/* Write at `offset` (a temporary file). ERR_NOSPC, ERR_IO. */
int bytes_write(const struct bytes *bytes, uint64_t offset, size_t size, const void *data);

#endif
