/*
 * The age at which the rows of a buffer have to go, for those who read it and make something of it: in
 * the small file `retention` beside it, one line, in seconds. No file: none goes by age.
 */
#ifndef SLUICE_BUFFER_RETENTION_H
#define SLUICE_BUFFER_RETENTION_H

#include <stdint.h>

/* The sink's, before anyone can draw: the file is as `seconds` say (0: there is none). ERR_IO,
 * ERR_NOSPC. Durable when it returns. */
int retention_write(const char *buffer_dir, uint64_t seconds);
/* *seconds 0 where there is no file. ERR_CORRUPT: it tells no time; ERR_IO, ERR_USAGE (a link). */
int retention_read(const char *buffer_dir, uint64_t *seconds);

#endif
