/* sparsify: TopK of an encoder that sees x - b_dec, or a transcoder of one width. */
#include "sae/import/import.h"

#include "base/err.h"

#include <string.h>

static int is_set(const struct import *from, const char *key)
{
    return json_is_true(json_object_get(from->cfg, key));
}

/* 0 or absent: d_in times expansion_factor. */
static int features_of(const struct import *from, uint32_t width, uint32_t *features)
{
    uint32_t factor;
    if (json_integer_value(json_object_get(from->cfg, "num_latents")) > 0)
        return import_number(from, "num_latents", SAE_MAX_FEATURES, features);
    int result = import_number(from, "expansion_factor", SAE_MAX_FEATURES / width + 1, &factor);
    *features = width * factor;
    return result;
}

int import_sparsify_options(struct import *from)
{
    struct sae_options *o = &from->options;
    uint32_t width;
    int transcodes = is_set(from, "transcode");
    int result = import_only(from, "activation", "topk", "groupmax is another architecture");
    if (result == ERR_OK && is_set(from, "signed"))
        result = err_set(ERR_VERSION, "%s/cfg.json: signed features are not read", from->path);
    if (result == ERR_OK && !transcodes && is_set(from, "skip_connection"))
        result = err_set(ERR_VERSION, "%s/cfg.json: skip_connection is read of a transcoder alone",
                         from->path);
    if (result == ERR_OK) result = import_number(from, "d_in", SAE_MAX_WIDTH, &width);
    if (result != ERR_OK) return result;
    sae_options_default(transcodes ? SAE_TRANSCODER : SAE_TOPK, o);
    o->activation = SAE_TOPK;
    o->width = transcodes ? 2 * width : width;
    o->width_in = transcodes ? width : 0;
    o->skip = (uint32_t)is_set(from, "skip_connection");
    result = features_of(from, width, &o->features);
    if (result == ERR_OK) result = import_number(from, "k", o->features, &o->k);
    if (result == ERR_OK) result = import_has(from, "encoder.weight", o->features, width, 0);
    return result == ERR_OK ? import_has(from, "W_dec", o->features, width, 0) : result;
}

int import_sparsify_weights(const struct import *from, struct encoder *e)
{
    int result = import_tensor(from, "encoder.weight", e->features, e->width_in, 0, e->w.w_enc);
    if (result == ERR_OK)
        result = import_tensor(from, "W_dec", e->features, e->width, 0, e->w.w_dec);
    if (result == ERR_OK)
        result = import_tensor(from, "encoder.bias", e->features, 0, 0, e->w.b_enc);
    if (result == ERR_OK) result = import_tensor(from, "b_dec", e->width, 0, 0, e->w.b_dec);
    if (result == ERR_OK && e->w.w_skip)
        result = import_tensor(from, "W_skip", e->width, e->width_in, 0, e->w.w_skip);
    return result;
}
