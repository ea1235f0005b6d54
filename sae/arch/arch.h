/*
 * What an architecture is to the rest: one table of its own facts and operations, in a file of its
 * own in this folder. The list of all is SAE_ARCH_TABLE in sae/options.h.
 */
#ifndef SLUICE_SAE_ARCH_ARCH_H
#define SLUICE_SAE_ARCH_ARCH_H

#include "sae/cpu/kernels.h"
#include "sae/cpu/pool.h"
#include "sae/sae.h"
#include "sae/tensors.h"

struct dictionary;
struct encoder;

/* What makes, trains and saves it. */
struct machine {
    uint64_t (*bytes)(const struct sae_options *options, uint64_t *shared);
    /* Make and free sae->state. */
    int (*make)(struct sae *sae);
    void (*free)(struct sae *sae);
    /* One step; counts sae->steps or sae->skipped. `rows` is in bounds. */
    int (*train)(struct sae *sae, const struct sae_batch *batch, struct sae_step *step);
    /* x' (rows, sae_out_width()) of at most batch_rows rows, dense f where wanted, sums of L0 and
     * L1. NULL: there is none. */
    int (*forward)(struct sae *sae, const float *x, uint32_t rows, float *out, float *f,
                   double *l0_sum, double *l1_sum);
    uint32_t (*silent)(const struct sae *sae, uint64_t rows); /* NULL: there are no features */
    /* sae_fired(), sae_decoder_norms(). NULL: there are no features */
    uint64_t (*fired)(struct sae *sae, float *share);
    void (*norms)(const struct sae *sae, float *norms);
    int (*save)(const struct sae *sae, struct checkpoint_writer *writer, const char *name);
    int (*load)(struct sae *sae, const struct checkpoint *checkpoint, const char *name);
    struct sae_parameters (*parameters)(const struct sae *sae);
    /* Name of the kernels that screen in steps of batch_rows rows; NULL: it has none. */
    const char *(*screen)(const struct sae *sae);
};

extern const struct machine dictionary_machine; /* encoder, decoder, Adam: sae/dictionary.h */

/* How a step goes (sae/step.c). */
enum arch_way {
    WAY_ROWS,    /* each row keeps its largest */
    WAY_BATCH,   /* the whole batch does; elsewhere a feature counts above its threshold */
    WAY_DENSITY, /* all above zero, by lists, or the dense way where that is too many */
    WAY_DENSE,   /* always the dense way */
};

/* Room that the arrays need. */
struct arch_room {
    uint64_t active, aux; /* pairs of a batch's lists */
    uint32_t keep,
        k_aux; /* most features of a row, 0 for all above zero; of AuxK, 0: there is none */
    uint32_t active_limit; /* candidates of a row */
};

/* Sums over rows of one feature: gradients of the loss. */
struct arch_sums {
    double b_enc, b_mag, r_mag, threshold;
    double norm; /* with respect to the direction's norm */
};

/* Blocks hold n rows from `first` and m features from f: (n, m). */
struct arch_dense {
    /* y, pre-activations, becomes f in place. NaN passes, so that it is seen. */
    void (*values)(const struct encoder *e, uint32_t n, uint32_t f, uint32_t m, float *y);
    /* The same in training, where penalties are added to row_rest; second: other values, that
     * reconstruct as well. NULL: values() will do. */
    void (*train)(struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                  float *y, float *second);
    /* y becomes f, and df (half of what the squared errors give, times rows) the gradient of the
     * loss with respect to W_enc's product; second: as df, of the second reconstruction. */
    void (*gradients)(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m, float *y,
                      float *df, const float *second, struct arch_sums *sums);
    /* Feature f's own gradients from its sums; f_sum: of its values. What is returned is the
     * gradient with respect to the direction's norm. */
    double (*finish)(struct dictionary *d, uint32_t f, const struct arch_sums *sums, double f_sum);
    int reconstructs_twice; /* there are second values */
    int silent_learn;       /* features that do not fire have gradients, too */
    int counts_active;      /* target_l0: gradients() takes the cost of an active feature */
    int own_penalty;        /* the penalties are in row_rest, not lambda L1 */
};

struct arch_start {
    double norm;      /* of the decoder's directions (of each hook), or of the encoder's alone */
    double share;     /* of the decoder's, where the encoder starts; 0: D / F */
    int encoder_only; /* the decoder starts at zero */
    int at_mean;      /* b_dec begins at options->mean */
    int about_mean;   /* b_enc begins such that the mean row's pre-activations are 0 */
};

struct arch {
    const struct machine *machine;
    /* Which of its file's tables it is, by activation; NULL: this one. */
    const struct arch *(*variant)(const struct sae_options *options);
    /* Check the options that are this architecture's own. ERR_USAGE. NULL: there are none. */
    int (*check)(const struct sae_options *options);
    /* NULL: no arrays. */
    void (*room)(const struct sae_options *options, struct arch_room *room);
    const struct tensor *tensors; /* in the order of a checkpoint's section `weights` */
    const struct arch_dense *dense;
    struct arch_start start;
    enum arch_way way;
    int centred;   /* the encoder sees x - b_dec */
    int unit_norm; /* decoder directions are kept at norm 1 */
    int by_hook;   /* a feature's norm is the sum of its norms in each hook */
    int nests;     /* options->levels prefixes of the features reconstruct as well */
    /* What SAELens calls it (sae/export/saelens.c), and with a skip; NULL: it has no place for
     * it. */
    const char *saelens, *saelens_skip;
    /* Whether sparsify has it. NULL: no. */
    int (*sparsify)(const struct sae_options *options);
};

#define ARCH_DECLARE(constant, name, ...) extern const struct arch arch_##name;
SAE_ARCH_TABLE(ARCH_DECLARE)
#undef ARCH_DECLARE

/* The table of an SAE; options->arch is in range. */
const struct arch *arch_of(const struct sae_options *options);

/* Whether an SAE of these options can be. ERR_USAGE: the text names the option. */
int arch_check(const struct sae_options *options);

struct sae {
    struct sae_options options; /* mean is NULL once made */
    const struct arch *arch;
    const struct kernels *kernels;
    struct pool *pool;
    struct sae_workspace *workspace;
    int owns_pool, owns_workspace;
    uint64_t steps, skipped;
    double rate_factor; /* 1 unless sae_slow() */
    void *state;        /* the machine's */
};

#endif
