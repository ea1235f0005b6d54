/*
 * An SAE's options: names, defaults, widths, checks. Below all else of this folder, so that the
 * configuration can hold them without what trains.
 */
#ifndef SLUICE_SAE_OPTIONS_H
#define SLUICE_SAE_OPTIONS_H

#include <stdint.h>

/*
 * The architectures: constant, name, and what is to be known of it without what trains. The name is
 * also that of its file and table in sae/arch/ (`l1`: sae/arch/l1.c, arch_l1). A new one is a line
 * here and that file.
 *   uses         its own keys (enum sae_key)
 *   activation   of those on several hooks: what the features are like unless told otherwise; of
 *                the others the architecture itself
 *   rate         default of the learning rate; 0: falls with the number of features
 *   decoder      times that, for W_dec; 0: as the activation's
 *   lambda, ramp coefficient of sparsity, share of the steps over which it rises
 *   beta1        of Adam
 *   levels       nested prefixes
 */
#define SAE_ARCH_TABLE(ARCH)                                                                          \
    /* ReLU and a penalty on f_i ||W_dec,i||: "Scaling Monosemanticity" */                            \
    ARCH(SAE_L1, l1, .uses = SAE_TRAINS | SAE_LAMBDA, .activation = SAE_L1, .rate = 5e-5,             \
         .decoder = 1, .lambda = 5, .ramp = 0.05, .beta1 = 0.9, .levels = 1)                          \
    /* the K largest, AuxK for the dead: Gao et al. 2024, arXiv 2406.04093 */                         \
    ARCH(SAE_TOPK, topk, .uses = SAE_TRAINS | SAE_LARGEST, .activation = SAE_TOPK, .rate = 0,         \
         .decoder = 3, .ramp = 0.05, .beta1 = 0.9, .levels = 1)                                       \
    /* the K B largest of a whole batch: Bussmann et al. 2024, arXiv 2412.06410 */                    \
    ARCH(SAE_BATCHTOPK, batchtopk, .uses = SAE_TRAINS | SAE_LARGEST, .activation = SAE_BATCHTOPK,     \
         .rate = 0, .decoder = 3, .ramp = 0.05, .beta1 = 0.9, .levels = 1)                            \
    /* the same, and nested prefixes of the features reconstruct as well: Bussmann et al. 2025,    \
     * arXiv 2503.17547 */  \
    ARCH(SAE_MATRYOSHKA, matryoshka, .uses = SAE_TRAINS | SAE_LARGEST | SAE_LEVELS,                   \
         .activation = SAE_MATRYOSHKA, .rate = 0, .decoder = 3, .ramp = 0.05, .beta1 = 0.9,           \
         .levels = 5)                                                                                 \
    /* a threshold learned for each feature: Anthropic's update of January 2025 */                    \
    ARCH(SAE_JUMPRELU, jumprelu, .uses = SAE_TRAINS | SAE_LAMBDA | SAE_JUMPS,                         \
         .activation = SAE_JUMPRELU, .rate = 2e-4, .decoder = 1, .lambda = 10, .ramp = 1,             \
         .beta1 = 0.9, .levels = 1)                                                                   \
    /* whether and how much apart: Rajamanoharan et al. 2024, arXiv 2404.16014 */                     \
    ARCH(SAE_GATED, gated, .uses = SAE_TRAINS | SAE_LAMBDA, .activation = SAE_GATED, .rate = 3e-4,    \
         .decoder = 1, .lambda = 5, .ramp = 0.05, .beta1 = 0, .levels = 1)                            \
    /* one hook's rows from another's: Dunefsky et al. 2024, arXiv 2406.11944; as any of l1, topk, \
     * batchtopk. Its decoder starts at zero and keeps no norm, so its rate is the encoder's. */  \
    ARCH(SAE_TRANSCODER, transcoder, .uses = SAE_TRAINS | SAE_ACTIVATION | SAE_SKIP,                  \
         .activation = SAE_TOPK, .rate = 0, .decoder = 1, .ramp = 0.05, .beta1 = 0.9, .levels = 1)    \
    /* several hooks' rows by the same features: Lindsey et al. 2024, "Sparse Crosscoders for      \
     * Cross-Layer Features and Model Diffing"; as any of the same */  \
    ARCH(SAE_CROSSCODER, crosscoder, .uses = SAE_TRAINS | SAE_ACTIVATION, .activation = SAE_L1,       \
         .rate = 5e-5, .decoder = 0, .lambda = 5, .ramp = 0.05, .beta1 = 0.9, .levels = 1)            \
    /* cross-layer transcoder, a feature reads one layer and writes that and all later ones:        \
     * Ameisen et al. 2025, "Circuit Tracing"; as any of jumprelu, batchtopk */ \
    ARCH(SAE_CLT, clt, .uses = SAE_TRAINS | SAE_ACTIVATION | SAE_LAYERS,                              \
         .activation = SAE_JUMPRELU, .rate = 2e-4, .decoder = 1, .lambda = 10, .ramp = 1,             \
         .beta1 = 0.9, .levels = 1)                                                                   \
    /* one counter per row, keyed by (sequence, position): tests of exactly-once */                   \
    ARCH(SAE_COUNT, count, .uses = 0, .activation = SAE_COUNT, .rate = 1e-3, .decoder = 1,            \
         .ramp = 0.05, .beta1 = 0.9, .levels = 1)

/* Keys of the configuration that not every architecture has. */
enum sae_key {
    SAE_TRAINS = 1,      /* all that are not named here, but arch and name */
    SAE_LARGEST = 2,     /* k, aux_coefficient, k_aux: features compete for places */
    SAE_LAMBDA = 4,      /* lambda, lambda_ramp, target_l0 */
    SAE_JUMPS = 8,       /* bandwidth, pre_act_coefficient */
    SAE_LEVELS = 16,     /* levels */
    SAE_ACTIVATION = 32, /* activation: a shape on several hooks */
    SAE_SKIP = 64,       /* skip: one hook goes in, another comes out */
    SAE_LAYERS = 128,    /* none: of each layer one hook goes in, another comes out */
};

#define SAE_ARCH_CONSTANT(constant, ...) constant,
enum sae_arch { SAE_ARCH_TABLE(SAE_ARCH_CONSTANT) SAE_ARCHS /* how many there are */ };
#undef SAE_ARCH_CONSTANT

/* "l1", "topk", ..., "unknown"; and back: -1 if there is none of that name. */
const char *sae_arch_name(enum sae_arch arch);
int sae_arch_by_name(const char *name);
/* What a transcoder's (topk), crosscoder's (l1) or clt's (jumprelu) features are like unless told
 * otherwise; of the others, the architecture itself. Whose defaults are asked for below. */
enum sae_arch sae_arch_activation(enum sae_arch arch);
/* Whether it is topk, batchtopk or matryoshka: features compete for places, and AuxK revives the
 * dead. */
int sae_arch_keeps_largest(enum sae_arch arch);
/* Default of Adam's rate. Of topk, batchtopk and matryoshka 2e-4 / sqrt(features / 16384), after
 * Gao et al.'s figure; features = 0 (not known yet): 1e-3, as of some 650. */
double sae_arch_learning_rate(enum sae_arch arch, uint32_t features);
/* Default of what that rate is multiplied by for the decoder's weights: 3 for topk, batchtopk and
 * matryoshka, and a crosscoder of those, by which SmolLM2's held-out FVE gained 0.007 to 0.009, and
 * which is in no paper (docs/decisions.md); else 1. */
double sae_arch_decoder_lr_factor(enum sae_arch arch, enum sae_arch activation);
/* Defaults of the coefficient of sparsity (0 where there is none), and of its ramp. */
double sae_arch_lambda(enum sae_arch arch);
double sae_arch_lambda_ramp(enum sae_arch arch);
/* Whether a key of the configuration's `saes` means something to it ("k", "lr", ...). `activation`
 * is read only where the architecture has one. */
int sae_arch_uses(enum sae_arch arch, enum sae_arch activation, const char *key);

enum {
    SAE_MAX_WIDTH = 1 << 20,
    SAE_MAX_FEATURES = 1 << 24,
    SAE_MAX_BATCH_ROWS = 1 << 20,
    SAE_MAX_THREADS = 1024,
    SAE_MAX_LEVELS = 16,
    SAE_ASSUMED_STEPS = 20000, /* the plan by which shares are counted where there is none */
};

struct pool;
struct sae_workspace;

struct sae_options {
    enum sae_arch arch;
    enum sae_arch activation; /* transcoder, crosscoder: SAE_L1, SAE_TOPK or SAE_BATCHTOPK; clt:
                               * SAE_JUMPRELU or SAE_BATCHTOPK */
    uint32_t width; /* of a row: D, but transcoder, clt: of what goes in and what is to come out */
    uint32_t width_in;  /* transcoder, clt: of what goes in, a row's first values; others: 0 */
    uint32_t hooks;     /* crosscoder: hooks of one width that a row is made of; clt: layers, whose
                        * inputs a row has in order, then their outputs; others: 1 */
    uint32_t skip;      /* transcoder: 1: a linear map of what goes in is added to what comes out */
    uint32_t features;  /* F; clt: of all layers, the same number of each, layer by layer */
    uint32_t k;         /* topk: active features per row; batchtopk, matryoshka: on average */
    uint32_t levels;    /* matryoshka: nested prefixes, each half of the next; the last is F */
    double lambda;      /* l1, jumprelu, gated: sparsity coefficient at full strength */
    double lambda_ramp; /* the same: share of planned steps over which it rises from 0 */
    double target_l0;   /* the same: mean number of active features to come to; 0: off */
    double bandwidth;   /* jumprelu: of the straight-through gradient about a threshold */
    double pre_act_coefficient; /* jumprelu: of the loss that lifts what is below its threshold */
    double aux_coefficient;     /* topk, batchtopk and matryoshka: 0 switches AuxK off */
    uint32_t k_aux;             /* the same: 0 = the power of two nearest D/2 */
    double learning_rate;
    double decoder_lr_factor;     /* times learning_rate: that of W_dec */
    double warmup;                /* share of planned steps over which the rate rises from 0 */
    double decay;                 /* share of planned steps, at the end, over which it falls to 0 */
    double beta1, beta2, epsilon; /* Adam */
    double clip_norm;             /* the gradient's norm is clipped to this; 0 = off */
    uint64_t planned_steps;    /* 0: unknown; then warm-up and ramp count by SAE_ASSUMED_STEPS, and
                                * no decay begins. Past the plan the rate stays at its last value */
    uint64_t dead_window_rows; /* a feature that has not fired for so many rows is dead */
    uint32_t batch_rows;       /* B at most */
    uint32_t threads;          /* without a pool */
    struct pool *pool;         /* threads shared with other SAEs of the caller's; NULL = own ones */
    struct sae_workspace *workspace; /* gradients and batch arrays shared with other SAEs of the
                                      * caller's, which take turns; NULL = own ones */
    uint64_t seed;
    const float *mean; /* (width) of the scaled rows: start of b_dec (topk); NULL = zeros.
                        * Read by sae_new() alone */
};

/* The recipe of the architecture (FIELD: l1 as the paper, topk as Gao et al.), for everything but
 * width, features, k, planned_steps: l1: lambda 5 over 5 % of the steps, rate 5e-5; topk,
 * batchtopk, matryoshka: coefficient 1/32, rate 1e-3 and of W_dec 3 times that, matryoshka 5
 * levels; jumprelu: lambda 10 over all steps, rate 2e-4, bandwidth 2, pre_act_coefficient 3e-6;
 * gated: lambda 5 over 5 %, rate 3e-4, beta1 0 as published; transcoder: activation topk and its
 * rate, no skip (width_in is the caller's to set); crosscoder: activation l1, its lambda and rate
 * (hooks is the caller's to set; who sets another activation sets learning_rate and
 * decoder_lr_factor too); clt: activation, lambda and rate of jumprelu (width_in and hooks are the
 * caller's to set); all: else Adam 0.9/0.999/1e-8, clipped to 1, decay over 20 %, batches of
 * 4,096, one thread, window 1e7 rows. */
void sae_options_default(enum sae_arch arch, struct sae_options *options);

/* Whether options lie in their ranges: architecture, widths, rows, threads; and all others. What an
 * architecture asks beside is in its own file. ERR_USAGE: the text names option and range. */
int sae_options_check_rows(const struct sae_options *options);
int sae_options_check(const struct sae_options *options);

/* Whether it is topk, batchtopk or matryoshka: features compete for places, and AuxK revives the
 * dead. */
int sae_keeps_largest(const struct sae_options *options);
/* What a transcoder's, crosscoder's or clt's features are like; of the others, the architecture itself. */
enum sae_arch sae_activation(const struct sae_options *options);
/* Layers of a clt; of the others 1. */
uint32_t sae_layers(const struct sae_options *options);
/* Values of a row that a feature's encoder sees: width, but width_in of a transcoder, and of a clt
 * one layer's. */
uint32_t sae_in_width(const struct sae_options *options);
/* Values that a row is reconstructed by: width, but width - width_in of a transcoder or clt. */
uint32_t sae_out_width(const struct sae_options *options);
/* Entries of W_enc, W_dec and W_skip together, without those of a clt's W_dec that are always 0; 0
 * for `count`. */
uint64_t sae_weights(const struct sae_options *options);

#endif
