/*
 * Where a ubatch's graph begins: with the first look-up of its tokens. A graph may look them up again:
 * for an adapter's own embeddings beside the model's, or in a layer that chooses by token.
 *
 * Holds: a look-up of the table that the pass looked up first begins a graph, one of any other table does
 * not.
 */
#ifndef SLUICE_ENGINE_LLAMA_LOOKUP_H
#define SLUICE_ENGINE_LLAMA_LOOKUP_H

#include <ggml.h>

struct llama_lookup {
    char table[GGML_MAX_NAME]; /* "": none came yet */
};

/* Another pass begins. */
void llama_lookup_forget(struct llama_lookup *lookup);
/* Whether this node begins a graph; the same each time that it is asked of a node. */
int llama_lookup_begins(struct llama_lookup *lookup, const struct ggml_tensor *node);

#endif
