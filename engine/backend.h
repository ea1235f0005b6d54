/*
 * What each engine supplies to engine.c: the functions of engine.h over a state of its own.
 */
#ifndef SLUICE_ENGINE_BACKEND_H
#define SLUICE_ENGINE_BACKEND_H

#include "engine/engine.h"
#include "engine/options.h"

struct backend {
    /* What it needs and was not given; {NULL}: nothing. NULL: it needs nothing. */
    struct engine_lack (*lacks)(const struct engine_options *options);
    /* Make the state and fill in all of `info` but `engine`. On failure nothing is left. */
    int (*open)(const struct engine_options *options, struct engine_info *info, void **state);
    /* NULL: nothing is made before rows are. `forecast` is all 0. */
    int (*forecast)(const struct engine_options *options, struct engine_forecast *forecast);
    struct engine_counters (*counters)(const void *state);
    /* NULL: there is no corpus. `documents` is all 0. */
    void (*documents)(const void *state, struct engine_documents *documents);
    void (*documents_counted)(const void *state, struct engine_documents *documents);
    /* Both NULL: no program hands rows over. */
    void (*rings)(const void *state, struct engine_rings *rings);
    void (*rings_counted)(void *state);
    int (*count_rows)(void *state, uint64_t *rows, void (*progress)(void *arg, uint64_t tokens),
                      void *arg);
    /* Both NULL: tokens have no text. */
    int32_t (*tokens)(const void *state);
    size_t (*token_text)(const void *state, int32_t token, char *out, size_t bytes);
    /* NULL: nobody waits for it. */
    void (*finish)(void *state);
    int (*seek)(void *state, const struct cursor *cursor);
    int (*next)(void *state, struct engine_batch *batch);
    void (*close)(void *state);
};

extern const struct backend backend_llama, backend_synthetic, backend_files, backend_ring;

#endif
