/*
 * Conversations as a model's own chat template writes them, as tokens.
 *
 * The template's markers become special tokens. What a message says never does: where it spells a
 * marker ("<|im_end|>" in a text about models), that spelling is tokenized as plain text.
 */
#ifndef SLUICE_ENGINE_LLAMA_CHAT_H
#define SLUICE_ENGINE_LLAMA_CHAT_H

#include "engine/documents.h"

#include <stddef.h>
#include <stdint.h>

struct llama_chat;
struct llama_model;

/* `path` is the model's, for messages; both must outlive it. ERR_NOMEM. The caller closes it. */
int llama_chat_open(const struct llama_model *model, const char *path, struct llama_chat **chat);

/* Tokens of a whole conversation, without BOS in front unless the template writes one; they are
 * valid until the next call. ERR_USAGE: the model has no chat template, or one that
 * llama_chat_apply_template() does not know (the text says which). ERR_NOMEM, ERR_LIMIT. */
int llama_chat_tokenize(struct llama_chat *chat, const struct document_message *messages, size_t n,
                        const int32_t **tokens, size_t *count);

void llama_chat_close(struct llama_chat *chat);

#endif
