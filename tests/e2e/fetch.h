/* One HTTP/1.0 GET from a process of ours on this machine. */
#ifndef SLUICE_TESTS_E2E_FETCH_H
#define SLUICE_TESTS_E2E_FETCH_H

#include <stddef.h>

/* GET http://ADDRESS/PATH, where `address` is "127.0.0.1:PORT" or "[::1]:PORT". The body, at most
 * 4 MiB and NUL-terminated, goes to *body; the caller frees it. Blocks for at most timeout_ms.
 * ERR_NOTFOUND: nobody listens there; ERR_AGAIN: no answer in time; ERR_FORMAT: no HTTP, or a
 * status other than 200; ERR_IO, ERR_LIMIT, ERR_NOMEM. */
int fetch(const char *address, const char *path, int timeout_ms, char **body, size_t *bytes);

#endif
