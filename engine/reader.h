/*
 * The bytes of a file or of standard input, decompressed. gzip, zstd, bzip2 and xz are told by
 * their first bytes, never by the name; several streams in a row are read as one (unpack.h).
 */
#ifndef SLUICE_ENGINE_READER_H
#define SLUICE_ENGINE_READER_H

#include <stddef.h>

struct reader;

/* Open `path`, or standard input for "-". ERR_NOTFOUND, ERR_IO, ERR_NOMEM. The caller closes it. */
int reader_open(const char *path, struct reader **reader);

/* Read up to `size` bytes; *got = 0 only at the end. Blocks. ERR_IO; ERR_FORMAT where compressed
 * data is damaged or ends early, ERR_LIMIT where it needs more memory than the smaller of 2 GiB and
 * half of the machine's (the texts name the file). */
int reader_read(struct reader *reader, void *out, size_t size, size_t *got);

void reader_close(struct reader *reader);

#endif
