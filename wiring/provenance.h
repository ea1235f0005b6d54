/*
 * Where an SAE comes from, as an export tells it: its stream, how it was trained, and the names that
 * a loader needs. A trainer tells it of itself, `sluice export` of a checkpoint; docs/EXPORTS.md lists
 * the keys. What is not known is null.
 */
#ifndef SLUICE_WIRING_PROVENANCE_H
#define SLUICE_WIRING_PROVENANCE_H

#include "proto/descriptor.h"
#include "sae/export/export.h"
#include "wiring/view.h"

#include <jansson.h>

/* Of the rows: stream, model, the hooks that the SAE sees, what was left out, and the build that
 * tells it. `dataset`: as the configuration has it; NULL or "": not told. */
void provenance_put(json_t *m, const struct descriptor *d, const struct view *view,
                    const char *dataset);

struct provenance_training { /* all borrowed */
    const struct sae_options *options;
    uint64_t rows, planned_rows, steps, skipped, shuffle_seed;
    uint64_t known_from_steps; /* changes before it are not known */
    uint32_t batch_rows, reuse;
    const json_t *settings, *changes; /* changes.h; NULL: none are known */
};
/* Of the training of SAE i. */
void provenance_put_training(json_t *m, const struct provenance_training *training, uint32_t i);

/* What of a stream's scaling and whitening an SAE sees: to evaluate it, and to be folded into its
 * exports. */
struct provenance_fold {
    float *scale;                /* (the view's width); owned */
    const struct whiten *whiten; /* NULL: rows are only scaled */
    struct whiten *of_some;      /* the same, where the view is of some hooks alone; owned */
};
/* `scale` (the stream's width) and `whiten` (NULL: none) are the stream's and must live as long.
 * ERR_NOMEM. The caller ends with provenance_fold_end(), also after a failure. */
int provenance_fold_begin(const struct view *view, const float *scale, const struct whiten *whiten,
                          struct provenance_fold *fold);
void provenance_fold_end(struct provenance_fold *fold);

/* What an export of such an SAE is told, but scale, whitening and metadata. `model_name`: as
 * provenance_put()'s dataset; names[ROW_MAX_HOOKS] is filled in the view's order, and must live as long as the
 * options, as must the descriptor. */
struct export_options provenance_export(const struct descriptor *d, const struct view *view,
                                        enum sae_arch arch, const char *model_name,
                                        const char **names);

#endif
