/* A socket that listens for HTTP, on loopback alone. */
#ifndef SLUICE_RUNTIME_HTTP_LISTEN_H
#define SLUICE_RUNTIME_HTTP_LISTEN_H

enum { HTTP_ADDRESS_BYTES = 64 };

/* Listen at "127.0.0.1:9090", "localhost:0" or "[::1]:9090"; port 0: any free one. What is bound goes
 * into bound[HTTP_ADDRESS_BYTES]. The caller closes *fd. ERR_USAGE (malformed, or not loopback),
 * ERR_EXISTS (in use), ERR_IO. */
int http_listen(const char *address, int backlog, char *bound, int *fd);
/* The same, but of any free port the one that `file` (NULL: none) names, if it is free: an earlier life
 * wrote it there and was killed, and who has its page open finds the new one. What else stands in the
 * file is ignored. */
int http_listen_again(const char *address, const char *file, int backlog, char *bound, int *fd);

#endif
