/*
 * An SAE's weights alone, opened to be read: no gradients, no moments. For exports, and for whoever
 * looks at features or steers by them.
 *
 * Rows are scaled, as in training (and whitened, where it was trained so): the stream's scale is in
 * the checkpoint's descriptor, not here.
 */
#ifndef SLUICE_SAE_MODEL_H
#define SLUICE_SAE_MODEL_H

#include "sae/encoder.h"

struct checkpoint;

struct model {
    struct encoder *encoder; /* encoder_pairs(), encoder_decode() */
    uint64_t steps, skipped; /* of its training */
};

/* Take the SAE called `name` ("sae.0") out of a checkpoint, which may be closed afterwards; `pool`
 * is lent. Values that are not finite are damage. ERR_NOTFOUND: no SAE of that name; ERR_FORMAT,
 * ERR_VERSION; ERR_STATE: `count` has no features; ERR_NOMEM. On success the caller frees with
 * model_close(). */
int model_open(const struct checkpoint *checkpoint, const char *name, struct pool *pool,
               struct model *model);
void model_close(struct model *model);

struct export_options;
/* Fold what the options tell of scale and whitening into the weights, as an export does: it takes raw
 * rows from then on. Features, and which are active, stay as they are; a feature's value becomes
 * that of its export. ERR_NOMEM; the model is then as it was. */
int model_fold(struct model *model, const struct export_options *options);

/* What an export takes. */
struct sae_view model_view(const struct model *model);

#endif
