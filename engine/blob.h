/*
 * Bytes that can be read at any place: those of a regular file, or of something that can seek. Read
 * with pread(), not mapped, so that a file which becomes shorter, or a disk that fails, is an error
 * and not a SIGBUS.
 */
#ifndef SLUICE_ENGINE_BLOB_H
#define SLUICE_ENGINE_BLOB_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Which file it was, and in what state: two looks at the same are equal. */
struct blob_identity {
    uint64_t device, inode, size;
    struct timespec changed;
};

struct blob;

/* Open a file that is not empty. ERR_USAGE (not a regular file, no permission),
 * ERR_FORMAT (empty), ERR_NOTFOUND, ERR_IO, ERR_NOMEM.
 * The caller closes it. */
int blob_open(const char *path, struct blob **bytes);

/* An empty temporary file of ours in $TMPDIR, or /var/tmp, that has no name and is gone when it is
 * closed; `size` bytes are set aside at once. ERR_NOSPC, ERR_IO, ERR_NOMEM; the text names the
 * folder. */
int blob_temporary(uint64_t size, struct blob **bytes);

/* Bytes that someone else reads: `read` as blob_read() is, `close` frees `source` with the bytes.
 * ERR_NOMEM: `source` is still the caller's. */
struct blob_source {
    int (*read)(void *source, uint64_t offset, size_t size, void *out);
    void (*close)(void *source);
    void *source;
};
int blob_of(const char *path, uint64_t size, const struct blob_source *source, struct blob **bytes);
void blob_close(struct blob *bytes);

uint64_t blob_size(const struct blob *bytes);
void blob_identity(const struct blob *bytes, struct blob_identity *identity);

/* Read exactly `size` bytes at `offset`. ERR_IO: the disk, or the file ends before them. */
int blob_read(const struct blob *bytes, uint64_t offset, size_t size, void *out);

/* Write at `offset` (a temporary file). ERR_NOSPC, ERR_IO. */
int blob_write(const struct blob *bytes, uint64_t offset, size_t size, const void *data);

#endif
