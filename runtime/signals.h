/*
 * What signals do to a process: SIGTERM and SIGINT wake its loop, a second one ends it at once, and
 * so does a drain that takes too long. One process, one table: the handlers get no argument.
 */
#ifndef SLUICE_RUNTIME_SIGNALS_H
#define SLUICE_RUNTIME_SIGNALS_H

#include <uv.h>

/* From now on the first SIGTERM or SIGINT sends `first`, which must be open until signals_end(); the
 * next, and the SIGALRM of signals_limit(), say so on stderr and end the process with exit code 1.
 * So does SIGBUS, in a line of the log that begins with this name: memory that is a file's has no
 * bytes there any more. SIGPIPE and SIGXFSZ are ignored, so that they are errors of their writes.
 * Does not block. */
void signals_handle(const char *name, uv_async_t *first);
/* The process ends after so many seconds. */
void signals_limit(unsigned seconds);
/* Before the loop closes: SIGTERM and SIGINT are ignored. */
void signals_end(void);

#endif
