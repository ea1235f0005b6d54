#include "tap/learn.h"

#include "base/err.h"
#include "engine/llama_block.h"
#include "tap/graph.h"
#include "tap/tensor.h"

#include <stdio.h>
#include <string.h>

static void find_node(struct graph *g, uint32_t h, const struct ggml_tensor *t)
{
    snprintf(g->outlet->hooks.hook[h].node, sizeof g->outlet->hooks.hook[h].node, "%s", t->name);
    g->outlet->hooks.hook[h].turn = llama_asked_turn(&g->asked, t);
    g->outlet->hooks.hook[h].width = tensor_width(t, g->learned_n);
}

static void forget(struct graph *g)
{
    g->asked.count = 0;
    memset(g->named, 0, sizeof g->named);
}

/* Counts the nodes of that name. */
static int is_named(struct graph *g, uint32_t h, const struct ggml_tensor *t)
{
    if (strcmp(g->outlet->hooks.hook[h].node, t->name) != 0) return 0;
    g->named[h]++;
    return 1;
}

int learn_ask(struct graph *g, const struct ggml_tensor *t)
{
    if (llama_lookup_begins(&g->lookup, t)) {
        if (g->learned_positions) forget(g); /* another ubatch */
        g->learned_positions = 0;
        g->learned_n = (uint32_t)tensor_count(t->src[1]);
    }
    if (!g->learned_n) return ERR_OK;
    if (tensor_is_positions(t, g->learned_n)) g->learned_positions = 1;
    int result = llama_asked_note(&g->asked, t);
    if (result != ERR_OK) return result;
    for (uint32_t h = 0; h < g->outlet->hooks.count; h++) {
        const struct ggml_tensor *part = NULL;
        if (g->outlet->hooks.hook[h].point == POINT_NODE)
            part = is_named(g, h, t) ? t : NULL;
        else if (llama_hooks_end(&g->outlet->hooks, h, t->name))
            part = llama_block_part(t, g->outlet->hooks.hook[h].point);
        if (part) find_node(g, h, part);
    }
    return ERR_OK;
}

int learn_end(struct graph *g)
{
    for (uint32_t h = 0; h < g->outlet->hooks.count; h++) {
        const char *name = g->outlet->hooks.hook[h].name;
        if (g->named[h] > 1)
            return err_set(ERR_USAGE, "hook %s: %u nodes of this model are called so", name,
                           g->named[h]);
        if (!g->outlet->hooks.hook[h].width)
            return err_set(ERR_USAGE,
                           "hook %s: this model has no such node, or it holds no float32 row for "
                           "each token; HINT: resid_post.N are those that all models have",
                           name);
    }
    return ERR_OK;
}
