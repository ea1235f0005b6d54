#include "inspect/export/features_export.h"

#include "base/err.h"
#include "sae/export/hook_names.h"

#include <stdio.h>
#include <string.h>

const struct features_layout features_layouts[FEATURES_LAYOUTS] = {
    {"sae-dashboard", 0, features_export_sae_dashboard},
    {"neuronpedia", 0, features_export_neuronpedia},
    {"delphi", 1, features_export_delphi},
    {"circuit-tracer", 1, features_export_circuit_tracer},
};

const struct features_layout *features_layout(const char *name)
{
    for (int i = 0; i < FEATURES_LAYOUTS; i++)
        if (strcmp(features_layouts[i].name, name) == 0) return &features_layouts[i];
    return NULL;
}

int features_export_layer(const struct features_export *x, unsigned *layer)
{
    const struct index_facts *facts = &x->index->facts;
    char within[HOOK_NAME_BYTES];
    unsigned of;
    if (x->layer >= 0) {
        *layer = (unsigned)x->layer;
        return ERR_OK;
    }
    for (uint32_t h = 0; h < facts->hooks; h++) {
        if (!hook_name_in_layer(facts->hook[h], &of, within))
            return err_set(ERR_USAGE, "the hook %s does not name a layer; HINT: --layer N",
                           facts->hook[h]);
        if (h > 0 && of != *layer)
            return err_set(
                ERR_USAGE,
                "this SAE's hooks are of several layers (%s, %s), and the layout has one "
                "number; HINT: --layer N, of the layer to show it at",
                facts->hook[0], facts->hook[h]);
        *layer = of;
    }
    return ERR_OK;
}

void features_export_module(const struct index_facts *facts, char *out)
{
    unsigned layer;
    if (hook_name_is_layer(facts->hook[0], &layer))
        snprintf(out, FEATURES_NAME_BYTES, "layers.%u", layer);
    else
        snprintf(out, FEATURES_NAME_BYTES, "%s", facts->hook[0][0] ? facts->hook[0] : "hook");
    for (char *c = out; *c; c++)
        if (*c == '/' || (c == out && *c == '.')) *c = '_';
}

int features_export_each(struct features_export *x, int (*take)(void *arg, const json_t *sheet),
                         void *arg)
{
    int result = ERR_OK;
    for (size_t i = 0; i < x->count && result == ERR_OK; i++) {
        json_t *sheet;
        result = index_sheet(x->index, x->features[i], &sheet);
        if (result != ERR_OK) break;
        result = take(arg, sheet);
        json_decref(sheet);
        if (x->progress) x->progress(x->arg, i + 1, x->count);
    }
    return result;
}
