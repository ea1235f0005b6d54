/*
 * The dictionary architectures (all but count): an encoder, a ReLU, TopK or jump, a decoder, Adam.
 * This header is for the files of this folder that share its insides.
 *
 * A step: rows.c encodes, decodes and measures each block of rows while it is in the cache, and
 * leaves lists of (row, feature, f, gradient); lists.c groups them by feature; gradients.c makes
 * each feature's gradient; update.c does Adam. Where too much is active for lists, dense.c does the
 * middle with BLAS. Where the whole batch competes for its places, batch_topk.c chooses between
 * encoding and decoding. Items of these tasks are blocks of rows or of features whose result
 * depends on nothing else, and sums over them are made in order, so that the number of threads
 * changes no bit.
 */
#ifndef SLUICE_SAE_DICTIONARY_H
#define SLUICE_SAE_DICTIONARY_H

#include "sae/arch.h"
#include "sae/cpu/collector.h"
#include "sae/cpu/exact.h"
#include "sae/cpu/lists.h"
#include "sae/cpu/screen.h"

enum {
    TASK_FEATURES = 16, /* features of an item of the gradient and update tasks */
    TASK_COLUMNS = 64,  /* dimensions of an item of the column task */
    BATCH_TOPK_BINS = 1 << 15,
};

/* What sets the architectures apart. */
struct recipe {
    int per_batch;        /* TopK of the whole batch, not of each row */
    int jumps;            /* a threshold is a parameter of each feature; always the dense way */
    int gates;            /* two paths, `y > 0` and how much; always the dense way */
    int transcodes;       /* the encoder sees a row's first width_in values, the rest comes out; the
                           * decoder starts at zero */
    int by_hook;          /* a feature's norm is the sum of its norms in each hook */
    int centred;          /* the encoder sees x - b_dec */
    int starts_at_mean;   /* b_dec begins at options->mean */
    int fires_about_mean; /* b_enc begins such that the mean row's pre-activations are 0 */
    int unit_norm;        /* decoder directions are kept at norm 1 */
    double start_norm;    /* of the decoder's directions */
    double start_share;   /* of them, where the encoder starts; 0: D / F */
};

struct parameters {
    size_t count; /* floats of the block, padding included */
    float *all;
    float *w_enc;         /* (F, D_in) */
    float *w_dec;         /* (F, D) */
    float *b_enc;         /* (F) */
    float *b_dec;         /* (D) */
    float *w_skip;        /* (D, D_in): a linear map past the features; NULL elsewhere */
    float *threshold;     /* (F): jumps; NULL elsewhere */
    float *r_mag, *b_mag; /* (F): gates; NULL elsewhere */
};

struct scratch {        /* of one thread */
    float *block;       /* (BLOCK_ROWS, BLOCK_FEATURES) */
    float *block_two;   /* (BLOCK_ROWS, BLOCK_FEATURES): the dense path's gradients */
    float *block_three; /* the same: gates: values and gradients of the gate */
    struct collector active, aux;
    struct screen_rows screened;
    struct exact exact; /* of `active` */
    float *dead;        /* (BLOCK_FEATURES, D_in): AuxK: weights of dead features */
    uint64_t *bins;     /* (BATCH_TOPK_BINS): per_batch: how many pre-activations are how large */
};

struct dictionary {
    struct sae *sae;
    const struct recipe *recipe;
    const struct kernels *kernels;
    struct pool *pool;
    uint32_t width, features; /* D: of what comes out, F */
    uint32_t width_in;        /* D_in: of what the encoder sees; D but for a transcoder */
    uint32_t row_width;       /* from one row of x to the next */
    uint32_t target_at;       /* where in a row begins what is to come out */
    uint32_t hooks;           /* by_hook: parts of a direction, each with a norm; 1 elsewhere */
    uint32_t keep, k_aux;     /* most features of a row, or 0 for all above zero; 0: no AuxK */
    uint32_t levels;          /* nested prefixes, 1 but for matryoshka */
    uint32_t prefix[SAE_MAX_LEVELS]; /* their numbers of features, the last is F */

    struct parameters w, g, m, v; /* weights, gradient, Adam's moments */
    float *norm;                  /* (F): of the decoder's directions, kept up to date */
    float *hook_norm;             /* (F, hooks): by_hook: of their parts; NULL elsewhere */
    uint64_t *silent_rows;        /* (F): rows since a feature fired */
    double density;               /* share of features active in the last step's rows */
    float *threshold; /* (F): per_batch: mean over steps of the least value kept; jumps: w's; or
                         NULL */
    float floor;      /* per_batch: what the next step's candidates exceed, a guess */

    /* Of the present step. */
    uint32_t rows, block_rows;
    const float *x;     /* (rows, row_width) */
    float *centred;     /* (B, D): x - b_dec, x here and below: what is to come out */
    float *unexplained; /* (B, D): the same, less W_skip's part; `centred` without one */
    const float *input; /* (rows, D_in): what the encoder sees, input_stride apart */
    uint32_t input_stride;
    float *error;            /* (levels, B, D): x' - x of a level and all wider ones, summed */
    float *aux_error;        /* (B, D): e' - e, e = x - x'; gates: x'(g) - x */
    float *ones;             /* (B) */
    double *row_error;       /* (B): ||x' - x||^2 */
    double *row_rest;        /* (B): what else of the loss: narrower levels' errors, penalties */
    double *row_square;      /* (B): ||x - b_dec||^2 */
    double *row_aux;         /* (B): ||e' - e||^2 */
    double *row_l1, *row_l0; /* (B) */
    double *feature_square;  /* (F): squared norm of the feature's gradient */
    uint8_t *fired;          /* (F) */
    uint8_t *touched;        /* (F): its gradient is not zero */
    double *skip_square;     /* (D): squared norm of the gradient of W_skip's rows */
    float *column_sum;       /* (D): of x - b_dec over rows */
    float *input_gradient;   /* (F): sum over rows of the gradient by W_enc x; the same as b_enc's,
                                but gates */
    double lambda;
    float least; /* per_batch: the least value that was kept; 0 where none was */
    struct row_lists active, aux;
    struct feature_lists by_feature, aux_by_feature;
    uint32_t dead;
    uint32_t *dead_index; /* (dead): the dead features, ascending */
    float *dead_bias;     /* (dead): their b_enc */
    int with_aux;         /* something is dead, and AuxK is on */
    int dense;            /* this step goes the dense way */
    struct screen screen; /* keep: which features may be among the largest */
    struct adam_rate rate;
    struct scratch *scratch; /* (threads) */
};

/* rows.c: everything of this step that is done block of rows by block of rows; fills `active` and
 * `aux` with gradients, error, aux_error, row_*. */
void rows_train(struct dictionary *d);
/* encode.c: whether 8-bit products screen in a step of so many rows. */
int encode_quantizes(const struct dictionary *d, uint32_t rows);
/* encode.c: what encode_block() needs of a step's weights: their bounds, and their 8 bits. Once a
 * step, before it. */
void encode_begin(struct dictionary *d);
/* encode.c: which features of rows [first, first + n) exceed `floor`, or the `keep` largest of
 * those, into `active`; the dead ones for AuxK into `aux`. */
void encode_block(struct dictionary *d, uint32_t first, uint32_t n, float floor, struct scratch *s);
/* encode.c: how far 8-bit products, or float32 ones, of n rows may be off what encode_block()
 * gives: s->active.slack. */
void encode_bounds(const struct dictionary *d, uint32_t first, uint32_t n, int eight_bit,
                   struct scratch *s);
/* encode.c: pre-activations, without bias, of n rows from `first` and m features from f: (n, m). */
void rows_product(const struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                  float *block);
/* rows.c: what a step, or rows_forward(), does before rows are encoded: their input,
 * encode_begin(); per_batch: all rows are centred. */
void rows_begin(struct dictionary *d);
/* rows.c: only lists of what exceeds `floor`, at most d->keep of a row, and AuxK's. Whether there
 * was room for them. */
int rows_encode(struct dictionary *d, float floor);
/* batch_topk.c: rows_encode(), and of its pairs only the K B largest. */
void batch_topk_encode(struct dictionary *d);
/* batch_topk.c: what a step teaches: threshold, floor. Not called for a step that is skipped. */
void batch_topk_learn(struct dictionary *d);

/* rows.c: x' of d->rows rows into out (rows, D), f (rows, F) or NULL, row_l0 and row_l1. */
void rows_forward(struct dictionary *d, float *out, float *f);
/* rows.c: blocks of this many rows, so that every thread has some. */
uint32_t rows_block(uint32_t rows);
uint32_t rows_blocks(const struct dictionary *d);
/* rows.c: rows of block `item` of a task over rows_blocks(), and which is its first. */
uint32_t rows_of_block(const struct dictionary *d, uint32_t item, uint32_t *first);

/* dense.c: the same with dense products alone; rows, then (through gradients.c) features. gate_out
 * (n, D): gates: x' of the gates' own values; NULL: not wanted. */
void dense_rows(struct dictionary *d, uint32_t first, uint32_t n, struct scratch *scratch,
                float *out, float *gate_out, float *f);
void dense_features(struct dictionary *d);

/* gradients.c: g, feature_square, fired, touched from lists or the dense way; column_sum. */
void gradients_make(struct dictionary *d);

/* jumprelu.c: y, pre-activations of n rows from `first` and m features from f, becomes their f;
 * what both penalties say of them is added to row_rest. */
void jumprelu_block(struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                    float *y);
struct jumprelu_sums {      /* of one feature, over rows */
    double threshold, norm; /* gradient of the loss with respect to them */
};
/* jumprelu.c: y becomes f, and df (half of what the squared errors give, times rows) the gradient
 * of the loss with respect to y, by the straight-through rule; sums (m) grow. */
void jumprelu_gradients(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m, float *y,
                        float *df, struct jumprelu_sums *sums);

/* gated.c: y, gates before their ReLU of n rows from `first` and m features from f, becomes f; g
 * the gates' own values; the gates' penalty is added to row_rest. */
void gated_block(struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m, float *y,
                 float *g);
struct gated_sums { /* of one feature, over rows: gradient of the loss with respect to them */
    double b_enc, b_mag, r_mag;
};
/* gated.c: y becomes f, and df (as jumprelu_gradients()) the gradient with respect to W_enc (x -
 * b_dec), with what the gate's own error gives, dg; sums (m) grow. */
void gated_gradients(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m, float *y,
                     float *df, const float *dg, struct gated_sums *sums);

/* gradients.c: the gradient by way of the direction's norm, the unit-norm projection and the
 * squared norm of one feature, after its data gradient is there; by_norm = d loss / d norm. */
void gradients_finish_feature(struct dictionary *d, uint32_t f, double by_norm);

/* skip.c: out (n, D) += scale W_skip x of n rows from `first`. */
void skip_rows(const struct dictionary *d, uint32_t first, uint32_t n, float scale, float *out);
/* skip.c: W_skip's gradient from the errors of all rows, and skip_square. */
void skip_gradient(struct dictionary *d);

/* dictionary.c: norm, and by_hook its parts, of feature f's direction. */
void dictionary_norm(struct dictionary *d, uint32_t f);

/* update.c: one Adam step by d->rate; norms. */
void update_weights(struct dictionary *d);

#endif
