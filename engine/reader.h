/*
 * The bytes of a file or of standard input, decompressed. gzip and zstd are told by their first
 * bytes, never by the name; several members or frames in a row are read as one.
 */
#ifndef SLUICE_ENGINE_READER_H
#define SLUICE_ENGINE_READER_H

#include <stddef.h>

struct reader;

/* Open `path`, or standard input for "-". ERR_NOTFOUND, ERR_IO, ERR_NOMEM. The caller closes it. */
int reader_open(const char *path, struct reader **reader);

/* Read up to `size` bytes; *got = 0 only at the end. Blocks. ERR_IO; ERR_FORMAT where compressed
 * data is damaged or ends early (the text names the file). */
int reader_read(struct reader *reader, void *out, size_t size, size_t *got);

void reader_close(struct reader *reader);

#endif
