/*
 * A loaded GGUF model that turns contexts of tokens into the values of hooks.
 */
#ifndef SLUICE_ENGINE_LLAMA_RUNNER_H
#define SLUICE_ENGINE_LLAMA_RUNNER_H

#include "engine/llama_hooks.h"
#include "engine/llama_special.h"

#include <stddef.h>
#include <stdint.h>

struct llama_runner;
struct llama_model;

struct llama_runner_options {
    const char *path;
    uint32_t context_tokens; /* of the longest context */
    uint32_t threads;        /* 0: one per core */
    int plain_weights; /* leave weights as they lie in the file: slower, no memory of their own */
};

/* Load a model and find the hooks in it; fills in their widths. Blocks for seconds. ERR_FORMAT (not
 * a GGUF, or one that llama.cpp cannot run), ERR_NOTFOUND, ERR_IO, ERR_NOMEM, ERR_USAGE (a hook
 * that does not exist: the text lists those that do; a context longer than the model's). The
 * caller closes it; `hooks` must outlive it. */
int llama_runner_open(const struct llama_runner_options *options, struct llama_hooks *hooks,
                      struct llama_runner **runner);

/* What is known of a model that was tried. */
struct llama_facts {
    struct llama_hooks hooks; /* with widths */
    char precision[64];       /* llama_runner_precision() */
    int32_t layers;
    uint32_t context_tokens; /* that it was trained with; 0: it does not tell */
    int has_tokenizer;
};

/* Whether llama.cpp can work with the file at all: find the hooks, run a few tokens up to them,
 * tokenize every kind of character. In a child process, so that a file that llama.cpp ends its
 * process over is an error: ERR_FORMAT, and those of llama_runner_open(). */
int llama_runner_try(const struct llama_runner_options *options, const struct llama_hooks *hooks,
                     struct llama_facts *facts);

/* Run one context of `count` tokens, afresh from position 0. values: (count, width of all hooks).
 *
 * One context per pass, though llama.cpp can take several. Its flash attention has 16 bits inside,
 * and is a fifth faster than the exact kind. With it, a row of several contexts would differ by
 * 1e-4 with what lies beside it in the batch. So a context's rows are the same bits wherever a run
 * is taken up again.
 *
 * ERR_MISMATCH where the graph computed something else than what was submitted; ERR_IO;
 * ERR_LIMIT. */
int llama_runner_run(struct llama_runner *runner, const int32_t *tokens, uint32_t count,
                     float *values);

/* A pack_tokenize (pack.h); `arg` is a runner. Thread-safe only if the runner is not shared.
 * ERR_USAGE: the model has no tokenizer. */
int llama_runner_tokenize(void *arg, const char *text, size_t size, const int32_t **tokens,
                          size_t *count);

/* The text of a token, as bytes that need not be whole characters, NUL-terminated in out[bytes]; a
 * special token's is its name. Gives its length without the NUL, as if it fitted; 0: no such token,
 * or one without text. Nothing is written beyond `bytes`. */
size_t llama_runner_text(const struct llama_runner *runner, int32_t token, char *out, size_t bytes);

/* Tokens of its vocabulary, 0 to so many less one; 0 where it has none. */
int32_t llama_runner_tokens(const struct llama_runner *runner);

const struct llama_special *llama_runner_special(const struct llama_runner *runner);
/* llama_special_is() */
int llama_runner_is_special(const struct llama_runner *runner, int32_t token);

/* The model itself, for llama_chat.c. Lives as long as the runner. */
const struct llama_model *llama_runner_model(const struct llama_runner *runner);

/* What the weights are kept in, in lower case: "q4_1", "f32". Lives as long as the runner. */
const char *llama_runner_precision(const struct llama_runner *runner);

void llama_runner_close(struct llama_runner *runner);

#endif
