/*
 * Contexts of the program that may be tapped: those that generate (no embeddings, no pooling) and whose
 * model is wanted. All others have no place here and are left alone.
 *
 * A context is one thread's at a time, as llama.cpp has it, and so is all that is kept of it.
 */
#ifndef SLUICE_TAP_CONTEXT_H
#define SLUICE_TAP_CONTEXT_H

#include "tap/batches.h"
#include "tap/graph.h"
#include "tap/slots.h"
#include "tap/tap.h"

struct context {
    struct llama_context *llama; /* NULL: not made yet */
    const struct llama_model *model;
    const void *memory; /* llama_get_memory()'s */
    struct slots slots;
    struct submitted submitted;
    struct graph graph;
    struct special special;
    int is_told;           /* the pass: what it computes are tokens, all known */
    uint32_t stale_tokens; /* of the pass: computed over a prefix of another setting */
    uint32_t adapted_rows; /* of the pass: left out, as their sequence has a token of an adapter */
    uint64_t left_out[SLUICE_EXCLUDED + 1]; /* of the pass: counted once it has ended well */
    struct tap_turn turn;
    uint32_t outlet_number;   /* whose numbers the slots have; 0: none */
    int is_warming;           /* the program runs passes for no result */
    int has_lora, has_vector; /* the program has set adapters: rows are not the model's own */
    int has_encoder;          /* its prompts go there, and nobody looks at them */
};

/* Before a context of this model is made: sets the callback in its parameters. NULL: it is left alone,
 * and they are as they were. */
struct context *context_prepare(const struct llama_model *model,
                                struct llama_context_params *params);
/* It was made; NULL: it could not be. */
void context_settle(struct context *context, struct llama_context *llama);
/* It is about to be freed: nobody finds it any more. NULL: it was left alone. */
struct context *context_take_out(const struct llama_context *llama);
/* It was freed. */
void context_release(struct context *context);

/* NULL: it is left alone. */
struct context *context_of(const struct llama_context *llama);
/* The next of those with this memory, after `before` (NULL: the first). */
struct context *context_of_memory(const void *memory, const struct context *before);

/* How many there are of a model, and how many others the program has made. */
void contexts_count(const struct llama_model *model, uint32_t *own, uint32_t *others);

/* A pass, before and after. `result`: of llama_decode(). */
void context_begin(struct context *context, const struct llama_batch *batch);
void context_begin_large(struct context *context, const struct batch *batch);
void context_end(struct context *context, int32_t result);

#endif
