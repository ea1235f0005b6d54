/*
 * Text of lines "key: value", which `sluice tap` and a tapped program send each other. A text ends with
 * an empty line. A key is 1 to 32 of a-z, 0-9, _ and -; a value is any UTF-8 or other bytes without
 * control characters, and may be empty.
 */
#ifndef SLUICE_PROTO_LINES_H
#define SLUICE_PROTO_LINES_H

#include <stddef.h>

enum { LINES_MAX = 64, LINES_KEY_BYTES = 32 };

struct lines {
    struct {
        const char *key, *value; /* in the text */
    } line[LINES_MAX];
    unsigned count;
};

/* Whether a line has this value as it is: it has no control character. */
int lines_can_tell(const char *value);

/* Bytes of the text that text[bytes] begins with, its empty line too; 0: it has not ended yet. */
size_t lines_whole(const char *text, size_t bytes);

/* Read a whole text, in its place: `lines` points into it from then on. ERR_FORMAT: a line that is none,
 * a key twice, or no empty line at the end; ERR_LIMIT: more than LINES_MAX. Looks at no byte behind
 * text[bytes - 1]. */
int lines_read(char *text, size_t bytes, struct lines *lines);

/* The value of a key; NULL: there is none. */
const char *lines_get(const struct lines *lines, const char *key);

/* A text that is written. */
struct lines_out {
    char *text; /* (room) not NUL-terminated */
    size_t room, bytes;
    int is_full; /* something had no room; the text is of no use */
};

/* A line; control characters of the value become spaces. */
void lines_put(struct lines_out *out, const char *key, const char *value);
void lines_printf(struct lines_out *out, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The empty line. ERR_LIMIT: the text is too long for its room. */
int lines_end(struct lines_out *out);

#endif
