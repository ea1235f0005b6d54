/*
 * Looking ahead in a stream of text: a buffer that grows up to what a form needs to see at once,
 * and the number of the line that it begins in. Text of other encodings comes as UTF-8.
 */
#ifndef SLUICE_ENGINE_BYTES_H
#define SLUICE_ENGINE_BYTES_H

#include "engine/encoding.h"

#include <stddef.h>
#include <stdint.h>

struct bytes {
    const char *name; /* of the file, for messages; borrowed */
    struct encoding encoding;
    int ended;     /* the stream has; what is in the buffer is the rest */
    uint64_t line; /* of the byte at begin, 1-based */
    char *buffer;  /* [begin, end) is unread */
    size_t begin, end, size;
};

/* ERR_NOMEM. The caller closes it. */
int bytes_open(struct bytes *b, const char *name, encoding_source read, void *arg);
void bytes_close(struct bytes *b);

/* Have at least `want` unread bytes in the buffer, or all that are left. Moves what is there.
 * ERR_NOMEM, and what the source returns. */
int bytes_ensure(struct bytes *b, size_t want);

/* Twice what is there, at most `most`; for those who look for an end. */
int bytes_more(struct bytes *b, size_t most);

/* The unread bytes; valid until the next bytes_ensure(). */
static inline char *bytes_at(const struct bytes *b)
{
    return b->buffer + b->begin;
}

static inline size_t bytes_have(const struct bytes *b)
{
    return b->end - b->begin;
}

void bytes_consume(struct bytes *b, size_t size);

/* Length of the next line without its end; *whole says whether its end was found (or the stream
 * ended). Looks no further than `most` bytes. */
int bytes_line(struct bytes *b, size_t most, size_t *length, int *whole);

/* Pass over the rest of the line and its end; adds what that was to *size. */
int bytes_discard_line(struct bytes *b, size_t *size);

/* Whether text is nothing but white space. */
int bytes_blank(const char *text, size_t size);

#endif
