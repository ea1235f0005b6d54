#include "sae/export/hook_names.h"

#include <stdio.h>
#include <string.h>

/* How a point of a layer is written; TransformerLens's is blocks.N.hook_POINT. */
static const struct {
    const char *format, *point;
} forms[] = {
    {"resid_post.%u%n", "resid_post"},
    {"l_out-%u%n", "resid_post"},
    {"model.layers.%u%n", "resid_post"},
    {"layers.%u%n", "resid_post"},
    {"transformer.h.%u%n", "resid_post"},
    {"gpt_neox.layers.%u%n", "resid_post"},
    {"resid_pre.%u%n", "resid_pre"},
    {"resid_mid.%u%n", "resid_mid"},
    {"mlp_out.%u%n", "mlp_out"},
    {"attn_out.%u%n", "attn_out"},
    {"model.layers.%u.mlp%n", "mlp_out"},
    {"model.layers.%u.self_attn%n", "attn_out"},
    {"blocks.%u.hook_resid_post%n", "resid_post"},
    {"blocks.%u.hook_resid_pre%n", "resid_pre"},
    {"blocks.%u.hook_resid_mid%n", "resid_mid"},
    {"blocks.%u.hook_mlp_out%n", "mlp_out"},
    {"blocks.%u.hook_attn_out%n", "attn_out"},
};

/* The point of the layer; NULL: it is none of these. */
static const char *point_of(const char *name, unsigned *layer)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        int end = 0;
        if (sscanf(name, forms[i].format, layer, &end) == 1 && end > 0 && !name[end])
            return forms[i].point;
    }
    return NULL;
}

int hook_name_of_transformer_lens(const char *name, char *out)
{
    unsigned layer;
    const char *point = point_of(name, &layer);
    if (point) snprintf(out, HOOK_NAME_BYTES, "blocks.%u.hook_%s", layer, point);
    return point != NULL;
}

int hook_name_in_layer(const char *name, unsigned *layer, char *out)
{
    static const char *const mlp[] = {"ffn_norm-%u%n", "ffn_out-%u%n"};
    char translated[HOOK_NAME_BYTES];
    int end = 0;
    for (int i = 0; name && i < 2; i++)
        if (sscanf(name, mlp[i], layer, &end) == 1 && end > 0 && !name[end]) {
            snprintf(out, HOOK_NAME_BYTES, "mlp.hook_%s", i ? "out" : "in");
            return 1;
        }
    if (name && hook_name_of_transformer_lens(name, translated)) name = translated;
    end = 0;
    if (!name || sscanf(name, "blocks.%u.%n", layer, &end) != 1 || end == 0 || !name[end]) return 0;
    snprintf(out, HOOK_NAME_BYTES, "%s", name + end);
    return 1;
}

int hook_name_is_layer(const char *name, unsigned *layer)
{
    const char *point = point_of(name, layer);
    return point && strcmp(point, "resid_post") == 0;
}
