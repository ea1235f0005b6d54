/* YAML's merge keys, `<<: *base` and `<<: [*a, *b]`. Used by config_yaml.c alone. */
#ifndef SLUICE_CONFIG_MERGE_H
#define SLUICE_CONFIG_MERGE_H

#include <stddef.h>
#include <yaml.h>

struct config_pairs {
    yaml_node_pair_t *pair; /* (count) */
    size_t count;
};

/* The pairs of a mapping and of what it merges: its own first, in their order and all of them, then
 * those of the merged mappings that no mapping before has (of a list the first comes first, and
 * each may merge others). The caller frees pairs->pair. ERR_USAGE: *where is the node that is
 * wrong, and err_text() says why, without the place; also what merges itself, or grows beyond all
 * measure. ERR_NOMEM. */
int config_merge(yaml_document_t *document, yaml_node_t *mapping, struct config_pairs *pairs,
                 yaml_node_t **where);

#endif
