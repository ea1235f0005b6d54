/* Contexts of a corpus, packed as for a training (engine/pack.h), for those who evaluate. */
#ifndef SLUICE_INSPECT_CONTEXTS_H
#define SLUICE_INSPECT_CONTEXTS_H

#include "engine/llama_runner.h"

struct contexts;

struct contexts_options {
    const char *const *corpus; /* (count) files, patterns, folders */
    uint32_t count;
    const char *text_field;
    uint32_t context_tokens;
    int prepends_bos; /* -1: as the model's file says */
};

/* The options' strings and the runner outlive it. Errors of corpus_open() and pack_open(). The caller
 * closes it. */
int contexts_open(const struct contexts_options *options, struct llama_runner *runner,
                  struct contexts **contexts);
/* The next one; its tokens are valid until the next call. *count 0: the corpus has ended. Errors of
 * pack_next(). */
int contexts_next(struct contexts *contexts, const int32_t **tokens, uint32_t *count);
void contexts_close(struct contexts *contexts);

#endif
