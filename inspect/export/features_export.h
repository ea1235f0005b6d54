/*
 * A feature index in the layouts of other tools, which docs/EXPLORE.md leads into: one file for each
 * layout, and a line in the table.
 *
 * What an index does not have is not made up: lists that have no place for it stay empty. A gap of a
 * context (sheet.h) is the token WORDS_GAP with value 0 wherever a layout tells tokens as texts, so
 * that what stood beside it is never joined.
 */
#ifndef SLUICE_INSPECT_EXPORT_FEATURES_EXPORT_H
#define SLUICE_INSPECT_EXPORT_FEATURES_EXPORT_H

#include "inspect/index.h"
#include "inspect/labels.h"

enum { FEATURES_LAYOUTS = 4, FEATURES_NAME_BYTES = 256 };

struct features_export { /* all borrowed */
    const struct index *index;
    const struct labels *labels;
    const uint32_t *features; /* (count) wanted, ascending */
    size_t count;
    const char *model; /* as the other tool calls it */
    const char *set;   /* what it is to call the SAE */
    int layer;         /* -1: as the hooks' names tell */
    int with_pages;    /* circuit-tracer: a file for each feature, too, for its local server */
    /* circuit-tracer has a file for all layers: what goes into it, an object that the caller makes,
     * and decrefs after the last. */
    json_t *layers;
    int is_last; /* no other index goes into the folder */
    /* delphi: pairs of a file at most, where a feature has no more; 0: 4 Mi. */
    uint64_t split_pairs;
    /* Now and then. May be NULL. */
    void (*progress)(void *arg, uint64_t done, uint64_t all);
    void *arg;
    uint64_t written; /* out: features that have examples */
};

/* One line each. `write` fills the folder, which is there and empty, or holds what it wrote of another
 * layer where `takes_several`: nothing is synced. Errors of index_sheet(), and ERR_USAGE: the layout
 * has no place for this index; ERR_NOMEM, ERR_NOSPC, ERR_IO. */
struct features_layout {
    const char *name;
    int takes_several;
    int (*write)(struct features_export *x, const char *folder);
};
extern const struct features_layout features_layouts[FEATURES_LAYOUTS];
/* NULL: there is none of that name. */
const struct features_layout *features_layout(const char *name);

/* The layer that all hooks of the index are of, or the one that was told. ERR_USAGE: several, or the
 * names don't tell. */
int features_export_layer(const struct features_export *x, unsigned *layer);
/* What delphi calls the hook, as sparsify does: layers.15; else the hook's own name, without
 * slashes. out[FEATURES_NAME_BYTES]. */
void features_export_module(const struct index_facts *facts, char *out);

/* `take` for each wanted feature's sheet, in order, until one fails. */
int features_export_each(struct features_export *x, int (*take)(void *arg, const json_t *sheet),
                         void *arg);

int features_export_sae_dashboard(struct features_export *x, const char *folder);
int features_export_neuronpedia(struct features_export *x, const char *folder);
int features_export_delphi(struct features_export *x, const char *folder);
int features_export_circuit_tracer(struct features_export *x, const char *folder);

#endif
