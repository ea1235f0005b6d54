/* Bytes in zlib's format (RFC 1950), which browsers call "deflate", and as gzip. The only file that
 * knows zlib here is deflate.c. */
#ifndef SLUICE_INSPECT_DEFLATE_H
#define SLUICE_INSPECT_DEFLATE_H

#include <stddef.h>

/* *out is malloc'ed; the caller frees. ERR_NOMEM. */
int deflate_pack(const void *data, size_t bytes, void **out, size_t *out_bytes);
/* `bytes` bytes that were `raw_bytes` before, and nothing else: *out is malloc'ed, with a NUL behind
 * them; the caller frees. ERR_FORMAT: they are no such bytes; ERR_NOMEM. */
int deflate_unpack(const void *data, size_t bytes, size_t raw_bytes, char **out);

/* As gzip (RFC 1952), without name and time, so that the same bytes give the same file. *out is
 * malloc'ed; the caller frees. ERR_NOMEM. */
int deflate_gzip(const void *data, size_t bytes, void **out, size_t *out_bytes);

#endif
