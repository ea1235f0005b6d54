/* What each kind of compression supplies to unpack.c. */
#ifndef SLUICE_ENGINE_UNPACK_KIND_H
#define SLUICE_ENGINE_UNPACK_KIND_H

#include "engine/unpack.h"

/* One call's input and output; both pointers and sizes move on. */
struct unpack_io {
    const unsigned char *in;
    size_t in_size;
    unsigned char *out;
    size_t out_size;
    const char *name; /* of the file, for messages */
};

struct unpack_kind {
    const char *name;
    int (*begins)(const unsigned char *head, size_t size); /* a stream of this kind, or the part of
                                                              its first bytes that is there */
    int (*open)(uint64_t memory_bytes, void **state);
    /* Go on with a stream, or begin the next one. *whole: it has ended with this call. */
    int (*step)(void *state, struct unpack_io *io, int *whole);
    void (*close)(void *state);
};

extern const struct unpack_kind unpack_gzip, unpack_zstd, unpack_bzip2, unpack_xz;

/* ERR_FORMAT and its text. */
int unpack_damaged(const struct unpack_io *io, const char *kind, const char *why);

#endif
