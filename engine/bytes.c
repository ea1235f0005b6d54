#include "engine/bytes.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BUFFER_BYTES = 320 << 10 };

int bytes_open(struct bytes *b, const char *name, encoding_source read, void *arg)
{
    *b = (struct bytes){.name = name, .line = 1, .size = FIRST_BUFFER_BYTES};
    encoding_start(&b->encoding, name, read, arg);
    b->buffer = malloc(b->size);
    return b->buffer ? ERR_OK : err_set(ERR_NOMEM, "no memory to read %s", name);
}

void bytes_close(struct bytes *b)
{
    free(b->buffer);
    b->buffer = NULL;
}

int bytes_ensure(struct bytes *b, size_t want)
{
    if (b->end - b->begin >= want || b->ended) return ERR_OK;
    if (b->begin > 0) {
        memmove(b->buffer, b->buffer + b->begin, b->end - b->begin);
        b->end -= b->begin;
        b->begin = 0;
    }
    if (want > b->size) {
        char *larger = realloc(b->buffer, want);
        if (!larger) return err_set(ERR_NOMEM, "no memory to read %s", b->name);
        b->buffer = larger;
        b->size = want;
    }
    while (b->end < want && !b->ended) {
        size_t got = 0;
        int result = encoding_read(&b->encoding, b->buffer + b->end, b->size - b->end, &got);
        if (result != ERR_OK) return result;
        b->end += got;
        b->ended = got == 0;
    }
    return ERR_OK;
}

int bytes_more(struct bytes *b, size_t most)
{
    size_t want = 2 * bytes_have(b);
    if (want < 4096) want = 4096;
    return bytes_ensure(b, want < most ? want : most);
}

void bytes_consume(struct bytes *b, size_t size)
{
    const char *p = bytes_at(b), *end = p + size;
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        b->line++;
        p++;
    }
    b->begin += size;
}

int bytes_line(struct bytes *b, size_t most, size_t *length, int *whole)
{
    size_t looked = 0;
    int result = bytes_ensure(b, 4096);
    while (result == ERR_OK) {
        size_t have = bytes_have(b) < most ? bytes_have(b) : most;
        char *found = memchr(bytes_at(b) + looked, '\n', have - looked);
        int ended = b->ended && have == bytes_have(b);
        if (found || ended || have >= most) {
            *length = found ? (size_t)(found - bytes_at(b)) : have;
            *whole = found != NULL || ended;
            return ERR_OK;
        }
        looked = have;
        result = bytes_more(b, most);
    }
    return result;
}

int bytes_discard_line(struct bytes *b, size_t *size)
{
    for (;;) {
        int result = bytes_ensure(b, 1);
        if (result != ERR_OK) return result;
        size_t have = bytes_have(b);
        char *found = have > 0 ? memchr(bytes_at(b), '\n', have) : NULL;
        size_t length = found ? (size_t)(found - bytes_at(b)) + 1 : have;
        *size += length;
        bytes_consume(b, length);
        if (found || b->ended) return ERR_OK;
    }
}

int bytes_blank(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n\f\v", text[i]) || text[i] == '\0') return 0;
    return 1;
}
