/*
 * Cuts a stream of bytes into documents.
 *
 * Plain text: the whole stream is one document, except that a line holding nothing but `%` ends one
 * (the format of fortune files), and that a text longer than DOCUMENT_TEXT_BYTES is cut at the end
 * of a line (or of a character, where a line is that long) into several. JSON lines: one document a
 * line, the string in the field named. A stream is taken for JSON lines when its name says so or
 * when its first line is a JSON object. Text of nothing but white space is no document.
 */
#ifndef SLUICE_ENGINE_DOCUMENTS_H
#define SLUICE_ENGINE_DOCUMENTS_H

#include <stddef.h>
#include <stdint.h>

enum {
    DOCUMENT_TEXT_BYTES = 256 << 10, /* longest plain-text document */
    DOCUMENT_LINE_BYTES = 16 << 20,  /* longest line of JSON */
};

enum document_kind {
    DOCUMENT_TEXT,
    DOCUMENT_BAD, /* not UTF-8, not JSON, no such field, a line too long */
    DOCUMENT_END,
};

struct document {
    enum document_kind kind;
    const char *text;   /* (size) valid until the next call; NULL unless DOCUMENT_TEXT */
    size_t size;        /* bytes; of the bad line or text for DOCUMENT_BAD */
    uint64_t line;      /* of the stream, 1-based, in which it begins */
    const char *reason; /* what is wrong with a DOCUMENT_BAD */
};

/* Gives up to `size` bytes; *got = 0 at the end. */
typedef int (*documents_read)(void *arg, void *out, size_t size, size_t *got);

struct documents;

/* `name` is for messages; `field` is JSON's; `json` says that the name promises JSON lines.
 * Strings and `arg` are borrowed. ERR_NOMEM. The caller closes it. */
int documents_open(const char *name, const char *field, int json, documents_read read, void *arg,
                   struct documents **documents);

/* Next document. ERR_USAGE where the first line of JSON lacks the field (the text lists the fields
 * it has); ERR_NOMEM; what `read` returns. */
int documents_next(struct documents *documents, struct document *document);

void documents_close(struct documents *documents);

/* Whether a file's name promises JSON lines: .jsonl or .ndjson, perhaps with .gz or .zst after. */
int documents_named_json(const char *path);

#endif
