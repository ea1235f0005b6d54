/*
 * The documents in one JSON value: what the wanted field holds (documents.h says what may).
 */
#ifndef SLUICE_ENGINE_JSON_TEXTS_H
#define SLUICE_ENGINE_JSON_TEXTS_H

#include "engine/documents.h"

/* A document, small, for a value may hold millions. A value has DOCUMENT_LINE_BYTES at most. */
struct json_text_item {
    const char *reason;
    uint32_t text, size;   /* in the decoded strings */
    uint32_t first, count; /* of its messages or tokens */
    uint8_t kind, skip, replaced;
};

/* Zeroed before first use. */
struct json_texts {
    const struct documents_options *options;
    struct json_text_item *items; /* (room); [next, count) are still to be given */
    size_t count, next, room;
    char *text; /* decoded strings */
    size_t text_used, text_room;
    int32_t *tokens;
    size_t tokens_used, tokens_room;
    struct document_message *messages;
    size_t messages_used, messages_room;
    size_t value_size;
    uint64_t line;    /* in which the value begins; set by whoever reads it */
    char fields[300]; /* of the last object: see documents_fields() */
};

/* Take out of a whole value all documents that it has; blank ones are left out. ERR_NOMEM. */
int json_texts_read(struct json_texts *t, const char *value, size_t size);

/* Next of them, valid until the next json_texts_read(); 0 after the last. */
int json_texts_next(struct json_texts *t, struct document *document);

void json_texts_free(struct json_texts *t);

#endif
