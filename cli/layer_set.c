#include "cli/layer_set.h"

#include "base/err.h"

#include <string.h>

static int has(const struct layer_set *s, unsigned layer)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->layer[i] == layer) return 1;
    return 0;
}

static int is_like_the_first(const struct layer_set *s, const struct sae_options *o,
                             const struct export_layer *layer)
{
    return strcmp(layer->in, s->first.in) == 0 && strcmp(layer->out, s->first.out) == 0 &&
           o->features == s->features && o->width == s->width && o->skip == s->skip;
}

int layer_set_add(struct layer_set *s, const char *name, const struct sae_options *o,
                  const struct export_options *options)
{
    struct export_layer layer;
    int result = export_circuit_tracer_layer(o, options, &layer);
    if (result != ERR_OK) return err_set(result, "%s: %s", name, err_text());
    if (s->count == 0) {
        s->first = layer;
        s->features = o->features;
        s->width = o->width;
        s->skip = o->skip;
    }
    if (has(s, layer.layer))
        return err_set(
            ERR_USAGE,
            "%s is another transcoder of layer %u, and circuit-tracer takes one of each; "
            "HINT: say which with --sae NAME,NAME,...",
            name, layer.layer);
    if (!is_like_the_first(s, o, &layer))
        return err_set(ERR_USAGE,
                       "%s, of layer %u (%s to %s, %u features, %u values%s), is not like that of "
                       "layer %u (%s to %s, %u features, %u values%s), as circuit-tracer wants it; "
                       "HINT: --sae NAME,NAME,...",
                       name, layer.layer, layer.in, layer.out, o->features, o->width,
                       o->skip ? ", a skip" : "", s->first.layer, s->first.in, s->first.out,
                       s->features, s->width, s->skip ? ", a skip" : "");
    s->layer[s->count++] = layer.layer;
    return ERR_OK;
}

int layer_set_check(const struct layer_set *s)
{
    for (unsigned layer = 0; layer < s->count; layer++)
        if (!has(s, layer))
            return err_set(
                ERR_USAGE,
                "circuit-tracer wants a transcoder of every layer from 0 on, and there is "
                "none of layer %u; HINT: --to hooks",
                layer);
    return ERR_OK;
}
