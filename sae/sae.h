/*
 * Sparse autoencoders: parameters, one training step, evaluation. Knows nothing of streams.
 *
 * Dimension letters, fixed for the whole folder: B batch rows, D model width, F features, K active
 * features a row. Every array has its shape beside it. W_enc and W_dec are both kept (F, D): one
 * feature, one contiguous row.
 */
#ifndef SLUICE_SAE_SAE_H
#define SLUICE_SAE_SAE_H

#include "base/row.h"

#include <stddef.h>
#include <stdint.h>

enum sae_arch { SAE_L1, SAE_TOPK, SAE_COUNT };

struct sae_options {
    enum sae_arch arch;
    uint32_t width;          /* D */
    uint32_t features;       /* F */
    uint32_t k;              /* topk */
    double lambda;           /* l1: sparsity coefficient at full strength (5) */
    double lambda_ramp;      /* l1: share of planned steps over which it rises from 0 (0.05) */
    double aux_coefficient;  /* topk: 1/32; 0 switches AuxK off */
    uint32_t k_aux;          /* topk: 0 = power of two nearest D/2 */
    double learning_rate;
    double warmup;           /* share of planned steps over which the rate rises from 0 */
    double decay;            /* share of planned steps, at the end, over which it falls to 0 (0.2) */
    double beta1, beta2, epsilon; /* Adam: 0.9, 0.999, 1e-8 */
    double clip_norm;        /* gradient norm clipped to this (1); 0 = off */
    uint64_t planned_steps;  /* 0: unknown; then no ramp of lambda ends, no decay begins */
    uint64_t dead_window_rows;
    uint32_t batch_rows;     /* B at most */
    uint32_t threads;
    uint64_t seed;
    const float *mean;       /* (D) of the scaled input: start of b_dec (topk); NULL = zeros */
};

struct sae_batch {
    const float *x;           /* (B, D), scaled */
    const struct row_id *ids; /* (B), used by `count` alone */
    uint32_t rows;            /* B or fewer */
};

struct sae_step {       /* what a step reports, all of this batch */
    double loss;        /* mean over rows of the whole objective */
    double mse;         /* mean over rows of ||x - x'||^2 */
    double fve;         /* of this batch: 1 - sum||x-x'||^2 / sum||x-mean||^2 */
    double l0, l1;      /* mean over rows */
    double gradient_norm, learning_rate, lambda;
    uint32_t dead;      /* features that did not fire within the window */
    uint32_t skipped;   /* 1: loss or gradient not finite; nothing was changed */
};

struct sae;

int sae_new(const struct sae_options *options, struct sae **sae);
void sae_free(struct sae *sae);

/* One training step. ERR_NOMEM, never blocks on anything but the processor. */
int sae_train(struct sae *sae, const struct sae_batch *batch, struct sae_step *step);

/* Reconstruct rows: out (B, D), and optionally f (B, F) dense feature activations (NULL = not
 * wanted). Scaled input, scaled output. */
int sae_forward(struct sae *sae, const struct sae_batch *batch, float *out, float *f);

/* Held-out metrics, exactly as FVE = 1 - E||x-x'||^2 / E||x-E[x]||^2 with E[x] per dimension over
 * the whole set. */
struct sae_eval {
    uint64_t rows;
    double fve, mse, l0, l1;
    uint32_t dead;
};
int sae_evaluate(struct sae *sae, const float *x, uint64_t rows, struct sae_eval *eval);

uint64_t sae_steps(const struct sae *sae);

#endif
