/*
 * SAEs that were published, opened to be read: folders as SAELens (version 6) and sparsify save
 * them, and every one of our own exports (docs/EXPORTS.md). Rows are raw: nothing is scaled.
 *
 * What a folder says is not believed: unknown architectures, normalizations that need data, missing
 * tensors, wrong shapes and values that are not finite are errors that name file and key.
 */
#ifndef SLUICE_SAE_IMPORT_IMPORT_H
#define SLUICE_SAE_IMPORT_IMPORT_H

#include "sae/model.h"

#include <jansson.h>

enum { IMPORT_TEXT_BYTES = 256, IMPORT_MOST_CONTEXT = 1 << 20 };

struct import_facts { /* "" where the folder does not say */
    char layout[16];  /* "saelens", "sparsify", "hooks" */
    char model_name[IMPORT_TEXT_BYTES];
    char hook_name[IMPORT_TEXT_BYTES]; /* in the words of whoever saved it; of a crosscoder and a
                                        * clt all of them, divided by commas; so below */
    char hook_name_out[IMPORT_TEXT_BYTES];
    uint32_t context_tokens; /* of the rows that it was trained on; 0: it does not say */
    int prepends_bos;        /* whether those began with BOS; -1: it does not say */
};

/* `folder` holds cfg.json and sae_weights.safetensors, sae.safetensors or weights.safetensors, or
 * nothing of that but one folder that does (sparsify). What is trained by a whole batch goes by its
 * thresholds here; options->k is then 1 where the folder tells none. `pool` is lent. ERR_NOTFOUND: no such files; ERR_FORMAT; ERR_VERSION: a
 * kind that is not read; ERR_LIMIT (a header beyond its bound), ERR_NOMEM, ERR_IO. On success the
 * caller ends with model_close(). Blocks on the disk. */
int import_open(const char *folder, struct pool *pool, struct model *model,
                struct import_facts *facts);

/* For the files of this folder. */

struct safetensors;

struct import {       /* what a reader works on */
    const char *path; /* of the folder */
    json_t *cfg;
    struct safetensors *weights;
    struct sae_options options; /* the reader completes it; defaults of an architecture */
};

/* A whole number of cfg.json from 1 to `most`; a text out of a list, or a refusal that names both.
 * ERR_FORMAT, ERR_VERSION. */
int import_number(const struct import *from, const char *key, uint32_t most, uint32_t *out);
/* ERR_VERSION where the key is there and is not `wanted` ("none"); `hint` says what to do. */
int import_only(const struct import *from, const char *key, const char *wanted, const char *hint);
/* Whether there is a tensor of these dimensions (as below). A reader asks before an encoder is made,
 * as large as cfg.json says. ERR_FORMAT. */
int import_has(const struct import *from, const char *name, uint32_t rows, uint32_t columns,
               int transposed);
/* A tensor of these dimensions (columns 0: a vector) into out, as float32, row by row; transposed:
 * the file has (columns, rows). ERR_FORMAT: missing, other shape, not finite; ERR_VERSION: its
 * dtype. */
int import_tensor(const struct import *from, const char *name, uint32_t rows, uint32_t columns,
                  int transposed, float *out);

/* A tensor of thresholds into out (features), unless that is NULL: of JumpReLU, which is a ReLU
 * first, so below 0 they are 0. ERR_FORMAT, ERR_VERSION. */
int import_thresholds(const struct import *from, const char *name, uint32_t features, float *out);

/* Whether the encoder sees x - b_dec is what `key` says. ERR_VERSION: of a transcoder, whose b_dec
 * is in the units of what comes out. */
int import_subtracts(const struct import *from, const char *key, struct encoder *e);

/* Complete from->options; then, once there is an encoder of these, fill it. */
int import_saelens_options(struct import *from);
int import_saelens_weights(const struct import *from, struct encoder *e);
int import_sparsify_options(struct import *from);
int import_sparsify_weights(const struct import *from, struct encoder *e);
int import_hooks_options(struct import *from);
int import_hooks_weights(const struct import *from, struct encoder *e);

#endif
