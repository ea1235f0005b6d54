/* The last lines of a process's log. */
#ifndef SLUICE_CLI_TAIL_H
#define SLUICE_CLI_TAIL_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

enum { TAIL_MESSAGE_BYTES = 1024 };

/* Size of a log, so that what was there before can be told from what is new; 0 where there is
 * none. */
off_t tail_size(const char *path);

/* What the last line says that was written after `from` (its msg, with the fields after it):
 * out[bytes], "" where there is none. Never fails. */
void tail_message(const char *path, off_t from, char *out, size_t bytes);

/* The same of the last error. */
void tail_error(const char *path, off_t from, char *out, size_t bytes);

/* Print the last `lines` lines, each after `indent`. Never fails; a missing file prints nothing. */
void tail_print(const char *path, int lines, const char *indent, FILE *out);

#endif
