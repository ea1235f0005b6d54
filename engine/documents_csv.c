/* CSV as RFC 4180 has it, separated by commas, tabs or semicolons; a quote inside of a field that
 * does not begin with one is a character. With tabs a quote that its line does not close is one,
 * too, where that line and the next are whole records as they are: most programs that write tabs
 * quote nothing, and a stray quote would join records. */
#include "base/err.h"
#include "engine/documents_form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SURE_RECORDS = 4 }; /* so many that agree make CSV of what has no other sign of it */

enum record_status { RECORD_WHOLE, RECORD_CUT, RECORD_BROKEN };

struct field {
    const char *text; /* with its quotes */
    size_t size;
    int quoted;
};

struct record {
    size_t length; /* its line's end included */
    size_t fields;
    struct field wanted;
    int quoted; /* some field is */
};

/* Whether the quote at `begin` is closed before a tab or the line's end, at `end`. */
static int closes(const char *text, size_t begin, size_t end)
{
    if (end > begin && text[end - 1] == '\r') end--;
    for (size_t i = begin + 1; i < end; i++) {
        if (text[i] != '"') continue;
        if (i + 1 == end || text[i + 1] == '\t') return 1;
        if (text[i + 1] != '"') return 0;
        i++;
    }
    return 0;
}

/* Whether text[size] begins with a line that has `tabs` of them; *length: its own. -1: more bytes
 * are needed to tell. */
static int has_tabs(const char *text, size_t size, int ended, size_t tabs, size_t *length)
{
    const char *newline = size > 0 ? memchr(text, '\n', size) : NULL;
    if (!newline && !ended) return -1;
    *length = newline ? (size_t)(newline - text) : size;
    size_t found = 0;
    for (size_t i = 0; i < *length; i++) found += text[i] == '\t';
    return found == tabs;
}

/* Whether the quote at `begin` of the record at text[0] is a character; -1 as above. */
static int is_stray(const char *text, size_t size, int ended, size_t begin, size_t columns)
{
    size_t line, next;
    if (columns == 0) return 0; /* of the header nothing is known yet */
    int is_whole = has_tabs(text, size, ended, columns - 1, &line);
    if (is_whole != 1 || begin > line) return is_whole < 0 ? -1 : 0;
    if (closes(text, begin, line)) return 0;
    if (line + 1 >= size) return ended ? 1 : -1;
    return has_tabs(text + line + 1, size - line - 1, ended, columns - 1, &next);
}

/* One field: *at moves to what ends it. `columns` of the header, 0: not known. */
static enum record_status read_field(const char *text, size_t size, int ended, char delimiter,
                                     size_t columns, size_t *at, struct field *field)
{
    enum record_status status = RECORD_WHOLE;
    size_t begin = *at;
    field->quoted = begin < size && text[begin] == '"';
    if (field->quoted && delimiter == '\t') {
        int stray = is_stray(text, size, ended, begin, columns);
        if (stray < 0) return RECORD_CUT;
        field->quoted = !stray;
    }
    for (size_t i = begin + 1; field->quoted; i++) {
        const char *quote = i < size ? memchr(text + i, '"', size - i) : NULL;
        if (!quote) return RECORD_CUT;
        i = (size_t)(quote - text) + 1;
        if (i == size && !ended) return RECORD_CUT;
        *at = i;
        if (i == size || text[i] != '"') break; /* two are one that belongs to the text */
    }
    for (size_t i = *at;; i++) {
        if (i == size && !ended) return RECORD_CUT;
        *at = i;
        if (i == size || text[i] == delimiter || text[i] == '\n') break;
        if (field->quoted && text[i] != '\r') status = RECORD_BROKEN; /* "a"b */
    }
    size_t end = *at;
    if (end > begin && (end == size || text[end] == '\n') && text[end - 1] == '\r') end--;
    *field = (struct field){text + begin, end - begin, field->quoted};
    return status;
}

/* The record at text[0], and its field number `wanted`; `columns` of the header, 0: not known. */
static enum record_status read_record(const char *text, size_t size, int ended, char delimiter,
                                      size_t columns, size_t wanted, struct record *r)
{
    size_t at = 0;
    enum record_status all = RECORD_WHOLE;
    *r = (struct record){0};
    for (;; at++) {
        struct field field;
        enum record_status status = read_field(text, size, ended, delimiter, columns, &at, &field);
        if (status == RECORD_CUT) return status;
        if (status == RECORD_BROKEN) all = status;
        if (r->fields++ == wanted) r->wanted = field;
        r->quoted |= field.quoted;
        if (at == size || text[at] == '\n') break;
    }
    r->length = at < size ? at + 1 : at;
    return all;
}

/* What a field says; out has room for its size. */
static size_t unquote(const struct field *field, char *out)
{
    size_t used = 0;
    if (!field->quoted) {
        memcpy(out, field->text, field->size);
        return field->size;
    }
    for (size_t i = 1; i + 1 < field->size; i++) {
        out[used++] = field->text[i];
        i += field->text[i] == '"';
    }
    return used;
}

static void strip(const char **text, size_t *size, const char *what)
{
    for (; *size > 0 && strchr(what, **text) && **text; ++*text) --*size;
    while (*size > 0 && (*text)[*size - 1] && strchr(what, (*text)[*size - 1])) --*size;
}

/* Whether a column's name is `name`; spaces around it, also outside of quotes, are left aside. */
static int is_named(const struct field *field, const char *name)
{
    char buffer[256];
    const char *text = buffer;
    if (field->size >= sizeof buffer) return 0;
    size_t size = unquote(field, buffer);
    strip(&text, &size, " ");
    strip(&text, &size, "\"");
    strip(&text, &size, " ");
    return size == strlen(name) && memcmp(text, name, size) == 0;
}

/* ---- the header ---- */

/* Columns of a header by one delimiter, and the one that is named; 0 where it is no header. */
static size_t columns_of(const struct documents *d, char delimiter, size_t *column)
{
    struct record r;
    size_t head = documents_head(d), columns = 1;
    int ended = head < DOCUMENTS_HEAD_BYTES;
    *column = SIZE_MAX;
    for (size_t i = 0; i < columns; i++) {
        if (read_record(bytes_at(&d->bytes), head, ended, delimiter, 0, i, &r) != RECORD_WHOLE)
            return 0;
        columns = r.fields;
        if (is_named(&r.wanted, d->options.text_field)) *column = i;
    }
    return columns;
}

/* Whether the first records agree in a way that no prose has. */
static int is_surely_csv(const struct documents *d, char delimiter, size_t columns)
{
    const char *text = bytes_at(&d->bytes);
    size_t left = documents_head(d), records = 0;
    int ended = left < DOCUMENTS_HEAD_BYTES, quoted = 0;
    struct record r;
    for (; left > 0; records++) {
        enum record_status status =
            read_record(text, left, ended, delimiter, records ? columns : 0, 0, &r);
        if (status == RECORD_CUT && !ended) break;
        if (status != RECORD_WHOLE || r.fields != columns) return 0;
        quoted |= r.quoted;
        text += r.length;
        left -= r.length;
    }
    return records >= SURE_RECORDS && quoted;
}

static int no_such_column(const struct documents *d, char delimiter, size_t columns)
{
    char list[300] = "";
    struct record r;
    for (size_t i = 0; i < columns; i++) {
        char name[64];
        size_t used = strlen(list);
        read_record(bytes_at(&d->bytes), documents_head(d), 1, delimiter, 0, i, &r);
        size_t size = r.wanted.size < sizeof name ? unquote(&r.wanted, name) : 0;
        if (size == 0 || used + size + 3 > sizeof list) continue;
        sprintf(list + used, "%s%.*s", used ? ", " : "", (int)size, name);
    }
    return err_set(ERR_USAGE,
                   "%s is CSV and its first line names no column '%s'; it has: %s; HINT: set "
                   "capture.text_field to one of them",
                   d->options.name, d->options.text_field, list[0] ? list : "none at all");
}

int documents_csv_find(struct documents *d)
{
    enum documents_name named = d->options.named;
    const char *delimiters = named == NAMED_TSV ? "\t,;" : ",;\t";
    char best = delimiters[0];
    size_t most = 0;
    if (bytes_have(&d->bytes) == 0) return ERR_OK;
    for (size_t i = 0; delimiters[i]; i++) {
        size_t column, columns = columns_of(d, delimiters[i], &column);
        int is_one = named == NAMED_CSV || named == NAMED_TSV;
        if (column != SIZE_MAX && columns >= (is_one ? 1u : 2u)) {
            d->csv =
                (struct csv_form){.delimiter = delimiters[i], .columns = columns, .column = column};
            return ERR_OK;
        }
        if (columns > most && (is_one || is_surely_csv(d, delimiters[i], columns))) {
            most = columns;
            best = delimiters[i];
        }
    }
    if (named != NAMED_CSV && named != NAMED_TSV && most < 2) return ERR_OK;
    return no_such_column(d, best, most);
}

/* ---- records ---- */

static int never_closed(const struct documents *d)
{
    return err_set(ERR_USAGE,
                   "%s, line %llu: CSV with a quote that is not closed by the file's end or within "
                   "16 MiB; HINT: mend or fetch it again (a quote inside of quotes is written "
                   "twice), or give JSON Lines",
                   d->options.name, (unsigned long long)d->bytes.line);
}

static int see_record(struct documents *d, struct record *r, enum record_status *status)
{
    struct bytes *b = &d->bytes;
    int result = bytes_ensure(b, 4096);
    while (result == ERR_OK) {
        *status = read_record(bytes_at(b), bytes_have(b), b->ended, d->csv.delimiter,
                              d->csv.columns, d->csv.column, r);
        if (*status != RECORD_CUT) return ERR_OK;
        if (b->ended || bytes_have(b) >= DOCUMENT_LINE_BYTES) return never_closed(d);
        result = bytes_more(b, DOCUMENT_LINE_BYTES);
    }
    return result;
}

static int read_text(struct documents *d, const struct field *field, struct document *document)
{
    if (field->size > d->csv.room) {
        free(d->csv.text);
        d->csv.text = malloc(field->size);
        d->csv.room = d->csv.text ? field->size : 0;
        if (!d->csv.text) return err_set(ERR_NOMEM, "no memory for a document");
    }
    if (field->size == 0) return ERR_OK;
    documents_make_text(d->csv.text, unquote(field, d->csv.text), document);
    return ERR_OK;
}

static int is_empty_line(const struct record *r, const char *text)
{
    return r->fields == 1 && bytes_blank(text, r->length);
}

int documents_csv_next(struct documents *d, struct document *document)
{
    for (;;) {
        struct record r;
        enum record_status status = RECORD_WHOLE;
        int result = see_record(d, &r, &status);
        if (result != ERR_OK) return result;
        *document = (struct document){.kind = DOCUMENT_END, .line = d->bytes.line};
        if (bytes_have(&d->bytes) == 0) return ERR_OK;
        int is_header = !d->csv.header_read, is_empty = is_empty_line(&r, bytes_at(&d->bytes));
        d->csv.header_read = 1;
        if (!is_header && !is_empty && (status == RECORD_BROKEN || r.fields != d->csv.columns)) {
            document->kind = DOCUMENT_BAD;
            document->skip = ENGINE_SKIP_SYNTAX;
            document->size = r.length;
            document->reason = status == RECORD_BROKEN
                                   ? "CSV with something between a quote and the field's end"
                                   : "CSV with another number of fields than the first line";
        } else if (!is_header && !is_empty) {
            result = read_text(d, &r.wanted, document);
        }
        bytes_consume(&d->bytes, r.length);
        if (result != ERR_OK || document->kind != DOCUMENT_END) return result;
    }
}
