/*
 * How far the rows of one model file are from those of another: the same hooks, the same tokens,
 * the same passes. Both files are opened in a child process (llama_trial.h), so that one which
 * llama.cpp cannot run is an error.
 */
#ifndef SLUICE_ENGINE_LLAMA_COMPARE_H
#define SLUICE_ENGINE_LLAMA_COMPARE_H

#include "engine/llama_hooks.h"

#include <stdint.h>

struct llama_runner;

enum {
    COMPARE_PROOF_CONTEXTS = 4, /* of random tokens, as long as the run's */
    COMPARE_TEXT_ROWS = 1024,   /* of text, for a distance that a user can use */
    COMPARE_LEAST_ROWS = 64,
};

struct llama_compare_options {
    const char *original, *other; /* model files */
    const struct llama_hooks *hooks;
    uint32_t context_tokens, threads;
    int prepend_bos; /* capture.prepend_bos: -1, as the model says */
    /* Fill tokens[contexts * context_tokens] with the run's first contexts, which runner tokenizes,
     * one after another; *filled: how many tokens there were. Runs in the child. NULL, or where it
     * fails: random tokens. */
    int (*text)(void *arg, struct llama_runner *runner, uint32_t contexts, uint32_t context_tokens,
                int32_t *tokens, uint32_t *filled);
    void *text_arg;
    /* What is under way; may be NULL. */
    void (*tell)(void *arg, const char *sentence);
    void *tell_arg;
};

struct llama_distance {
    uint64_t rows;
    double largest; /* over rows and hooks: |a - b| / |a|; INFINITY where a row is not finite */
    double fve; /* least of the hooks': 1 - E|a - b|^2 / E|a - mean a|^2; NaN where a is constant */
    int is_text; /* measured on text of the run */
};

/* Whether two files compute the same: over COMPARE_PROOF_CONTEXTS contexts of context_tokens random
 * tokens (the same for every run; no corpus can make them easy), all rows, position 0 too. Fills in
 * rows and largest. Blocks for as long as both models take. ERR_FORMAT (one of them does not run),
 * ERR_NOMEM, ERR_IO and what llama_runner_open() returns. */
int llama_compare_proof(const struct llama_compare_options *options,
                        struct llama_distance *distance);

/* The distance on about COMPARE_TEXT_ROWS rows of the run's own text, position 0 and rows of over
 * ten times the median norm left out, as the run's filters leave them out. Fills in all. Errors as
 * above. */
int llama_compare_text(const struct llama_compare_options *options,
                       struct llama_distance *distance);

#endif
