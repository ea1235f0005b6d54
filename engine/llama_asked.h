/*
 * Nodes of a pass, in the order in which llama.cpp asks for them: which of those that bear one name a
 * node is. Zeroed at the start; the nodes are the graph's.
 */
#ifndef SLUICE_ENGINE_LLAMA_ASKED_H
#define SLUICE_ENGINE_LLAMA_ASKED_H

#include <stddef.h>
#include <stdint.h>

struct ggml_tensor;

struct llama_asked {
    const struct ggml_tensor **node; /* (room) */
    size_t count, room;
};

/* Note the next one. ERR_NOMEM: it was not noted. */
int llama_asked_note(struct llama_asked *asked, const struct ggml_tensor *node);

/* How many of its name came before it. */
uint32_t llama_asked_turn(const struct llama_asked *asked, const struct ggml_tensor *node);

void llama_asked_free(struct llama_asked *asked);

#endif
