/* A small file of one line: a whole number that is not negative. */
#ifndef SLUICE_BASE_NUMBER_FILE_H
#define SLUICE_BASE_NUMBER_FILE_H

#include <stdint.h>

/* Replaces the file whole (file_replace()). Durable when it returns. ERR_IO, ERR_NOSPC. */
int number_file_write(const char *folder, const char *name, uint64_t number);
/* ERR_NOTFOUND: there is no such file. ERR_FORMAT: it holds something else. ERR_USAGE: a link, or not
 * ours. ERR_IO. */
int number_file_read(const char *folder, const char *name, uint64_t *number);

#endif
