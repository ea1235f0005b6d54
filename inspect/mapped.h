/* A file of ours, mapped to be read. Do not shorten one that is mapped: reading past its new end is a
 * SIGBUS. So only working files that a lock keeps for one process are mapped. */
#ifndef SLUICE_INSPECT_MAPPED_H
#define SLUICE_INSPECT_MAPPED_H

#include <stddef.h>
#include <stdint.h>

struct mapped {
    const void *data; /* (bytes); NULL where bytes is 0 */
    size_t bytes;
};

/* Follows no link. ERR_CORRUPT: the file has other than `bytes` bytes; ERR_NOTFOUND, ERR_USAGE,
 * ERR_IO. On success the caller ends with mapped_close(). */
int mapped_open(const char *path, uint64_t bytes, struct mapped *mapped);
void mapped_close(struct mapped *mapped);

#endif
