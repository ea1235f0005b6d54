/* Weights for raw input, with the scale folded in (export.h has the formulas). For the exports. */
#ifndef SLUICE_SAE_EXPORT_FOLD_H
#define SLUICE_SAE_EXPORT_FOLD_H

#include "sae/export/export.h"

#include <jansson.h>

struct folded {
    uint32_t width, width_in, features; /* D of what comes out, of what the encoder sees; F */
    uint32_t layer_features;            /* so many see the next width_in values of what goes in; F
                                         * but for a clt */
    float *w_enc;                       /* (F, width_in) */
    float *w_dec;                       /* (F, width) */
    float *b_enc;                       /* (F) */
    float *b_dec;                       /* (width) */
    float *w_skip;                      /* (width, width_in), or NULL */
    float *threshold;                   /* (F), or NULL */
    float *r_mag, *b_mag;               /* (F), or NULL */
    int centred;                        /* the encoder sees x - b_dec */
};

/* (rows, columns) transposed; NULL: no memory. The caller frees it. */
float *fold_transposed(const float *matrix, uint32_t rows, uint32_t columns);
/* Columns [at, at + n) of a (rows, columns) matrix; as fold_transposed(). */
float *fold_columns(const float *matrix, uint32_t rows, uint32_t columns, uint32_t at, uint32_t n);

/* ERR_STATE: no weights; ERR_NOMEM. fold_free() frees. */
int fold_weights(struct sae_view sae, const struct export_options *options, struct folded *folded);
void fold_free(struct folded *folded);

/* A text in quotation marks, as JSON and Python read it; malloc'ed. NULL: no memory. */
char *fold_quoted(const char *text);
/* Put into `object` (NULL: nothing is done) what the options tell beside, where it has no such
 * key. */
void fold_metadata(json_t *object, const struct export_options *options);
/* Write a JSON object, which this consumes (NULL: there was no memory for it). ERR_NOMEM, ERR_IO,
 * ERR_NOSPC. */
int fold_write_json(const char *path, json_t *object);

#endif
