#include "engine/documents.h"

#include "base/err.h"
#include "engine/utf8.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BUFFER_BYTES = DOCUMENT_TEXT_BYTES + (64 << 10) };

enum format { FORMAT_UNKNOWN, FORMAT_TEXT, FORMAT_JSON };

struct documents {
    const char *name, *field;
    documents_read read;
    void *arg;
    enum format format;
    int named_json;
    int ended;        /* the stream has; what is in the buffer is the rest */
    uint64_t line;    /* of the byte at begin */
    uint64_t objects; /* lines of JSON that were whole objects */
    json_t *object;   /* that the last document's text belongs to */
    char *buffer;     /* [begin, end) is unread */
    size_t begin, end, size;
};

int documents_open(const char *name, const char *field, int json, documents_read read, void *arg,
                   struct documents **documents)
{
    struct documents *d = calloc(1, sizeof *d);
    char *buffer = malloc(FIRST_BUFFER_BYTES);
    if (!d || !buffer) {
        free(d);
        free(buffer);
        return err_set(ERR_NOMEM, "no memory to read %s", name);
    }
    d->name = name;
    d->field = field;
    d->named_json = json;
    d->read = read;
    d->arg = arg;
    d->line = 1;
    d->buffer = buffer;
    d->size = FIRST_BUFFER_BYTES;
    *documents = d;
    return ERR_OK;
}

void documents_close(struct documents *d)
{
    if (!d) return;
    json_decref(d->object);
    free(d->buffer);
    free(d);
}

/* Have at least `want` unread bytes in the buffer, or all that are left. */
static int ensure(struct documents *d, size_t want)
{
    if (d->end - d->begin >= want || d->ended) return ERR_OK;
    if (d->begin > 0) {
        memmove(d->buffer, d->buffer + d->begin, d->end - d->begin);
        d->end -= d->begin;
        d->begin = 0;
    }
    if (want > d->size) {
        char *larger = realloc(d->buffer, want);
        if (!larger) return err_set(ERR_NOMEM, "no memory for a line of %s", d->name);
        d->buffer = larger;
        d->size = want;
    }
    while (d->end < d->size) {
        size_t got = 0;
        int result = d->read(d->arg, d->buffer + d->end, d->size - d->end, &got);
        if (result != ERR_OK) return result;
        if (got == 0) {
            d->ended = 1;
            break;
        }
        d->end += got;
        if (d->end >= want) break;
    }
    return ERR_OK;
}

static void consume(struct documents *d, size_t bytes)
{
    const char *p = d->buffer + d->begin, *end = p + bytes;
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        d->line++;
        p++;
    }
    d->begin += bytes;
}

/* Length of the next line without its end; *whole says whether its end was found (or the stream
 * ended). Looks no further than DOCUMENT_LINE_BYTES. */
static int line_length(struct documents *d, size_t *length, int *whole)
{
    size_t looked = 0, want = 4096;
    for (;;) {
        int result = ensure(d, want);
        if (result != ERR_OK) return result;
        size_t have = d->end - d->begin;
        char *start = d->buffer + d->begin;
        char *found = memchr(start + looked, '\n', have - looked);
        if (found || d->ended || have >= DOCUMENT_LINE_BYTES) {
            *length = found ? (size_t)(found - start) : have;
            *whole = found != NULL || d->ended;
            return ERR_OK;
        }
        looked = have;
        want = 2 * have < DOCUMENT_LINE_BYTES ? 2 * have : DOCUMENT_LINE_BYTES;
    }
}

static int is_blank(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n\f\v", text[i]) || text[i] == '\0') return 0;
    return 1;
}

/* ---- JSON lines ------------------------------------------------------------------------- */

static json_t *object_of(const char *line, size_t size)
{
    json_t *value = json_loadb(line, size, JSON_ALLOW_NUL, NULL);
    if (json_is_object(value)) return value;
    json_decref(value);
    return NULL;
}

static int no_such_field(struct documents *d)
{
    char list[300] = "";
    const char *key;
    json_t *value;
    json_object_foreach(d->object, key, value)
    {
        size_t used = strlen(list);
        if (json_is_string(value) && used + strlen(key) + 3 < sizeof list)
            sprintf(list + used, "%s%s", used ? ", " : "", key);
    }
    return err_set(ERR_USAGE,
                   "%s, line %llu: the object has no string named '%s'; it has: %s; HINT: set "
                   "capture.text_field",
                   d->name, (unsigned long long)d->line, d->field, list[0] ? list : "none at all");
}

/* Skip the rest of a line too long to keep. */
static int discard_line(struct documents *d, size_t *bytes)
{
    for (;;) {
        int result = ensure(d, 1);
        if (result != ERR_OK) return result;
        size_t have = d->end - d->begin;
        char *start = d->buffer + d->begin;
        char *found = memchr(start, '\n', have);
        size_t length = found ? (size_t)(found - start) + 1 : have;
        *bytes += length;
        consume(d, length);
        if (found || d->ended) return ERR_OK;
    }
}

/* The document in a line of JSON; kind DOCUMENT_END means that there is none in it. */
static int line_document(struct documents *d, const char *line, size_t length,
                         struct document *document)
{
    document->kind = DOCUMENT_END;
    if (is_blank(line, length)) return ERR_OK;
    document->kind = DOCUMENT_BAD;
    document->size = length;
    document->reason = "not a line of JSON in valid UTF-8";
    d->object = object_of(line, length);
    if (!d->object) return ERR_OK;
    json_t *text = json_object_get(d->object, d->field);
    document->reason = "no string in the text field";
    if (d->objects++ == 0 && !json_is_string(text)) return no_such_field(d);
    if (!json_is_string(text)) return ERR_OK;
    document->kind = DOCUMENT_TEXT;
    document->text = json_string_value(text);
    document->size = json_string_length(text);
    if (is_blank(document->text, document->size)) document->kind = DOCUMENT_END;
    return ERR_OK;
}

static int next_json(struct documents *d, struct document *document)
{
    for (;;) {
        json_decref(d->object);
        d->object = NULL;
        size_t length;
        int whole;
        int result = line_length(d, &length, &whole);
        if (result != ERR_OK) return result;
        document->kind = DOCUMENT_END;
        if (length == 0 && d->begin == d->end) return ERR_OK;
        document->line = d->line;
        if (!whole) {
            document->kind = DOCUMENT_BAD;
            document->reason = "a line longer than 16 MiB";
            document->size = 0;
            return discard_line(d, &document->size);
        }
        result = line_document(d, d->buffer + d->begin, length, document);
        if (result != ERR_OK) return result;
        consume(d, d->begin + length < d->end ? length + 1 : length);
        if (document->kind != DOCUMENT_END) return ERR_OK;
    }
}

/* ---- plain text ------------------------------------------------------------------------- */

/* A piece of text at the front of the buffer: its length, and that of the `%` line after it. */
struct piece {
    size_t length, separator;
};

/* Find the end of the document that begins at text[0]: a line of `%`, or the end of the stream, or
 * the cut of a long one. 0 where more bytes are needed to tell. */
static int piece_find(const char *text, size_t have, int ended, struct piece *piece)
{
    size_t limit = have < DOCUMENT_TEXT_BYTES ? have : DOCUMENT_TEXT_BYTES;
    size_t at = 0, cut = 0; /* cut: end of the last whole line within the limit */
    *piece = (struct piece){0};
    while (at < have) {
        const char *newline = memchr(text + at, '\n', have - at);
        size_t end = newline ? (size_t)(newline - text) : have;
        if (!newline && !ended && have <= DOCUMENT_TEXT_BYTES) return 0;
        size_t length = end - at;
        if (length > 0 && text[end - 1] == '\r') length--;
        if (length == 1 && text[at] == '%' && (newline || ended)) {
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

static int next_text(struct documents *d, struct document *document)
{
    for (;;) {
        struct piece piece;
        while (!piece_find(d->buffer + d->begin, d->end - d->begin, d->ended, &piece)) {
            int result = ensure(d, d->end - d->begin + 1);
            if (result != ERR_OK) return result;
        }
        document->kind = DOCUMENT_END;
        if (piece.length + piece.separator == 0) return ERR_OK;
        document->text = d->buffer + d->begin;
        document->size = piece.length;
        document->line = d->line;
        consume(d, piece.length + piece.separator);
        if (is_blank(document->text, document->size)) continue;
        document->kind = DOCUMENT_TEXT;
        if (!utf8_valid(document->text, document->size)) {
            document->kind = DOCUMENT_BAD;
            document->text = NULL;
            document->reason = "not valid UTF-8";
        }
        return ERR_OK;
    }
}

/* ---- both ------------------------------------------------------------------------------- */

static int find_format(struct documents *d)
{
    d->format = FORMAT_TEXT;
    if (d->named_json) {
        d->format = FORMAT_JSON;
        return ERR_OK;
    }
    int result = ensure(d, 1);
    if (result != ERR_OK || d->begin == d->end || d->buffer[d->begin] != '{') return result;
    size_t length;
    int whole;
    result = line_length(d, &length, &whole);
    if (result != ERR_OK || !whole) return result;
    json_t *object = object_of(d->buffer + d->begin, length);
    if (object) d->format = FORMAT_JSON;
    json_decref(object);
    return ERR_OK;
}

int documents_next(struct documents *d, struct document *document)
{
    *document = (struct document){.kind = DOCUMENT_END};
    int result = d->format == FORMAT_UNKNOWN ? find_format(d) : ERR_OK;
    if (result != ERR_OK) return result;
    return d->format == FORMAT_JSON ? next_json(d, document) : next_text(d, document);
}

static int ends_with(const char *text, size_t length, const char *end)
{
    size_t n = strlen(end);
    return length >= n && memcmp(text + length - n, end, n) == 0;
}

int documents_named_json(const char *path)
{
    size_t length = strlen(path);
    if (ends_with(path, length, ".gz")) length -= 3;
    if (ends_with(path, length, ".zst")) length -= 4;
    return ends_with(path, length, ".jsonl") || ends_with(path, length, ".ndjson");
}
