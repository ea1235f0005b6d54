/*
 * A whole model, logits and all, whose hooks may be changed while it computes: for those who look at
 * what features do, one sequence at a time. Rows for training come from the runner
 * (llama_runner.h), which computes no more than they need.
 */
#ifndef SLUICE_ENGINE_LLAMA_PLAYER_H
#define SLUICE_ENGINE_LLAMA_PLAYER_H

#include "engine/llama_runner.h"

struct llama_player;

enum { PLAYER_PASS_TOKENS = 128 }; /* tokens that are computed at once, at most */

/* Load a model and find the hooks in it (fills in their widths); options->context_tokens: of the
 * longest sequence, its prompt and what is generated. Blocks for seconds. Errors of
 * llama_runner_open(). The caller closes it; `hooks` must outlive it. */
int llama_player_open(const struct llama_runner_options *options, struct llama_hooks *hooks,
                      struct llama_player **player);
void llama_player_close(struct llama_player *player);

/* What is told of a pass. `first` is the position in the sequence of the first of `rows` tokens. */
struct llama_player_watch {
    /* A hook's values (rows, width), which may be changed: the model goes on from them. Hooks come
     * in the graph's order. NULL: none is read. Another result than ERR_OK ends the feeding. */
    int (*edit)(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values);
    /* (rows, vocabulary): of the token after each. NULL: only those of the last one are computed
     * (llama_player_logits()). Another result than ERR_OK ends the feeding. */
    int (*logits)(void *arg, uint32_t first, uint32_t rows, const float *logits);
    void *arg;
};

/* Begin a new sequence. */
void llama_player_clear(struct llama_player *player);
/* Append tokens to the sequence and compute them, in passes. `watch` may be NULL. ERR_LIMIT: the
 * sequence would be longer than context_tokens; ERR_USAGE: no such token; ERR_IO, ERR_NOMEM,
 * ERR_MISMATCH (a hook gave other rows than were submitted), and what `watch` gave. After a failure
 * the sequence must be cleared. */
int llama_player_feed(struct llama_player *player, const int32_t *tokens, uint32_t count,
                      const struct llama_player_watch *watch);
/* Of the token after the last that was fed: (vocabulary). Valid until the next call. */
const float *llama_player_logits(const struct llama_player *player);

/* To tokenize, and for what is known of the vocabulary. Lives as long as the player. */
struct llama_runner *llama_player_runner(const struct llama_player *player);

#endif
