/* What documents.c and its forms share. */
#ifndef SLUICE_ENGINE_DOCUMENTS_FORM_H
#define SLUICE_ENGINE_DOCUMENTS_FORM_H

#include "engine/bytes.h"
#include "engine/documents.h"
#include "engine/json_texts.h"

struct documents;

/* A form finds out whether a stream is its own, and cuts it. */
enum json_form { JSON_FORM_NONE, JSON_FORM_LINES, JSON_FORM_VALUES, JSON_FORM_ARRAY };

struct csv_form {
    char delimiter; /* 0: it is not CSV */
    size_t columns, column;
    int header_read;
    char *text; /* of the last document */
    size_t room;
};

struct documents {
    struct documents_options options;
    struct bytes bytes;
    int looked; /* the form is known */
    int stray_separators;
    enum json_form json;
    struct json_texts texts;
    int in_array, items; /* of a JSON array: inside one; items of it so far */
    uint64_t record;
    struct csv_form csv;
};

/* How far a stream is looked into to tell its form; JSON's first value further. */
enum { DOCUMENTS_HEAD_BYTES = 64 << 10 };

/* What is looked at of what is there, however large the pieces were that came. */
static inline size_t documents_head(const struct documents *d)
{
    size_t have = bytes_have(&d->bytes);
    return have < DOCUMENTS_HEAD_BYTES ? have : DOCUMENTS_HEAD_BYTES;
}

int documents_json_find(struct documents *d);
/* ERR_USAGE where half of the lines of what is no JSON are objects with something in front. */
int documents_json_strays(const struct documents *d);
int documents_json_next(struct documents *d, struct document *document);

int documents_csv_find(struct documents *d);
int documents_csv_next(struct documents *d, struct document *document);

int documents_text_next(struct documents *d, struct document *document);
int documents_text_strays(const struct documents *d);

/* Make a document of text[size], which may be written to: DOCUMENT_TEXT, DOCUMENT_BAD where it is
 * not UTF-8, DOCUMENT_END where it is blank. */
void documents_make_text(char *text, size_t size, struct document *document);

#endif
