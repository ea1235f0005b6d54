/* The last lines of a process's log. */
#ifndef SLUICE_CLI_TAIL_H
#define SLUICE_CLI_TAIL_H

#include <stddef.h>
#include <stdio.h>

enum { TAIL_MESSAGE_BYTES = 256 };

/* What the log's last line says (its msg, with the fields after it), for a progress line:
 * out[bytes],
 * "" where there is none. Never fails. */
void tail_message(const char *path, char *out, size_t bytes);

/* Print the last `lines` lines, each after `indent`. Never fails; a missing file prints nothing. */
void tail_print(const char *path, int lines, const char *indent, FILE *out);

#endif
