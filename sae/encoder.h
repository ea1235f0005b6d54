/*
 * What turns rows into features and features into rows: weights, their norms, thresholds, and what
 * encoding needs beside them. No gradients, no moments. The state of a training contains one
 * (sae/dictionary.h); alone it serves whoever only reads an SAE:
 *
 *   encoder_new(&options, &e);
 *   fill e->w.w_enc, e->w.b_enc, ... and, for batchtopk, batchtopk and matryoshka, e->threshold
 *   encoder_derive(e);
 *   encoder_pairs(e, x, rows, &pairs); encoder_decode(e, x, &pairs, out);
 *   pairs_free(&pairs); encoder_free(e);
 *
 * Rows are scaled, as in training. One thread at a time uses an encoder; it uses all of its pool's.
 */
#ifndef SLUICE_SAE_ENCODER_H
#define SLUICE_SAE_ENCODER_H

#include "sae/arch/arch.h"
#include "sae/cpu/collector.h"
#include "sae/cpu/exact.h"
#include "sae/cpu/lists.h"
#include "sae/cpu/screen.h"

struct encode_scratch { /* of one thread */
    float *block;       /* (BLOCK_ROWS, BLOCK_FEATURES) */
    struct collector active;
    struct screen_rows screened;
    struct exact exact; /* of `active` */
};

struct encoder {
    const struct arch *arch;
    const struct kernels *kernels;
    struct pool *pool;
    const struct sae_options *options; /* the SAE's, or own_options */
    struct arch_room room;
    uint32_t width, features; /* D: of what comes out, F */
    uint32_t width_in;        /* D_in: of what the encoder sees; D but for a transcoder or clt */
    uint32_t layers;          /* clt: a feature sees its own layer's part of the input, and writes
                               * its own and later ones' parts of D; others: 1 */
    uint32_t layer_features;  /* F / layers */
    uint32_t row_width;       /* from one row of x to the next */
    uint32_t target_at;       /* where in a row begins what is to come out */
    uint32_t hooks;           /* by_hook: parts of a direction, each with a norm; 1 elsewhere */
    int subtracts; /* the encoder sees x - b_dec; may be changed before encoder_derive() */

    struct parameters w;
    float *norm;      /* (F): of the decoder's directions, kept up to date */
    float *hook_norm; /* (F, hooks): by_hook: of their parts; NULL elsewhere */
    float *threshold; /* (F): what a feature must exceed: of a WAY_BATCH an array of its own, of
                       * jumprelu w's; NULL: 0 */

    /* Of the rows at hand. */
    uint32_t rows, block_rows;
    const float *x;     /* (rows, row_width) */
    float *centred;     /* (B, D): x - b_dec, x here and below: what is to come out */
    const float *input; /* (rows, layers D_in): what the encoder sees, input_stride apart */
    uint32_t input_stride;
    double *row_l1, *row_l0; /* (B) */
    struct row_lists active;
    struct screen screen;           /* room.keep: which features may be among the largest */
    struct encode_scratch *scratch; /* (threads) */

    struct sae_options own_options; /* of encoder_new() alone, here and below */
    struct arena own, batch;
    int owns_pool;
};

/* Which features are active in each of some rows, and how much. */
struct pairs {
    uint64_t rows, count;
    uint64_t *start;   /* (rows + 1): where a row's pairs begin; start[rows] = count */
    uint32_t *feature; /* (count), ascending within a row */
    float *value;      /* (count), > 0 (NaN where the input or weights are) */
};

/* An encoder alone, weights 0. Of the options it needs arch, activation, width, width_in, hooks,
 * skip, features, k, batch_rows (rows that are taken at once; others come in several turns), and
 * threads or pool. ERR_USAGE as sae_new(), ERR_NOMEM. encoder_free() frees. */
int encoder_new(const struct sae_options *options, struct encoder **encoder);
void encoder_free(struct encoder *e);

/* What is computed from weights: norms (exactly 1 where directions keep norm 1). After weights were
 * set from outside. */
void encoder_derive(struct encoder *e);
/* norm, and by_hook its parts, of feature f's direction. */
void encoder_norm(struct encoder *e, uint32_t f);

/* The active features of x (rows, row_width), any number: exactly those, and the values, that
 * sae_forward() gives as dense f, bit for bit. So topk keeps each row's K largest; batchtopk and
 * matryoshka go by their learned thresholds, without a batch, as exports do; the others by their
 * own rule. ERR_NOMEM. The caller frees with pairs_free(). */
int encoder_pairs(struct encoder *e, const float *x, uint64_t rows, struct pairs *pairs);
void pairs_free(struct pairs *pairs);
/* The value of a feature in a row; 0 where it is not active. */
float pairs_value(const struct pairs *pairs, uint64_t row, uint32_t feature);

/* out (pairs->rows, sae_out_width()) = b_dec + the features' part (+ W_skip x; x is read only where
 * there is a skip). Of topk sae_forward()'s own bits; of the others, whose sae_forward() sums with
 * BLAS, another order of the same sum. */
void encoder_decode(struct encoder *e, const float *x, const struct pairs *pairs, float *out);

/* Its weights, to read; they live as long. */
struct sae_parameters encoder_parameters(const struct encoder *e);

/* For the files of this folder. */

/* Where in the input the values begin that feature f sees; where in D those that it writes. */
static inline uint32_t encoder_input_at(const struct encoder *e, uint32_t f)
{
    return f / e->layer_features * e->width_in;
}

static inline uint32_t encoder_output_at(const struct encoder *e, uint32_t f)
{
    return f / e->layer_features * (e->width / e->layers);
}

/* Facts and kernels; nothing is allocated. The options must live as long. */
void encoder_init(struct encoder *e, const struct sae_options *options,
                  const struct kernels *kernels, struct pool *pool);
/* Lay its arrays: weights, norms and thresholds in `own`, what nothing outlives in `batch`. */
void encoder_lay(struct encoder *e, uint32_t threads, struct arena *own, struct arena *batch);
/* Rows [x, x + rows) are at hand, at most batch_rows. */
void encoder_take(struct encoder *e, const float *x, uint32_t rows);
/* x' of the rows at hand into out (rows, D), f (rows, F) or NULL, row_l0 and row_l1. */
void encoder_forward(struct encoder *e, float *out, float *f);

#endif
