#include "engine/llama_hooks.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A decimal number below a million that is all of the text; -1 otherwise. */
static int32_t number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 6 || text[digits] != '\0') return -1;
    return (int32_t)strtol(text, NULL, 10);
}

int32_t llama_hooks_layer_of(const char *node)
{
    const char *dash = strrchr(node, '-');
    return dash ? number(dash + 1) : -1;
}

static int parse_one(const char *name, char node[64])
{
    static const char residual[] = "resid_post.";
    size_t length = strlen(name);
    if (length == 0 || length >= 64)
        return err_set(ERR_USAGE, "hook '%s': a name has 1 to 63 characters", name);
    if (strncmp(name, residual, sizeof residual - 1) != 0) {
        memcpy(node, name, length + 1);
        return ERR_OK;
    }
    int32_t layer = number(name + sizeof residual - 1);
    if (layer < 0)
        return err_set(ERR_USAGE,
                       "hook '%s': no layer; HINT: write resid_post.0, resid_post.1, ...", name);
    snprintf(node, 64, "l_out-%d", layer);
    return ERR_OK;
}

int llama_hooks_parse(const char *const *names, uint32_t count, struct llama_hooks *hooks)
{
    memset(hooks, 0, sizeof *hooks);
    if (count == 0)
        return err_set(ERR_USAGE, "no hook is named; HINT: set stream.hooks, as [resid_post.15]");
    for (uint32_t i = 0; i < count; i++) {
        int result = parse_one(names[i], hooks->hook[i].node);
        if (result != ERR_OK) return result;
        strcpy(hooks->hook[i].name, names[i]);
        hooks->hook[i].layer = llama_hooks_layer_of(hooks->hook[i].node);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(hooks->hook[i].node, hooks->hook[j].node) == 0)
                return err_set(ERR_USAGE, "hooks %s and %s are the same node, %s", names[j],
                               names[i], hooks->hook[i].node);
    }
    hooks->count = count;
    return ERR_OK;
}

int32_t llama_hooks_top_layer(const struct llama_hooks *hooks)
{
    int32_t top = -1;
    for (uint32_t i = 0; i < hooks->count; i++) {
        if (hooks->hook[i].layer < 0) return -1;
        if (hooks->hook[i].layer > top) top = hooks->hook[i].layer;
    }
    return top;
}
