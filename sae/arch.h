/*
 * What an architecture is to the rest: a few functions. sae.c calls them and knows no more; a new
 * architecture is a table like those in dictionary.c and count.c.
 */
#ifndef SLUICE_SAE_ARCH_H
#define SLUICE_SAE_ARCH_H

#include "sae/cpu/kernels.h"
#include "sae/cpu/pool.h"
#include "sae/sae.h"

struct sae;

struct arch {
    /* Check the options that are this architecture's own. ERR_USAGE. */
    int (*check)(const struct sae_options *options);
    uint64_t (*bytes)(const struct sae_options *options);
    /* Make and free sae->state. */
    int (*make)(struct sae *sae);
    void (*free)(struct sae *sae);
    /* One step; counts sae->steps or sae->skipped. `rows` is in bounds. */
    int (*train)(struct sae *sae, const struct sae_batch *batch, struct sae_step *step);
    /* x' (rows, sae_out_width()) of at most batch_rows rows, dense f where wanted, sums of L0 and
     * L1. NULL: there is none.
     */
    int (*forward)(struct sae *sae, const float *x, uint32_t rows, float *out, float *f,
                   double *l0_sum, double *l1_sum);
    uint32_t (*dead)(const struct sae *sae);
    uint32_t (*silent)(const struct sae *sae, uint64_t rows); /* NULL: there are no features */
    int (*save)(const struct sae *sae, struct checkpoint_writer *writer, const char *name);
    int (*load)(struct sae *sae, const struct checkpoint *checkpoint, const char *name);
    struct sae_parameters (*parameters)(const struct sae *sae);
    /* Name of the kernels that screen in steps of batch_rows rows; NULL: it has none. */
    const char *(*screen)(const struct sae *sae);
};

extern const struct arch dictionary_arch; /* all but count */
extern const struct arch count_arch;

struct sae {
    struct sae_options options; /* mean is NULL once made */
    const struct arch *arch;
    const struct kernels *kernels;
    struct pool *pool;
    int owns_pool;
    uint64_t steps, skipped;
    void *state; /* the architecture's */
};

#endif
