/* JSON Lines, JSON values one behind another, and JSON arrays. */
#include "base/err.h"
#include "engine/documents_form.h"
#include "engine/jsonwalk.h"

#include <stdio.h>
#include <string.h>

/* ---- which of them a stream is ---- */

/* White space, and what else stands between values: 0x1e (JSON text sequences) and NUL. */
static size_t space(const char *text, size_t size)
{
    size_t at = jsonwalk_space(text, size);
    while (at < size && (text[at] == '\x1e' || text[at] == '\0')) {
        at++;
        at += jsonwalk_space(text + at, size - at);
    }
    return at;
}

/* Look at the value at `offset`, as much of the stream as it takes (DOCUMENT_LINE_BYTES at most);
 * JSONWALK_CUT only where the stream ends inside it or it is longer than that. */
static int look_at(struct documents *d, size_t offset, enum jsonwalk_status *status, size_t *length)
{
    struct bytes *b = &d->bytes;
    for (;;) {
        *status = jsonwalk_skip(bytes_at(b) + offset, bytes_have(b) - offset, b->ended, length);
        if (*status != JSONWALK_CUT || b->ended || bytes_have(b) >= DOCUMENT_LINE_BYTES)
            return ERR_OK;
        int result = bytes_more(b, DOCUMENT_LINE_BYTES);
        if (result != ERR_OK) return result;
    }
}

/* Whether the first bytes name the field as a key, so that they are JSON even where it is
 * broken. */
static int names_field(const struct documents *d)
{
    char key[256];
    const char *path = d->options.tokens_field ? d->options.tokens_field : d->options.text_field;
    int n = snprintf(key, sizeof key, "\"%.*s\"", (int)strcspn(path, "."), path);
    size_t have = bytes_have(&d->bytes);
    if (n >= (int)sizeof key) return 0;
    return memmem(bytes_at(&d->bytes), have < 4096 ? have : 4096, key, (size_t)n) != NULL;
}

/* Whether a first value that is not whole is JSON all the same. 16 MiB of it are no accident. */
static int is_damaged(const struct documents *d, enum jsonwalk_status status)
{
    return names_field(d) || d->options.named == NAMED_JSON ||
           (status == JSONWALK_CUT && bytes_have(&d->bytes) >= DOCUMENT_LINE_BYTES);
}

/* What stands at `offset` behind a value, blanks passed: a character, '\n' at the end as well. */
static char follows(const struct documents *d, size_t offset)
{
    const char *text = bytes_at(&d->bytes);
    size_t have = bytes_have(&d->bytes);
    while (offset < have && text[offset] != '\0' && strchr(" \t\r", text[offset])) offset++;
    return offset == have ? '\n' : text[offset];
}

static int find_object(struct documents *d, size_t offset)
{
    enum jsonwalk_status status;
    size_t length = 0;
    int result = look_at(d, offset, &status, &length);
    if (result == ERR_OK) result = bytes_ensure(&d->bytes, offset + length + 4096);
    if (result != ERR_OK) return result;
    if (status == JSONWALK_WHOLE) {
        const char *value = bytes_at(&d->bytes) + offset;
        char next = follows(d, offset + length);
        int one_line = !memchr(value, '\n', length);
        if (next == '\n') d->json = one_line ? JSON_FORM_LINES : JSON_FORM_VALUES;
        if (next == '{' || next == ',' || next == '\0' || next == '\x1e')
            d->json = JSON_FORM_VALUES;
    } else if (is_damaged(d, status)) {
        d->json = status == JSONWALK_CUT ? JSON_FORM_VALUES : JSON_FORM_LINES;
    }
    return ERR_OK;
}

/* A text may well begin with a bracket, "[1] ..." and "[[File:...": an array's first item is whole
 * and followed as in an array. Numbers are left to the rule of lines. */
static int find_array(struct documents *d, size_t offset)
{
    enum jsonwalk_status status;
    size_t length = 0, first = offset + 1;
    first += jsonwalk_space(bytes_at(&d->bytes) + first, bytes_have(&d->bytes) - first);
    char c = first < bytes_have(&d->bytes) ? bytes_at(&d->bytes)[first] : '\n';
    if (c == ']') {
        if (follows(d, first + 1) == '\n') d->json = JSON_FORM_ARRAY;
        return ERR_OK;
    }
    if (c != '{' && c != '[' && c != '"') return ERR_OK;
    int result = look_at(d, first, &status, &length);
    if (result == ERR_OK) result = bytes_ensure(&d->bytes, first + length + 4096);
    if (result != ERR_OK) return result;
    if (status == JSONWALK_WHOLE) {
        size_t behind = first + length;
        behind += jsonwalk_space(bytes_at(&d->bytes) + behind, bytes_have(&d->bytes) - behind);
        char next = follows(d, behind);
        if (next == ',' || (c == '{' && names_field(d))) d->json = JSON_FORM_ARRAY;
        if (next == ']') {
            next = follows(d, behind + 1);
            if (next == '\n' || next == '[') d->json = JSON_FORM_ARRAY;
        }
    } else if (c == '{' && is_damaged(d, status)) {
        d->json = JSON_FORM_ARRAY;
    }
    return ERR_OK;
}

/* Texts begin with a quotation mark too: here the name decides. */
static int find_string(struct documents *d, size_t offset)
{
    enum jsonwalk_status status;
    size_t length;
    if (d->options.named != NAMED_JSON) return ERR_OK;
    int result = look_at(d, offset, &status, &length);
    if (result == ERR_OK && status == JSONWALK_WHOLE && follows(d, offset + length) == '\n')
        d->json = JSON_FORM_VALUES;
    return result;
}

/* Whether a line is an object, or a list of several things: "[1]" is a line of many texts. */
static int is_json_line(const char *line, size_t size)
{
    struct jsonwalk_item item;
    size_t length, in = 0, at = space(line, size);
    if (at == size || (line[at] != '{' && line[at] != '[')) return 0;
    return jsonwalk_skip(line + at, size - at, 1, &length) == JSONWALK_WHOLE &&
           bytes_blank(line + at + length, size - at - length) &&
           (line[at] == '{' || (jsonwalk_next(line + at, length, &in, &item) &&
                                jsonwalk_next(line + at, length, &in, &item)));
}

/* Whether at least half of the first lines are JSON: then those that are not are damaged ones. */
static int most_lines_are_json(const struct documents *d)
{
    size_t lines = 0, json = 0, head = documents_head(d);
    const char *at = bytes_at(&d->bytes), *end = at + head;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline && head == DOCUMENTS_HEAD_BYTES) break; /* it may go on */
        size_t size = newline ? (size_t)(newline - at) : (size_t)(end - at);
        if (!bytes_blank(at, size)) {
            lines++;
            json += (size_t)is_json_line(at, size);
        }
        at += size + 1;
    }
    return json > 0 && 2 * json >= lines;
}

/* The object that ends a line, something in front of it: where it begins; 0: there is none. */
static size_t object_behind(const char *line, size_t size)
{
    const char *open = memchr(line, '{', size < 200 ? size : 200);
    size_t at = open ? (size_t)(open - line) : 0, length;
    if (at == 0 || jsonwalk_skip(open, size - at, 1, &length) != JSONWALK_WHOLE || length < 3)
        return 0;
    at += length;
    while (at < size && strchr(",; \t\r]", line[at]) && line[at]) at++;
    return at == size ? (size_t)(open - line) : 0;
}

int documents_json_strays(const struct documents *d)
{
    size_t lines = 0, json = 0, head = documents_head(d);
    const char *at = bytes_at(&d->bytes), *end = at + head, *first = NULL;
    int front = 0;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline && head == DOCUMENTS_HEAD_BYTES) break; /* it may go on */
        size_t size = (size_t)((newline ? newline : end) - at);
        size_t behind = object_behind(at, size);
        lines += !bytes_blank(at, size);
        json += behind > 0 && memchr(at + behind, ':', size - behind);
        if (behind > 0 && !first) {
            first = at;
            front = behind < 40 ? (int)behind : 40;
        }
        at += size + 1;
    }
    if (json == 0 || 2 * json < lines) return ERR_OK;
    return err_set(ERR_USAGE,
                   "%s has lines of JSON objects with '%.*s' in front of them; HINT: take it away, "
                   "so that each line is an object: sed 's/^[^{]*//' FILE",
                   d->options.name, front, first);
}

/* Behind a few lines of something else, a first object whose line is longer than the head. */
static int find_long_line(struct documents *d)
{
    size_t head = documents_head(d), at = 0, lines = 0, length = 0;
    enum jsonwalk_status status;
    while (at < head && bytes_at(&d->bytes)[at] != '{' && lines++ < 16) {
        const char *newline = memchr(bytes_at(&d->bytes) + at, '\n', head - at);
        at = newline ? (size_t)(newline - bytes_at(&d->bytes)) + 1 : head;
    }
    if (at >= head || bytes_at(&d->bytes)[at] != '{' || head < DOCUMENTS_HEAD_BYTES) return ERR_OK;
    if (memchr(bytes_at(&d->bytes) + at, '\n', head - at)) return ERR_OK;
    int result = look_at(d, at, &status, &length);
    if (result == ERR_OK) result = bytes_ensure(&d->bytes, at + length + 4096);
    if (result == ERR_OK && status == JSONWALK_WHOLE && follows(d, at + length) == '\n')
        d->json = JSON_FORM_LINES;
    return result;
}

int documents_json_find(struct documents *d)
{
    int result = bytes_ensure(&d->bytes, DOCUMENTS_HEAD_BYTES);
    if (result != ERR_OK || bytes_have(&d->bytes) == 0) return result;
    size_t offset = space(bytes_at(&d->bytes), bytes_have(&d->bytes));
    if (offset == bytes_have(&d->bytes)) return ERR_OK;
    char c = bytes_at(&d->bytes)[offset];
    if (c == '{') result = find_object(d, offset);
    if (c == '[') result = find_array(d, offset);
    if (c == '"') result = find_string(d, offset);
    if (result != ERR_OK || d->json != JSON_FORM_NONE) return result;
    if (d->options.named == NAMED_JSON_LINES || most_lines_are_json(d)) d->json = JSON_FORM_LINES;
    return d->json == JSON_FORM_NONE ? find_long_line(d) : ERR_OK;
}

/* ---- lines ---- */

static int bad(struct document *document, enum engine_skip skip, size_t size, const char *reason)
{
    document->kind = DOCUMENT_BAD;
    document->skip = skip;
    document->size = size;
    document->reason = reason;
    return ERR_OK;
}

/* Read one line; a bad one is the document, what a good one holds is in `texts` then. *more = 0 at
 * the end. */
static int read_line(struct documents *d, struct document *document, int *more)
{
    struct bytes *b = &d->bytes;
    size_t length, value;
    int whole;
    int result = bytes_line(b, DOCUMENT_LINE_BYTES, &length, &whole);
    if (result != ERR_OK) return result;
    *more = bytes_have(b) > 0;
    d->record = 0;
    document->line = b->line;
    if (!whole) {
        bad(document, ENGINE_SKIP_LENGTH, 0, "a line longer than 16 MiB");
        return bytes_discard_line(b, &document->size);
    }
    const char *line = bytes_at(b);
    size_t at = space(line, length);
    if (at == length) {
    } else if (jsonwalk_skip(line + at, length - at, 1, &value) == JSONWALK_WHOLE &&
               bytes_blank(line + at + value, length - at - value)) {
        result = json_texts_read(&d->texts, line + at, value);
    } else {
        bad(document, ENGINE_SKIP_SYNTAX, length, "not a line of JSON");
    }
    if (*more) bytes_consume(b, length < bytes_have(b) ? length + 1 : length);
    return result;
}

/* ---- values and arrays ---- */

static int damaged(const struct documents *d, const char *what)
{
    return err_set(
        ERR_USAGE,
        "%s, line %llu: %s, so where the next document begins is unknown; HINT: mend or "
        "fetch it again, or give JSON Lines, where a broken line is one document skipped",
        d->options.name, (unsigned long long)d->bytes.line, what);
}

/* Pass over white space (and commas, where `commas`); more of the stream is read as needed. Then
 * *c is what stands there, '\0' at the end. */
static int pass_space(struct documents *d, int commas, char *c)
{
    struct bytes *b = &d->bytes;
    for (;;) {
        int result = bytes_ensure(b, 4); /* a byte order mark is three */
        if (result != ERR_OK) return result;
        size_t n = space(bytes_at(b), bytes_have(b));
        if (n < bytes_have(b) && commas && bytes_at(b)[n] == ',') n++;
        bytes_consume(b, n);
        if (n > 0) continue;
        *c = bytes_have(b) > 0 ? *bytes_at(b) : '\0';
        return ERR_OK;
    }
}

/* Pass over a value too long to keep: to where its brackets are closed. */
static int discard_value(struct documents *d, size_t *size)
{
    struct bytes *b = &d->bytes;
    size_t depth = 0;
    int string = 0, escaped = 0;
    for (;;) {
        const char *text = bytes_at(b);
        for (size_t i = 0, have = bytes_have(b); i < have; i++) {
            char c = text[i];
            if (string) {
                if (c == '"' && !escaped) string = 0;
                escaped = c == '\\' && !escaped;
            } else {
                string = c == '"';
                depth += c == '{' || c == '[';
                depth -= depth > 0 && (c == '}' || c == ']');
            }
            if (depth > 0 || string) continue;
            bytes_consume(b, i + 1);
            *size += i + 1;
            return ERR_OK;
        }
        *size += bytes_have(b);
        bytes_consume(b, bytes_have(b));
        if (b->ended) return damaged(d, "the file ends inside a value longer than 16 MiB");
        int result = bytes_ensure(b, 1 << 16);
        if (result != ERR_OK) return result;
    }
}

static int read_value(struct documents *d, struct document *document)
{
    enum jsonwalk_status status;
    size_t length;
    document->line = d->bytes.line;
    int result = look_at(d, 0, &status, &length);
    if (result != ERR_OK) return result;
    if (status == JSONWALK_BROKEN) return damaged(d, "a value that is not JSON");
    if (status == JSONWALK_CUT && d->bytes.ended)
        return damaged(d, "the file ends inside a value that begins there");
    if (status == JSONWALK_CUT) {
        bad(document, ENGINE_SKIP_LENGTH, 0, "a value longer than 16 MiB");
        return discard_value(d, &document->size);
    }
    result = json_texts_read(&d->texts, bytes_at(&d->bytes), length);
    bytes_consume(&d->bytes, length);
    return result;
}

static int read_next_value(struct documents *d, struct document *document, int *more)
{
    char c;
    int result = pass_space(d, 1, &c);
    if (result != ERR_OK) return result;
    *more = bytes_have(&d->bytes) > 0;
    return *more ? read_value(d, document) : ERR_OK;
}

/* Go to the next item; *c = '\0' at the end of the stream, which must not come inside an array. */
static int find_item(struct documents *d, char *c)
{
    for (;;) {
        int result = pass_space(d, 0, c);
        if (result != ERR_OK) return result;
        if (bytes_have(&d->bytes) == 0)
            return d->in_array ? damaged(d, "the file ends inside an array") : ERR_OK;
        if (!d->in_array && *c != '[') return damaged(d, "something behind an array");
        if (!d->in_array)
            d->items = 0;
        else if (*c != ']' && *c != ',')
            return d->items == 0 ? ERR_OK : damaged(d, "no comma between items of an array");
        bytes_consume(&d->bytes, 1);
        if (*c == ',') {
            result = pass_space(d, 0, c);
            if (result == ERR_OK && bytes_have(&d->bytes) == 0)
                return damaged(d, "the file ends inside an array");
            if (result != ERR_OK || *c != ']') return result;
            continue;
        }
        d->in_array = *c == '[';
    }
}

static int read_item(struct documents *d, struct document *document, int *more)
{
    char c;
    int result = find_item(d, &c);
    if (result != ERR_OK) return result;
    *more = bytes_have(&d->bytes) > 0;
    if (!*more) return ERR_OK;
    d->items = 1;
    document->record = ++d->record;
    return read_value(d, document);
}

int documents_json_next(struct documents *d, struct document *document)
{
    static int (*const readers[])(struct documents *, struct document *,
                                  int *) = {[JSON_FORM_LINES] = read_line,
                                            [JSON_FORM_VALUES] = read_next_value,
                                            [JSON_FORM_ARRAY] = read_item};
    for (;;) {
        if (json_texts_next(&d->texts, document)) {
            document->line = d->texts.line;
            document->record = d->record;
            return ERR_OK;
        }
        int more = 0;
        *document = (struct document){.kind = DOCUMENT_END, .line = d->bytes.line};
        d->texts.count = d->texts.next = 0;
        int result = readers[d->json](d, document, &more);
        if (result != ERR_OK || !more || document->kind == DOCUMENT_BAD) return result;
        d->texts.line = document->line;
    }
}
