/* Weights for raw input, with the scale folded in (export.h has the formulas). For the exports. */
#ifndef SLUICE_SAE_FOLD_H
#define SLUICE_SAE_FOLD_H

#include "sae/export.h"

#include <jansson.h>

struct folded {
    uint32_t width, features;
    float *w_enc, *w_dec; /* (F, D) */
    float *b_enc;         /* (F) */
    float *b_dec;         /* (D) */
    float *threshold;     /* (F), or NULL */
    float *r_mag, *b_mag; /* (F), or NULL */
    int centred;          /* the encoder sees x - b_dec */
};

/* ERR_STATE: no weights; ERR_NOMEM. fold_free() frees. */
int fold_weights(const struct sae *sae, const struct export_options *options,
                 struct folded *folded);
void fold_free(struct folded *folded);

/* Write a JSON object, which this consumes (NULL: there was no memory for it). ERR_NOMEM, ERR_IO,
 * ERR_NOSPC. */
int fold_write_json(const char *path, json_t *object);

#endif
