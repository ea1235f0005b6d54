/*
 * A loaded GGUF model that turns contexts of tokens into the values of hooks.
 */
#ifndef SLUICE_ENGINE_LLAMA_RUNNER_H
#define SLUICE_ENGINE_LLAMA_RUNNER_H

#include "engine/llama_hooks.h"

#include <stddef.h>
#include <stdint.h>

struct llama_runner;
struct llama_model;

struct llama_runner_options {
    const char *path;
    uint32_t context_tokens; /* of the longest context */
    uint32_t threads;        /* 0: one a core */
};

/* Load a model and find the hooks in it; fills in their widths. Blocks for seconds. ERR_FORMAT (not
 * a GGUF, or one that llama.cpp cannot run), ERR_NOTFOUND, ERR_IO, ERR_NOMEM, ERR_USAGE (a hook
 * that does not exist: the text lists those that do; a context longer than the model's). The
 * caller closes it; `hooks` must outlive it. */
int llama_runner_open(const struct llama_runner_options *options, struct llama_hooks *hooks,
                      struct llama_runner **runner);

/* Only find the hooks: reads no weights where the file can be mapped. Same errors. */
int llama_runner_probe(const char *path, struct llama_hooks *hooks);

/* Run one context of `count` tokens, afresh from position 0. values: (count, width of all hooks).
 *
 * One context at a time, though llama.cpp can take several in a pass: with its flash attention (16
 * bit inside, and a fifth faster than the exact kind) a row then differs by 1e-4 with what lies
 * beside it in the batch. So a context's rows are the same bits wherever a run is taken up again.
 *
 * ERR_MISMATCH where the graph computed something else than what was submitted; ERR_IO; ERR_LIMIT.
 */
int llama_runner_run(struct llama_runner *runner, const int32_t *tokens, uint32_t count,
                     float *values);

/* A pack_tokenize (pack.h); `arg` is a runner. Thread-safe only if the runner is not shared. */
int llama_runner_tokenize(void *arg, const char *text, size_t size, const int32_t **tokens,
                          size_t *count);

/* Special tokens, -1 where the model has none. The separator is its end-of-text token. */
int32_t llama_runner_bos(const struct llama_runner *runner);
int32_t llama_runner_separator(const struct llama_runner *runner);
int llama_runner_adds_bos(const struct llama_runner *runner); /* as its metadata says */

/* Whether a token is a special one: BOS, EOS, any control token. */
int llama_runner_is_special(const struct llama_runner *runner, int32_t token);

/* The model itself, for llama_chat.c. Lives as long as the runner. */
const struct llama_model *llama_runner_model(const struct llama_runner *runner);

/* What the weights are kept in, in lower case: "q4_1", "f32". Lives as long as the runner. */
const char *llama_runner_precision(const struct llama_runner *runner);

void llama_runner_close(struct llama_runner *runner);

#endif
