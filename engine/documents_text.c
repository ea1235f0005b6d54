/* Plain text. */
#include "base/err.h"
#include "engine/documents_form.h"
#include "engine/utf8.h"

#include <string.h>

/* Whether text[length], a line without its '\n', is the separator. */
static int separates(const char *text, size_t length, const char *separator)
{
    if (!separator) return 0;
    if (length > 0 && text[length - 1] == '\r') length--;
    return length == strlen(separator) && memcmp(text, separator, length) == 0;
}

/* A piece of text at the front of the buffer: its length, and that of the separator after it. */
struct piece {
    size_t length, separator;
};

/* Find the end of the document that begins at text[0]: a separator, or the end of the stream, or
 * the cut of a long one. 0 where more bytes are needed to tell. */
static int piece_find(const struct documents *d, struct piece *piece)
{
    const char *text = bytes_at(&d->bytes);
    size_t have = bytes_have(&d->bytes), at = 0, cut = 0; /* cut: end of the last whole line */
    size_t limit = have < DOCUMENT_TEXT_BYTES ? have : DOCUMENT_TEXT_BYTES;
    int ended = d->bytes.ended;
    *piece = (struct piece){0};
    while (at < have) {
        const char *newline = memchr(text + at, '\n', have - at);
        size_t end = newline ? (size_t)(newline - text) : have;
        if (!newline && !ended && have <= DOCUMENT_TEXT_BYTES) return 0;
        if ((newline || ended) && separates(text + at, end - at, d->options.separator)) {
            piece->length = at;
            piece->separator = end - at + (newline ? 1 : 0);
            return 1;
        }
        at = newline ? end + 1 : end;
        if (at > limit) break;
        if (newline) cut = at;
    }
    if (at >= have && have <= DOCUMENT_TEXT_BYTES) { /* all of it looked at, no separator */
        piece->length = have;
        return ended;
    }
    piece->length = cut ? cut : utf8_boundary(text, limit);
    return 1;
}

int documents_text_next(struct documents *d, struct document *document)
{
    for (;;) {
        struct piece piece;
        while (!piece_find(d, &piece)) {
            int result = bytes_ensure(&d->bytes, bytes_have(&d->bytes) + 1);
            if (result != ERR_OK) return result;
        }
        *document = (struct document){.kind = DOCUMENT_END, .line = d->bytes.line};
        if (piece.length + piece.separator == 0) return ERR_OK;
        char *text = bytes_at(&d->bytes);
        bytes_consume(&d->bytes, piece.length + piece.separator);
        documents_make_text(text, piece.length, document);
        if (document->kind != DOCUMENT_END) return ERR_OK;
    }
}

int documents_text_strays(const struct documents *d)
{
    const char *at = bytes_at(&d->bytes), *end = at + documents_head(d), *newline;
    int strays = 0;
    if (d->options.separator) return 0;
    for (; (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1)
        strays += separates(at, (size_t)(newline - at), "%");
    return strays > 1;
}
