/* What several architectures share. For the files of this folder. */
#ifndef SLUICE_SAE_ARCH_SHARED_H
#define SLUICE_SAE_ARCH_SHARED_H

#include "sae/arch/arch.h"

/* relu.c: f = y where y exceeds the feature's threshold (0 without one); lambda f ||W_dec||. */
extern const struct arch_dense relu_dense;
void relu_values(const struct encoder *e, uint32_t n, uint32_t f, uint32_t m, float *y);
/* relu.c: lists of what exceeds 0, up to the share that makes a step dense. */
void relu_room(const struct sae_options *options, struct arch_room *room);
/* relu.c: no lists: always dense. */
void dense_room(const struct sae_options *options, struct arch_room *room);

/* jumprelu.c: thresholds that are learned, and their penalties; always dense. */
extern const struct arch_dense jumprelu_dense;
extern const struct tensor jumprelu_tensors[];
int jumprelu_check(const struct sae_options *options);

/* largest.c: those whose features compete for places: k, and AuxK. */
int largest_check(const struct sae_options *options);
void largest_room(const struct sae_options *options, struct arch_room *room);       /* of a row */
void largest_batch_room(const struct sae_options *options, struct arch_room *room); /* of a batch */

/* Gao et al. 2024, arXiv 2406.04093, appendix A: the encoder starts as the decoder's transpose (of
 * topk a tenth of it, which explains more: docs/decisions.md), decoder directions keep norm 1 and
 * their gradients lose what points along them. */
#define ARCH_TOPK                                                                                  \
    .machine = &dictionary_machine, .check = largest_check, .room = largest_room,                  \
    .tensors = tensors_of_all, .dense = &relu_dense, .way = WAY_ROWS, .centred = 1,                \
    .unit_norm = 1, .start = {.norm = 1, .share = 0.1, .at_mean = 1}
#define ARCH_BATCHTOPK                                                                             \
    .machine = &dictionary_machine, .check = largest_check, .room = largest_batch_room,            \
    .tensors = tensors_of_all, .dense = &relu_dense, .way = WAY_BATCH, .centred = 1,               \
    .unit_norm = 1, .start = {.norm = 1, .share = 1, .at_mean = 1}

#define ARCH_EVEN_NORM 0.57735 /* a direction's whose entries are even in +-1/sqrt(D) */

/* hooks.c: transcoder, crosscoder: their activation is one of those that they can have, and its own
 * check. */
int hooks_check(const struct sae_options *options);

#endif
