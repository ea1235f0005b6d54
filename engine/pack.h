/*
 * Packs the documents of one share into contexts for a model.
 *
 * A share's documents are those whose number is index modulo count. Each is tokenized and followed
 * by the separator token, where the model has one. The tokens, one document after another, are cut
 * into contexts of context_tokens. Each context begins with the BOS token where that is asked for.
 * A document longer than what is left of a context goes on in the next one. Every context is full
 * but the share's last. Documents in one context attend across their borders, as in the peers.
 *
 * With one_document each document begins a context of its own. Its last context is as short as what
 * is left, and the separator follows where that context has room. A document of token ids that ends
 * with the separator gets no second one.
 *
 * A context is a pure function of (corpus, options, where it begins): pack_seek() to the cursor of
 * any context gives that context again and all that follow.
 */
#ifndef SLUICE_ENGINE_PACK_H
#define SLUICE_ENGINE_PACK_H

#include "base/row.h"
#include "engine/corpus.h"
#include "engine/options.h"

#include <stddef.h>
#include <stdint.h>

/* Tokenize text[size] (valid UTF-8, no special tokens in it) into *tokens, a block that the
 * tokenizer owns and reuses. ERR_NOMEM, ERR_LIMIT. */
typedef int (*pack_tokenize)(void *arg, const char *text, size_t size, const int32_t **tokens,
                             size_t *count);

/* The same for a conversation, whose markers are special tokens (and its contents hold none).
 * ERR_USAGE: the model has no way to write it. */
typedef int (*pack_tokenize_chat)(void *arg, const struct document_message *messages, size_t n,
                                  const int32_t **tokens, size_t *count);

struct pack_options {
    pack_tokenize tokenize;
    pack_tokenize_chat tokenize_chat;
    void *arg; /* of both */
    uint32_t share_index, share_count;
    uint32_t context_tokens;
    int32_t bos;       /* at the start of each context; -1: none */
    int32_t separator; /* after each document; -1: none */
    int one_document;  /* a context holds no second one */
    enum bad_text on_bad_text;
};

struct pack_context {
    struct cursor begin; /* position 0 */
    const int32_t *tokens;
    uint32_t count; /* 0: the share has ended */
};

struct pack_counters {
    uint64_t documents, bad_text, bad_text_bytes;
};

struct pack;

/* The corpus stays the caller's and must be at its start. ERR_NOMEM, ERR_USAGE (a context too short
 * to hold a token). The caller closes it. */
int pack_open(struct corpus *corpus, const struct pack_options *options, struct pack **pack);

/* Next context; its tokens are valid until the next call. ERR_FORMAT (bad text under
 * on_bad_text: fail, or a corpus without a document), and what the corpus returns. */
int pack_next(struct pack *pack, struct pack_context *context);

/* Where the next context begins (position 0). */
struct cursor pack_cursor(const struct pack *pack);

/* Go to the context that begins at `cursor` (its position is not looked at). ERR_MISMATCH where it
 * is not one of this share, or lies behind the corpus's or the document's end. */
int pack_seek(struct pack *pack, const struct cursor *cursor);

struct pack_counters pack_counters(const struct pack *pack);

/* What became of the corpus's documents, all shares together, up to the one being packed, or to the
 * corpus's end where the share has ended: a function of the position. */
const struct engine_documents *pack_documents(const struct pack *pack);

/* Tokens of all contexts of all shares together, by reading and tokenizing the whole corpus (which
 * is left at its end, so that corpus_counts() has all of it; give it one of its own). `progress`
 * may be NULL. Errors as pack_next(). */
int pack_count(struct corpus *corpus, const struct pack_options *options, uint64_t *tokens,
               void (*progress)(void *arg, uint64_t tokens), void *arg);

void pack_close(struct pack *pack);

#endif
