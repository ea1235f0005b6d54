/*
 * The corpus of a run as a model's tokens: what binds options, corpus and tokenizer together.
 */
#ifndef SLUICE_ENGINE_LLAMA_TEXT_H
#define SLUICE_ENGINE_LLAMA_TEXT_H

#include "engine/llama_chat.h"
#include "engine/llama_runner.h"
#include "engine/options.h"
#include "engine/pack.h"

struct llama_text {
    const struct engine_options *options;
    struct llama_runner *runner;
    struct llama_chat *chat;
};

/* `options` and `runner` outlive it. ERR_NOMEM. The caller closes it. */
int llama_text_open(const struct engine_options *options, struct llama_runner *runner,
                    struct llama_text *text);
void llama_text_close(struct llama_text *text);

/* How the corpus is read, and how it is packed into contexts; `text` must outlive the pack. */
struct corpus_options llama_text_corpus(const struct llama_text *text);
struct pack_options llama_text_packing(struct llama_text *text);

/* The first tokens of the whole corpus, all shares together, packed into (contexts, context_tokens)
 * one context behind another, as llama_compare.h asks for them; *filled: how many there were. `arg`
 * is the struct engine_options. For a process that ends soon: what it opens stays open. ERR_STATE
 * where the corpus is a pipe, which is left alone, and what the corpus returns. */
int llama_text_contexts(void *arg, struct llama_runner *runner, uint32_t contexts,
                        uint32_t context_tokens, int32_t *tokens, uint32_t *filled);

#endif
