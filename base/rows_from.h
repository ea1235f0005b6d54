/*
 * How old the rows may be that a folder was made of, in its file `rows_from`: one line, seconds since
 * 1970 (UTC), before which none was captured. Written before anything else goes into the folder, so
 * that whoever keeps the run knows when all of it has to go (sink.retention).
 */
#ifndef SLUICE_BASE_ROWS_FROM_H
#define SLUICE_BASE_ROWS_FROM_H

#include <stdint.h>

#define ROWS_FROM_NAME "rows_from"

/* ERR_IO, ERR_NOSPC. Durable when it returns. */
int rows_from_write(const char *folder, uint64_t seconds);
/* ERR_NOTFOUND: the folder has none. ERR_FORMAT: it is no such file. ERR_USAGE: a link, or not ours. */
int rows_from_read(const char *folder, uint64_t *seconds);

#endif
