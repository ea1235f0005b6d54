/*
 * The documents of a list of files, patterns, folders and pipes, in one fixed order and numbered
 * from 0.
 *
 * The order is as listed; corpus_files.h says what patterns and folders stand for. documents.h says
 * how a file is cut into documents. Every document takes a number, bad ones too, so a number never
 * depends on what is done about bad text.
 */
#ifndef SLUICE_ENGINE_CORPUS_H
#define SLUICE_ENGINE_CORPUS_H

#include "engine/documents.h"

#include <stddef.h>
#include <stdint.h>

struct corpus;

/* Strings are borrowed. */
struct corpus_options {
    const char *const *listed; /* (count) files, patterns, folders, "-" */
    uint32_t count;
    const char *text_field, *tokens_field; /* tokens_field: NULL where texts are wanted */
    const char *separator;                 /* line between documents of plain text; NULL: none */
    uint32_t vocabulary;                   /* token ids lie below it; 0: any */
};

struct corpus_document {
    uint64_t index;
    const char *file; /* for messages */
    struct document document;
};

/* Find and check the files; the form of each is told from its first bytes, pipes excepted.
 * ERR_USAGE (nothing listed, a pattern or a folder that gives no file, a file twice or of a kind
 * that is not read, a field that no document of the first hundred has), ERR_NOTFOUND, ERR_IO,
 * ERR_NOMEM, and ERR_FORMAT where no file holds a document. The caller closes it. */
int corpus_open(const struct corpus_options *options, struct corpus **corpus);

/* Next document; document.kind is DOCUMENT_END after the last. What it points to is valid until the
 * next call. Blocks. ERR_IO, ERR_FORMAT (damaged compressed data), ERR_USAGE (see documents_next;
 * also where neither the first hundred documents nor the whole corpus have the field: the text
 * lists the fields that the first one has). */
int corpus_next(struct corpus *corpus, struct corpus_document *document);

/* Go to document `index`: it is the one that corpus_next() gives next, if there is such a one.
 * Reads from the start of the nearest file whose first number is known. ERR_STATE for a pipe. */
int corpus_seek(struct corpus *corpus, uint64_t index);

/* Whether everything in it can be read again. */
int corpus_rereadable(const struct corpus *corpus);

/* What became of the documents that corpus_next() gave or corpus_seek() passed, from the first one
 * on: depends on the position only. */
const struct engine_documents *corpus_counts(const struct corpus *corpus);

/* Where a document is, for messages: "FILE, line 7" or "FILE, line 1, record 12". */
void corpus_where(const struct corpus_document *document, char *out, size_t size);

size_t corpus_file_count(const struct corpus *corpus);
/* What a person should know of how the list was read (files left out of folders, lines that may
 * separate documents and do not); "" where there is nothing. Lives as long as the corpus. */
const char *corpus_note(const struct corpus *corpus);

/* Fingerprint of what the files hold and of how they are cut: size and XXH3 of each (as they lie on
 * the disk; sampled above 64 MiB, see fingerprint.h), in order; pipes count as nothing. ERR_IO. */
int corpus_fingerprint(const struct corpus *corpus, uint64_t *hash);

void corpus_close(struct corpus *corpus);

#endif
