/*
 * Sparse autoencoders: parameters, one training step, evaluation. Knows nothing of streams.
 *
 * Dimension letters, fixed for the whole folder: B batch rows, D model width, F features, K active
 * features a row. Every array has its shape beside it. W_enc and W_dec are both kept (F, D): one
 * feature, one contiguous row.
 *
 * The same options, batches and kernels give the same parameters bit for bit, whatever the number
 * of threads. An SAE is used by one thread at a time; it brings its own helpers.
 */
#ifndef SLUICE_SAE_SAE_H
#define SLUICE_SAE_SAE_H

#include "base/row.h"
#include "sae/options.h"

#include <stddef.h>
#include <stdint.h>

struct sae_batch {
    const float *x;           /* (rows, width), scaled */
    const struct row_id *ids; /* (rows), used by `count` alone */
    uint32_t rows;            /* B or fewer; 1 at least */
};

struct sae_step {  /* what a step reports, all of this batch, before the step's change */
    double loss;   /* mean over rows of the whole objective */
    double mse;    /* mean over rows of ||x - x'||^2; x here and below: what is to come out */
    double rest;   /* of the loss, mean over rows: matryoshka: the same of the narrower
                    * levels, summed; jumprelu: both penalties; gated: the gate's penalty
                    * and error */
    double fve;    /* of this batch: 1 - sum||x-x'||^2 / sum||x-mean||^2; NaN where all rows
                    * are equal */
    double l0, l1; /* mean over rows of the number of f_i > 0, of sum f_i ||W_dec,i|| */
    double
        aux; /* topk, batchtopk and matryoshka: mean over rows of ||e - e'||^2, the residual and its AuxK
                    * reconstruction; 0 where nothing was dead */
    double gradient_norm; /* before clipping */
    double learning_rate;
    double lambda;    /* of this step; jumprelu with target_l0: what one active feature costs */
    uint32_t dead;    /* features that did not fire within the window */
    uint32_t skipped; /* 1: loss or gradient not finite; nothing was changed but the count of
                       * skipped steps */
};

struct sae;

/* Whether SLUICE_KERNELS and SLUICE_SCREEN, where they are set, name what this processor runs.
 * ERR_USAGE: the text names variable, value and choices. */
int sae_environment_check(void);

/* A new SAE with its starting parameters (a function of options, seed and mean alone). Allocates
 * all that training needs. ERR_USAGE (an option out of its range, SLUICE_KERNELS or SLUICE_SCREEN
 * of a name that this processor doesn't run; the text names it), ERR_NOMEM. The caller frees it. */
int sae_new(const struct sae_options *options, struct sae **sae);
void sae_free(struct sae *sae);

/* Bytes that sae_new() would allocate (without a pool's), for plans and warnings; ERR_USAGE as
 * sae_new(). */
int sae_bytes(const struct sae_options *options, uint64_t *bytes);
/* Of these, what lies in a workspace: of several SAEs with one workspace only the largest's
 * count. */
int sae_shared_bytes(const struct sae_options *options, uint64_t *bytes);

/* Memory that several SAEs share, which take turns (options->workspace): one thread at a time uses
 * any of them. It outlives them. ERR_NOMEM. */
int sae_workspace_new(struct sae_workspace **workspace);
void sae_workspace_free(struct sae_workspace *workspace);

/* One training step. Blocks on nothing but the processor. ERR_LIMIT: more rows than batch_rows, or
 * none. ERR_NOMEM: `count` alone, whose table grows. */
int sae_train(struct sae *sae, const struct sae_batch *batch, struct sae_step *step);

/* Reconstruct rows (any number): out (rows, sae_out_width()), and optionally f (rows, F) dense
 * feature activations (NULL = not wanted). Scaled input, scaled output. ERR_STATE: `count`
 * reconstructs nothing. */
int sae_forward(struct sae *sae, const float *x, uint64_t rows, float *out, float *f);

enum sae_no_fve { /* why there is no FVE */
                  SAE_HAS_FVE,
                  SAE_EQUAL_ROWS,     /* the rows are all equal: no variance to explain */
                  SAE_BOUNDLESS_ROWS, /* their variance is not finite */
                  SAE_BROKEN,         /* the reconstruction is not finite */
};

/* Held-out metrics, exactly FVE = 1 - E||x-x'||^2 / E||x-E[x]||^2 with E[x] per dimension over the
 * whole set; never the mean of x^2 in place of the variance. */
struct sae_eval {
    uint64_t rows;
    double fve; /* NaN where no_fve says why; also -INFINITY where it is SAE_BROKEN */
    enum sae_no_fve no_fve;
    double mse;    /* mean over rows of ||x - x'||^2 */
    double l0, l1; /* mean over rows of the number of f_i > 0, of sum f_i ||W_dec,i|| */
    uint32_t dead; /* features that did not fire within the window of training rows */
};
/* x (rows, width), scaled. ERR_STATE as sae_forward(), ERR_LIMIT: no rows. */
int sae_evaluate(struct sae *sae, const float *x, uint64_t rows, struct sae_eval *eval);

/* From the next step on the learning rate is `factor` (0 to 1) times what the schedule says: for an
 * end that no plan foresaw. Checkpoints do not hold it. */
void sae_slow(struct sae *sae, double factor);
uint64_t sae_steps(const struct sae *sae);   /* steps made; skipped ones are not among them */
uint64_t sae_skipped(const struct sae *sae); /* steps skipped */
/* Features that did not fire in the last `rows` rows of training, or ever since the start where it
 * had no more; 0 for `count`. */
uint32_t sae_silent(const struct sae *sae, uint64_t rows);
/* In what share of the rows trained on since the last such call (at first since sae_new() or
 * sae_load()) each feature fired: share (F). How many rows those were; 0, and nothing is written,
 * where there were none, and for `count`. Skipped steps do not count. */
uint64_t sae_fired(struct sae *sae, float *share);
/* The norm (L2) of each feature's direction in the decoder, over all that it writes: norms (F). ERR_STATE:
 * `count` has none. */
int sae_decoder_norms(const struct sae *sae, float *norms);
const struct sae_options *sae_options(const struct sae *sae);
const char *sae_kernels(const struct sae *sae); /* "plain", "avx2", "avx512" */
/* How the largest pre-activations are found in steps of batch_rows rows: "vnni" or "plain": by
 * 8-bit products; "off": by float32 ones. The result is the same. */
const char *sae_screen(const struct sae *sae);

/* The parameters as they are, for exports and tests; they live until the next sae_train() or
 * sae_load(). All NULL for `count`. */
struct sae_parameters {
    const float *w_enc;     /* (F, D), or (F, width_in) */
    const float *w_dec;     /* (F, D), or (F, sae_out_width()) */
    const float *b_enc;     /* (F) */
    const float *b_dec;     /* (D), or (sae_out_width()) */
    const float *w_skip;    /* (sae_out_width(), width_in); NULL: there is none */
    const float *threshold; /* (F): features count where they exceed it (JumpReLU); NULL: there is
                             * none */
    const float *r_mag, *b_mag; /* (F): gated: b_enc is the gate's; NULL elsewhere */
    int centred;                /* 1: the encoder sees x - b_dec; 0: x */
};
struct sae_parameters sae_parameters(const struct sae *sae);

/* What an export, or whoever else only reads an SAE, needs of it. Options and weights are those of
 * the SAE, or of the model (sae/model.h), and live as long. */
struct sae_view {
    const struct sae_options *options;
    struct sae_parameters weights;
};
struct sae_view sae_view(const struct sae *sae);

/* `count`: how often a row was trained on. */
uint32_t sae_count_of(const struct sae *sae, uint64_t sequence, uint32_t position);
/* Calls visit for every counter, in order of (sequence, position); stops at the first result other
 * than 0 and returns it. ERR_NOMEM. */
int sae_count_visit(const struct sae *sae,
                    int (*visit)(void *arg, uint64_t sequence, uint32_t position, uint32_t count),
                    void *arg);
/* Writes "sequence position count" lines, in that order. ERR_IO, ERR_NOSPC, ERR_NOMEM, ERR_STATE:
 * another architecture. */
int sae_count_dump(const struct sae *sae, const char *path);

struct checkpoint;
struct checkpoint_writer;

/* Put all of an SAE into a checkpoint under a name of its own ("sae.0"; at most 20 characters), and
 * take it up again: from the same batches on, training then goes as if it had never stopped, bit
 * for bit. The SAE that is loaded into was made with the options of today: arch, activation,
 * widths, hooks, skip, features, k, levels, seed and k_aux must match (ERR_MISMATCH: key, old,
 * new); the others may have changed and are those of today. ERR_NOTFOUND: no SAE of that name,
 * ERR_FORMAT. On failure the SAE is as it was. */
int sae_save(const struct sae *sae, struct checkpoint_writer *writer, const char *name);
int sae_load(struct sae *sae, const struct checkpoint *checkpoint, const char *name);
/* The options that an SAE in a checkpoint was trained with (mean and pool NULL, threads 1).
 * ERR_NOTFOUND, ERR_FORMAT, ERR_VERSION. */
int sae_saved_options(const struct checkpoint *checkpoint, const char *name,
                      struct sae_options *options);

/* OpenBLAS chooses its kernels once, when it is loaded, and takes a processor that it doesn't know
 * for the oldest one (0.3.21: a Sapphire Rapids whose AMX is masked; SSE3, a fifth of the speed).
 * Call this first in main(): where its choice has narrower registers than the processor and
 * OPENBLAS_CORETYPE is not set, it sets that and executes the program again; else, or if that
 * fails, it returns. */
void sae_blas_wide(char **argv);
/* Whether OpenBLAS's kernels have registers as wide as the processor's (AVX2, AVX-512). */
int sae_blas_is_wide(void);

#endif
