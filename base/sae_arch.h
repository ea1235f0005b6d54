/*
 * The architectures of autoencoders: names, and what is each one's default. The configuration and
 * sae/ both read this table; a new architecture begins with a line here.
 */
#ifndef SLUICE_BASE_SAE_ARCH_H
#define SLUICE_BASE_SAE_ARCH_H

#include <stdint.h>

/* Constant, name, whether features compete for places (topk and its kin, which take k), learning
 * rate (0: falls with the number of features), lambda, share of the steps over which it rises. */
#define SAE_ARCH_TABLE(ARCH)                                                                       \
    /* ReLU and a penalty on f_i ||W_dec,i||: "Scaling Monosemanticity" */                         \
    ARCH(SAE_L1, "l1", 0, 5e-5, 5, 0.05)                                                           \
    /* the K largest, AuxK for the dead: Gao et al. 2024, arXiv 2406.04093 */                      \
    ARCH(SAE_TOPK, "topk", 1, 0, 0, 0.05)                                                          \
    /* the K B largest of a whole batch: Bussmann et al. 2024, arXiv 2412.06410 */                 \
    ARCH(SAE_BATCHTOPK, "batchtopk", 1, 0, 0, 0.05)                                                \
    /* the same, and nested prefixes of the features reconstruct as well: Bussmann et al. 2025,    \
     * arXiv 2503.17547 */                                                                         \
    ARCH(SAE_MATRYOSHKA, "matryoshka", 1, 0, 0, 0.05)                                              \
    /* a threshold learned for each feature: Anthropic's update of January 2025 */                 \
    ARCH(SAE_JUMPRELU, "jumprelu", 0, 2e-4, 10, 1)                                                 \
    /* whether and how much apart: Rajamanoharan et al. 2024, arXiv 2404.16014 */                  \
    ARCH(SAE_GATED, "gated", 0, 3e-4, 5, 0.05)                                                     \
    /* one hook's rows from another's: Dunefsky et al. 2024, arXiv 2406.11944; as any of l1, topk, \
     * batchtopk */                                                                                \
    ARCH(SAE_TRANSCODER, "transcoder", 1, 0, 0, 0.05)                                              \
    /* several hooks' rows by the same features: Lindsey et al. 2024, "Sparse Crosscoders for      \
     * Cross-Layer Features and Model Diffing"; as any of the same */                              \
    ARCH(SAE_CROSSCODER, "crosscoder", 0, 5e-5, 5, 0.05)                                           \
    /* one counter a row, keyed by (sequence, position): tests of exactly-once */                  \
    ARCH(SAE_COUNT, "count", 0, 1e-3, 0, 0.05)

#define SAE_ARCH_CONSTANT(constant, ...) constant,
enum sae_arch { SAE_ARCH_TABLE(SAE_ARCH_CONSTANT) SAE_ARCHS /* how many there are */ };
#undef SAE_ARCH_CONSTANT

/* "l1", "topk", ..., "unknown"; and back: -1 if there is none of that name. */
const char *sae_arch_name(enum sae_arch arch);
int sae_arch_by_name(const char *name);
/* Whether it is a shape on several hooks, transcoder or crosscoder, with an activation of its own.
 */
int sae_arch_of_hooks(enum sae_arch arch);
/* What a transcoder's (topk) or crosscoder's (l1) features are like unless told otherwise; of the
 * others, the architecture itself. Whose defaults are asked for below. */
enum sae_arch sae_arch_activation(enum sae_arch arch);
/* Whether it is topk or its kin: features compete for places, and AuxK revives the dead. */
int sae_arch_keeps_largest(enum sae_arch arch);
/* Default of Adam's rate. Of topk and its kin 2e-4 / sqrt(features / 16384), after Gao et al.'s
 * figure; features = 0 (not known yet): 1e-3, as of some 650. */
double sae_arch_learning_rate(enum sae_arch arch, uint32_t features);
/* Default of what that rate is multiplied by for the decoder's weights: 3 for topk, batchtopk and
 * matryoshka, and a crosscoder of those, by which SmolLM2's held-out FVE gained 0.007 to 0.009, and
 * which is in no paper (docs/decisions.md); else 1. */
double sae_arch_decoder_lr_factor(enum sae_arch arch, enum sae_arch activation);
/* Defaults of the coefficient of sparsity (0 where there is none), and of its ramp. */
double sae_arch_lambda(enum sae_arch arch);
double sae_arch_lambda_ramp(enum sae_arch arch);

#endif
