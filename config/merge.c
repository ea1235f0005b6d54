#include "config/merge.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 16,
    VISITS_MAX = 1000,     /* of mappings: a list may name one twice, and that its own twice ... */
    MERGED_PAIRS_MAX = 512 /* no section knows so many keys */
};

struct merge {
    yaml_document_t *document;
    struct config_pairs *pairs;
    size_t room, visits;
    yaml_node_t *where;
};

static int wrong(struct merge *m, yaml_node_t *where, const char *why)
{
    m->where = where;
    return err_set(ERR_USAGE, "%s", why);
}

static const char *key_text(const struct merge *m, int key)
{
    const yaml_node_t *node = yaml_document_get_node(m->document, key);
    if (!node || node->type != YAML_SCALAR_NODE) return NULL;
    return (const char *)node->data.scalar.value;
}

static int is_merge_key(const struct merge *m, int key)
{
    const yaml_node_t *node = yaml_document_get_node(m->document, key);
    const char *text = key_text(m, key);
    return text && strcmp(text, "<<") == 0 && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* Among the first `count` pairs. */
static int is_known(const struct merge *m, int key, size_t from, size_t count)
{
    const char *text = key_text(m, key);
    for (size_t i = from; i < count && text; i++) {
        const char *other = key_text(m, m->pairs->pair[i].key);
        if (other && strcmp(other, text) == 0) return 1;
    }
    return 0;
}

static int push(struct merge *m, const yaml_node_pair_t *pair)
{
    if (m->pairs->count == m->room) {
        size_t room = m->room ? 2 * m->room : 32;
        yaml_node_pair_t *more = realloc(m->pairs->pair, room * sizeof *more);
        if (!more) return err_set(ERR_NOMEM, "no memory for the configuration");
        m->pairs->pair = more;
        m->room = room;
    }
    m->pairs->pair[m->pairs->count++] = *pair;
    return ERR_OK;
}

/* A mapping's own pairs; of a merged one those that are new. */
static int add_own(struct merge *m, yaml_node_t *node, int depth)
{
    size_t before = m->pairs->count;
    int result = ERR_OK;
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top && result == ERR_OK; p++) {
        if (is_merge_key(m, p->key)) continue;
        if (depth > 0 && is_known(m, p->key, before, m->pairs->count))
            return wrong(m, yaml_document_get_node(m->document, p->key),
                         "the mapping that is merged gives a key twice");
        if (depth > 0 && is_known(m, p->key, 0, before)) continue;
        if (depth > 0 && m->pairs->count >= MERGED_PAIRS_MAX)
            return wrong(m, node, "too many keys are merged");
        result = push(m, p);
    }
    return result;
}

static int add(struct merge *m, yaml_node_t *node, int depth);

static int add_merged(struct merge *m, yaml_node_t *key, yaml_node_t *value, int depth)
{
    int result = ERR_OK;
    if (value && value->type == YAML_MAPPING_NODE) return add(m, value, depth + 1);
    if (!value || value->type != YAML_SEQUENCE_NODE)
        return wrong(m, key, "'<<' takes a mapping or a list of mappings: <<: *name");
    for (yaml_node_item_t *i = value->data.sequence.items.start;
         i < value->data.sequence.items.top && result == ERR_OK; i++) {
        yaml_node_t *item = yaml_document_get_node(m->document, *i);
        if (!item || item->type != YAML_MAPPING_NODE)
            return wrong(m, key, "'<<' takes a mapping or a list of mappings: <<: [*a, *b]");
        result = add(m, item, depth + 1);
    }
    return result;
}

static int add(struct merge *m, yaml_node_t *node, int depth)
{
    if (depth > DEPTH_MAX || ++m->visits > VISITS_MAX)
        return wrong(m, node, "'<<' merges a mapping into itself, or too many into each other");
    int result = add_own(m, node, depth), merges = 0;
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top && result == ERR_OK; p++) {
        if (!is_merge_key(m, p->key)) continue;
        yaml_node_t *key = yaml_document_get_node(m->document, p->key);
        if (merges++) return wrong(m, key, "'<<' is given twice; HINT: <<: [*a, *b]");
        result = add_merged(m, key, yaml_document_get_node(m->document, p->value), depth);
    }
    return result;
}

int config_merge(yaml_document_t *document, yaml_node_t *mapping, struct config_pairs *pairs,
                 yaml_node_t **where)
{
    struct merge m = {.document = document, .pairs = pairs};
    *pairs = (struct config_pairs){0};
    int result = add(&m, mapping, 0);
    *where = m.where ? m.where : mapping;
    return result;
}
