/*
 * The documents of a list of files, patterns and pipes, in one fixed order and numbered from 0.
 *
 * Order: as listed; what a pattern matches in byte order of the names. How a file is cut into
 * documents: documents.h. A number is taken by every document, bad ones too, so it never depends
 * on what is done about bad text.
 */
#ifndef SLUICE_ENGINE_CORPUS_H
#define SLUICE_ENGINE_CORPUS_H

#include "engine/documents.h"

#include <stddef.h>
#include <stdint.h>

struct corpus;

struct corpus_document {
    uint64_t index;
    const char *file; /* for messages */
    struct document document;
};

/* Find and check the files. The strings are borrowed. ERR_USAGE (nothing listed, a pattern or a
 * folder that gives no file), ERR_NOTFOUND, ERR_IO, ERR_NOMEM, and ERR_FORMAT where no file holds a
 * document (not asked of a pipe). The caller closes it. */
int corpus_open(const char *const *patterns, uint32_t count, const char *text_field,
                struct corpus **corpus);

/* Next document; document.kind is DOCUMENT_END after the last. Its text is valid until the next
 * call. Blocks. ERR_IO, ERR_FORMAT (damaged compressed data), ERR_USAGE (see documents_next). */
int corpus_next(struct corpus *corpus, struct corpus_document *document);

/* Go to document `index`: it is the one that corpus_next() gives next, if there is such a one.
 * Reads from the start of the nearest file whose first number is known. ERR_STATE for a pipe. */
int corpus_seek(struct corpus *corpus, uint64_t index);

/* Whether everything in it can be read again. */
int corpus_rereadable(const struct corpus *corpus);

/* Fingerprint of what the files hold and of how they are cut: size and XXH3 of each (as they lie on
 * the disk; sampled above 64 MiB, see fingerprint.h), in order; pipes count as nothing. ERR_IO. */
int corpus_fingerprint(const struct corpus *corpus, uint64_t *hash);

void corpus_close(struct corpus *corpus);

#endif
