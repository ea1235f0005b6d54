/*
 * Cuts a stream of bytes into documents, by what is in it and not by its name.
 *
 * Forms, told from the first 64 KiB (or from the first value, up to DOCUMENT_LINE_BYTES):
 * - JSON Lines: one value a line; blank lines, white space and byte order marks are passed over. A
 *   file whose first line is none is JSON Lines where at least half of its lines are objects.
 * - JSON values one behind another, such as objects that are broken over lines.
 * - JSON arrays; each item is a value.
 *   Between values, 0x1e (JSON text sequences) and NUL are passed over. Objects behind something
 *   else ("data: {...}") in half of the lines are an error that shows it.
 * - CSV, separated by commas, tabs or semicolons: where the first line names at least two columns
 *   and `text_field` is one of them, or where the name ends in .csv or .tsv. (Without the name and
 *   the column it is CSV where its first records, four at least, agree in the number of fields and
 *   one is quoted; that is an error, which lists the columns.)
 * - Plain text: all else that is text. The whole stream is one document, except that a line that
 *   holds nothing but `separator` ends one, and that a text longer than DOCUMENT_TEXT_BYTES is cut
 *   at the end of a line (or of a character, where a line is that long) into several.
 * What is none of these is refused by what it is (sniff.h). A name can break a tie only: .jsonl and
 * .ndjson make JSON Lines of what begins like text, .json and .csv tell damage from text.
 * UTF-16 and UTF-32 with a byte order mark are read as well (encoding.h).
 *
 * A JSON value is an object with the field, or a string. `text_field: data.text` is the field text
 * of the object data; a key that holds the dot itself comes first; a list on the way is gone
 * through. The field holds a string, or a list of strings, each of which is a document, or a list
 * of messages ({role, content} or {from, value}; content may be a list of {type: text, text}),
 * which is one document. With `tokens_field` it holds token ids, or lists of such.
 *
 * A lone surrogate in a text becomes U+FFFD. Text of nothing but white space is no document.
 */
#ifndef SLUICE_ENGINE_DOCUMENTS_H
#define SLUICE_ENGINE_DOCUMENTS_H

#include "engine/encoding.h"
#include "engine/engine.h"

#include <stddef.h>
#include <stdint.h>

enum {
    DOCUMENT_TEXT_BYTES = 256 << 10, /* longest plain-text document */
    DOCUMENT_LINE_BYTES = 16 << 20,  /* longest JSON value or CSV record */
};

enum document_kind {
    DOCUMENT_TEXT,
    DOCUMENT_CHAT,
    DOCUMENT_TOKENS,
    DOCUMENT_BAD,
    DOCUMENT_END,
};

struct document_message {
    const char *role, *content; /* NUL-terminated as well */
    size_t role_size, content_size;
};

struct document {
    enum document_kind kind;
    const char *text;                        /* (size) of DOCUMENT_TEXT */
    size_t size;                             /* bytes of the text; of the value or line of others */
    const struct document_message *messages; /* (count) of DOCUMENT_CHAT */
    const int32_t *tokens;                   /* (count) of DOCUMENT_TOKENS */
    size_t count;
    int replaced;          /* a lone surrogate became U+FFFD */
    uint64_t line;         /* of the stream, 1-based, in which it (or its value) begins */
    uint64_t record;       /* item of a JSON array, 1-based; 0: it is not in one */
    enum engine_skip skip; /* why it is DOCUMENT_BAD */
    const char *reason;    /* the same in words */
};

/* What a file's name says; it breaks ties only. */
enum documents_name { NAMED_NOTHING, NAMED_JSON_LINES, NAMED_JSON, NAMED_CSV, NAMED_TSV };

struct documents_options {
    const char *name; /* for messages */
    enum documents_name named;
    const char *text_field, *tokens_field; /* tokens_field: NULL where texts are wanted */
    const char *separator;                 /* NULL: none */
    uint32_t vocabulary; /* token ids lie below it; 0: any that an int32_t holds */
};

struct documents;

/* Strings and `arg` are borrowed; the options are copied. ERR_NOMEM. The caller closes it. */
int documents_open(const struct documents_options *options, encoding_source read, void *arg,
                   struct documents **documents);

/* Next document; what it points to is valid until the next call. ERR_USAGE: the stream is of a kind
 * that is not read, or CSV without the column (the text lists those it has), or a JSON array or a
 * CSV file is damaged so that nobody can tell where the next document begins. ERR_NOMEM; what
 * `read` returns. */
int documents_next(struct documents *documents, struct document *document);

/* Find the form, as documents_next() does first. Same errors. *stray_separators: it is plain text,
 * no separator is set, and more than one of its first lines holds nothing but '%'. */
int documents_look(struct documents *documents, int *stray_separators);

/* Names of the fields that the last JSON value has, "content, data.title", as far as they hold what
 * is looked for and `size` bytes hold them; "" where there are none. */
void documents_fields(const struct documents *documents, char *out, size_t size);

void documents_close(struct documents *documents);

/* What the name of a file promises, an ending of a compression left aside. */
enum documents_name documents_named(const char *path);

#endif
