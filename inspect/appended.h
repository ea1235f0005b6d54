/* A working file to which is only ever appended, and which is cut to what is known to be whole when it
 * is opened again. */
#ifndef SLUICE_INSPECT_APPENDED_H
#define SLUICE_INSPECT_APPENDED_H

#include <stdint.h>
#include <stdio.h>

/* Open it at its end, after `bytes` bytes; made 0600 where it is missing. ERR_CORRUPT: it has fewer;
 * ERR_USAGE, ERR_NOSPC, ERR_IO. The caller closes the stream. */
int appended_open(const char *path, uint64_t bytes, FILE **file);
/* Make what was written durable. ERR_NOSPC, ERR_IO. Blocks on the disk. */
int appended_sync(FILE *file, const char *path);

#endif
