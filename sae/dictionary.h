/*
 * The state of an SAE in training (all architectures but `count`): an encoder, and gradients,
 * Adam's moments, counters and the arrays of a step. This header is for the files of this folder
 * that share its insides.
 *
 * A step (step.c): rows.c encodes, decodes and measures each block of rows while it is in the
 * cache, and leaves lists of (row, feature, f, gradient); lists.c groups them by feature;
 * gradients.c makes each feature's gradient; update.c does Adam. Where too much is active for
 * lists, dense.c does the middle with BLAS. Where the whole batch competes for its places,
 * batch_topk.c chooses between encoding and decoding. Items of these tasks are blocks of rows or of
 * features whose result depends on nothing else, and sums over them are made in order, so that the
 * number of threads changes no bit.
 */
#ifndef SLUICE_SAE_DICTIONARY_H
#define SLUICE_SAE_DICTIONARY_H

#include "sae/encoder.h"
#include "sae/target.h"
#include "sae/workspace.h"

enum {
    TASK_FEATURES = 16, /* features of an item of the gradient and update tasks */
    TASK_COLUMNS = 64,  /* dimensions of an item of the column task */
    BATCH_TOPK_BINS = 1 << 15,
};

/* Above this share of active features a step goes the dense way. At D 576, F 4608 lists are faster
 * up to a quarter; but a batch's lists take 24 bytes a pair, and only the first steps are so
 * dense. */
#define DENSE_ABOVE 0.15

struct scratch {        /* of one thread, beside the encoder's */
    float *block_two;   /* (BLOCK_ROWS, BLOCK_FEATURES): the dense path's gradients */
    float *block_three; /* the same: second values, and their gradients */
    struct collector aux;
    float *dead;    /* (BLOCK_FEATURES, D_in): AuxK: weights of dead features */
    uint64_t *bins; /* (BATCH_TOPK_BINS): WAY_BATCH: how many pre-activations are how large */
};

struct dictionary {
    struct sae *sae;
    struct encoder e;
    uint32_t levels;                 /* nested prefixes, 1 but for matryoshka */
    uint32_t prefix[SAE_MAX_LEVELS]; /* their numbers of features, the last is F */

    struct parameters g, m, v; /* gradient, Adam's moments */
    uint64_t *silent_rows;     /* (F): rows since a feature fired */
    uint64_t *fired_rows;      /* (F): in how many rows it did, of those counted in seen_rows */
    uint64_t seen_rows;        /* trained on since sae_fired() was last asked; in no checkpoint */
    double density;            /* share of features active in the last step's rows */
    float floor;               /* WAY_BATCH: what the next step's candidates exceed, a guess */

    /* Of the present step. */
    float *unexplained;     /* (B, D): e.centred less W_skip's part; e.centred without one */
    float *error;           /* (levels, B, D): x' - x of a level and all wider ones, summed */
    float *aux_error;       /* (B, D): e' - e, e = x - x' */
    float *second_error;    /* (B, D): x' of the second values - x */
    float *ones;            /* (B) */
    double *row_error;      /* (B): ||x' - x||^2 */
    double *row_rest;       /* (B): what else of the loss: narrower levels' errors, penalties */
    double *row_square;     /* (B): ||x - b_dec||^2 */
    double *row_aux;        /* (B): ||e' - e||^2 */
    double *feature_square; /* (F): squared norm of the feature's gradient */
    uint32_t *fired;        /* (F): rows in which it did */
    uint8_t *touched;       /* (F): its gradient is not zero */
    double *skip_square;    /* (D): squared norm of the gradient of W_skip's rows */
    float *column_sum;      /* (D): of x - b_dec over rows */
    float *input_gradient;  /* (F): sum over rows of the gradient by W_enc x */
    double lambda;
    struct target target; /* target_l0: kept from step to step */
    double excess;        /* of L0 over it */
    double cost;          /* counts_active: what one active feature costs, averaged over rows */
    float least;          /* WAY_BATCH: the least value that was kept; 0 where none was */
    struct row_lists aux;
    struct feature_lists by_feature, aux_by_feature;
    uint32_t dead;
    uint32_t *dead_index; /* (dead): the dead features, ascending */
    float *dead_bias;     /* (dead): their b_enc */
    int with_aux;         /* something is dead, and AuxK is on */
    int dense;            /* this step goes the dense way */
    struct adam_rate rate;
    struct scratch *scratch; /* (threads) */

    struct arena own;
    const char *laid; /* where the workspace was when its arrays were laid */
};

/* dictionary.c: lay the arrays of the workspace anew, if it has moved. Before each use. */
void dictionary_settle(struct dictionary *d);
/* dictionary.c: which features are dead. */
void dictionary_mark_dead(struct dictionary *d);

/* step.c: one step, and rows through the encoder alone. */
int step_train(struct sae *sae, const struct sae_batch *batch, struct sae_step *step);
int step_forward(struct sae *sae, const float *x, uint32_t rows, float *out, float *f,
                 double *l0_sum, double *l1_sum);

/* state.c: what a checkpoint holds. */
int state_save(const struct sae *sae, struct checkpoint_writer *writer, const char *name);
int state_load(struct sae *sae, const struct checkpoint *checkpoint, const char *name);

/* start.c: weights as arch->start says: a function of the options alone. */
void start_weights(struct encoder *e, const struct sae_options *options);

#endif
