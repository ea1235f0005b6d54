#include "engine/llama_asked.h"

#include "base/err.h"

#include <ggml.h>
#include <stdlib.h>
#include <string.h>

int llama_asked_note(struct llama_asked *a, const struct ggml_tensor *node)
{
    if (a->count == a->room) {
        size_t room = a->room ? 2 * a->room : 1024;
        const struct ggml_tensor **larger = realloc(a->node, room * sizeof *larger);
        if (!larger) return err_set(ERR_NOMEM, "no memory for a model's graph");
        a->node = larger;
        a->room = room;
    }
    a->node[a->count++] = node;
    return ERR_OK;
}

uint32_t llama_asked_turn(const struct llama_asked *a, const struct ggml_tensor *node)
{
    uint32_t turn = 0;
    for (size_t i = 0; i < a->count && a->node[i] != node; i++)
        turn += strcmp(a->node[i]->name, node->name) == 0;
    return turn;
}

void llama_asked_free(struct llama_asked *a)
{
    free(a->node);
    *a = (struct llama_asked){0};
}
