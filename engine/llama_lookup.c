#include "engine/llama_lookup.h"

#include <stdio.h>
#include <string.h>

void llama_lookup_forget(struct llama_lookup *l)
{
    l->table[0] = '\0';
}

/* Its name, without what a back end's copy has around it: BACKEND#name#N. */
static void name_of(const struct ggml_tensor *t, char *out, size_t bytes)
{
    const char *begin = strchr(t->name, '#'), *end = strrchr(t->name, '#');
    if (begin == end)
        snprintf(out, bytes, "%s", t->name);
    else
        snprintf(out, bytes, "%.*s", (int)(end - begin - 1), begin + 1);
}

static int is_of_tokens(const struct ggml_tensor *node)
{
    char name[GGML_MAX_NAME];
    const struct ggml_tensor *rows = node->src[1];
    if (node->op != GGML_OP_GET_ROWS || !rows || rows->type != GGML_TYPE_I32) return 0;
    name_of(rows, name, sizeof name);
    return strcmp(name, "inp_tokens") == 0;
}

int llama_lookup_begins(struct llama_lookup *l, const struct ggml_tensor *node)
{
    char name[GGML_MAX_NAME];
    if (!is_of_tokens(node)) return 0;
    name_of(node->src[0], name, sizeof name);
    if (!l->table[0]) snprintf(l->table, sizeof l->table, "%s", name);
    return strcmp(l->table, name) == 0;
}
