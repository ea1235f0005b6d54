#include "engine/llama_hooks.h"

#include "base/err.h"
#include "engine/fingerprint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESID_POST = -1 }; /* beside enum llama_hook_point: a node whose name is known */

struct spelling {
    const char *text;
    int point;
};

static const struct spelling ours[] = {{"resid_post", RESID_POST},
                                       {"resid_pre", POINT_RESID_PRE},
                                       {"resid_mid", POINT_RESID_MID},
                                       {"attn_out", POINT_ATTN_OUT},
                                       {"mlp_out", POINT_MLP_OUT}};
static const struct spelling modules[] = {{"", RESID_POST},
                                          {".mlp", POINT_MLP_MODULE},
                                          {".self_attn", POINT_ATTN_MODULE},
                                          {".attn", POINT_ATTN_MODULE},
                                          {".attention", POINT_ATTN_MODULE}};
/* What Hugging Face's models call their list of layers, whatever comes before. */
static const char *const lists[] = {"layers", "h", "blocks"};

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* A decimal number below a million that is all of text[length]; -1 otherwise. */
static int32_t number(const char *text, size_t length)
{
    if (length == 0 || length > 6 || strspn(text, "0123456789") < length) return -1;
    return (int32_t)strtol(text, NULL, 10);
}

int32_t llama_hooks_layer_of(const char *node)
{
    const char *dash = strrchr(node, '-');
    return dash ? number(dash + 1, strlen(dash + 1)) : -1;
}

int llama_hooks_end(const struct llama_hooks *hooks, uint32_t h, const char *node)
{
    return hooks->hook[h].point != POINT_NODE && strncmp(node, "l_out-", 6) == 0 &&
           llama_hooks_layer_of(node) == hooks->hook[h].layer;
}

static int find(const struct spelling *table, size_t count, const char *text, size_t length,
                int *point)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(table[i].text) == length && memcmp(table[i].text, text, length) == 0) {
            *point = table[i].point;
            return 1;
        }
    return 0;
}

/* resid_post.15. *layer is -1 where the name is one of ours and the number is missing. */
static int is_ours(const char *name, int *point, int32_t *layer)
{
    size_t word = strcspn(name, ".");
    if (!find(ours, COUNT(ours), name, word, point)) return 0;
    *layer = name[word] == '.' ? number(name + word + 1, strlen(name + word + 1)) : -1;
    return 1;
}

/* blocks.15.hook_resid_post */
static int is_transformer_lens(const char *name, int *point, int32_t *layer)
{
    static const char head[] = "blocks.", hook[] = ".hook_";
    if (strncmp(name, head, sizeof head - 1) != 0) return 0;
    const char *digits = name + sizeof head - 1, *rest = strstr(digits, hook);
    if (!rest) return 0;
    *layer = number(digits, (size_t)(rest - digits));
    rest += sizeof hook - 1;
    return *layer >= 0 && find(ours, COUNT(ours), rest, strlen(rest), point);
}

/* model.layers.15, transformer.h.15.mlp */
static int is_hugging_face(const char *name, int *point, int32_t *layer)
{
    for (const char *word = name; *word; word += strcspn(word, "."), word += *word == '.')
        for (size_t i = 0; i < COUNT(lists); i++) {
            size_t length = strlen(lists[i]);
            if (strncmp(word, lists[i], length) != 0 || word[length] != '.') continue;
            const char *digits = word + length + 1;
            size_t n = strspn(digits, "0123456789");
            *layer = number(digits, n);
            return *layer >= 0 &&
                   find(modules, COUNT(modules), digits + n, strlen(digits + n), point);
        }
    return 0;
}

static int parse_one(const char *name, enum llama_hook_point *point, char node[64], int32_t *layer)
{
    size_t length = strlen(name);
    int found = POINT_NODE;
    node[0] = '\0';
    if (length == 0 || length >= 64)
        return err_set(ERR_USAGE, "hook '%s': a name has 1 to 63 characters", name);
    if (!is_ours(name, &found, layer) && !is_transformer_lens(name, &found, layer) &&
        !is_hugging_face(name, &found, layer)) {
        memcpy(node, name, length + 1);
        *point = POINT_NODE;
        *layer = llama_hooks_layer_of(node);
        return ERR_OK;
    }
    if (*layer < 0)
        return err_set(ERR_USAGE, "hook '%s': no layer; HINT: write %.*s.0, %.*s.1, ...", name,
                       (int)strcspn(name, "."), name, (int)strcspn(name, "."), name);
    *point = found == RESID_POST ? POINT_NODE : (enum llama_hook_point)found;
    if (found == POINT_RESID_PRE && *layer > 0) {
        *point = POINT_NODE;
        (*layer)--;
    }
    if (*point == POINT_NODE) snprintf(node, 64, "l_out-%d", *layer);
    return ERR_OK;
}

int llama_hooks_parse(const char *const *names, uint32_t count, struct llama_hooks *hooks)
{
    memset(hooks, 0, sizeof *hooks);
    if (count == 0)
        return err_set(ERR_USAGE, "no hook is named; HINT: set stream.hooks, as [resid_post.15]");
    for (uint32_t i = 0; i < count; i++) {
        int result =
            parse_one(names[i], &hooks->hook[i].point, hooks->hook[i].node, &hooks->hook[i].layer);
        if (result != ERR_OK) return result;
        strcpy(hooks->hook[i].name, names[i]);
        for (uint32_t j = 0; j < i; j++)
            if (hooks->hook[i].point == hooks->hook[j].point &&
                hooks->hook[i].layer == hooks->hook[j].layer &&
                strcmp(hooks->hook[i].node, hooks->hook[j].node) == 0)
                return err_set(ERR_USAGE, "hooks %s and %s are the same node of the model",
                               names[j], names[i]);
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

uint64_t llama_hooks_fingerprint(const struct llama_hooks *hooks)
{
    uint64_t hash = hooks->count;
    for (uint32_t i = 0; i < hooks->count; i++) {
        hash = fingerprint_add_u64(hash, (uint64_t)hooks->hook[i].point);
        hash = fingerprint_add_u64(hash, (uint64_t)hooks->hook[i].layer);
        if (hooks->hook[i].point == POINT_NODE)
            hash = fingerprint_add_text(hash, hooks->hook[i].node);
    }
    return hash;
}
