/* Transcoders of all layers of a model, as circuit-tracer takes them from one folder. */
#ifndef SLUICE_CLI_LAYER_SET_H
#define SLUICE_CLI_LAYER_SET_H

#include "config/config.h"
#include "sae/export/export.h"

struct layer_set { /* all zeros: empty */
    uint32_t count;
    struct export_layer first; /* what all are to be like */
    uint32_t features, width, skip;
    unsigned layer[CONFIG_MAX_SAES];
};

/* Another one, called `name`. ERR_USAGE: its hooks name no layer, its layer is there already, or it
 * has other hooks within the layer, another shape or a skip where others have none. */
int layer_set_add(struct layer_set *set, const char *name, const struct sae_options *o,
                  const struct export_options *options);
/* Whether none is missing, from layer 0 on. ERR_USAGE names the first that is. */
int layer_set_check(const struct layer_set *set);

#endif
