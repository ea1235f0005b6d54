/*
 * Text of another encoding as UTF-8. A byte order mark says which: UTF-16 and UTF-32 of both
 * orders are converted, UTF-8's mark is dropped; without a mark bytes pass as they are.
 *
 * What stands for no character (a lone surrogate of UTF-16, a number above U+10FFFF) comes out as
 * bytes that are not valid UTF-8, so that the document that holds it is judged as any other:
 * a surrogate as its three bytes (utf8_mend() knows them), the rest as 0xff.
 */
#ifndef SLUICE_ENGINE_ENCODING_H
#define SLUICE_ENGINE_ENCODING_H

#include <stddef.h>

/* Gives up to `size` bytes; *got = 0 at the end. */
typedef int (*encoding_source)(void *arg, void *out, size_t size, size_t *got);

enum encoding_kind { ENCODING_BYTES, ENCODING_UTF16, ENCODING_UTF32 };

struct encoding {
    const char *name; /* of the file, for messages; borrowed */
    encoding_source read;
    void *arg;
    enum encoding_kind kind;
    int started, ended, big_endian;
    size_t begin, end; /* of in[] */
    unsigned char in[4096];
    size_t out_begin, out_end; /* of a character that had no room */
    unsigned char out[4];
};

void encoding_start(struct encoding *e, const char *name, encoding_source read, void *arg);

/* An encoding_source of UTF-8. ERR_FORMAT where the text ends inside a character; what the source
 * returns. */
int encoding_read(struct encoding *e, void *out, size_t size, size_t *got);

#endif
