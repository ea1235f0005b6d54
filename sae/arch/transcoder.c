/*
 * One hook's rows from another's (Dunefsky et al. 2024, arXiv 2406.11944), as any of l1, topk,
 * batchtopk. Paulo et al. 2025, arXiv 2501.18823: at first all rows come out as their mean; with
 * `skip` + W_skip x, so that features are spared what a linear map can do; W_skip begins at zero.
 */
#include "sae/arch/shared.h"

static const struct tensor tensors[] = {TENSORS_OF_ALL, TENSOR(w_skip, TENSOR_OUT_IN, 0, 0, 0),
                                        TENSORS_END};

static int sparsify(const struct sae_options *o)
{
    return o->width_in == sae_out_width(o);
}

#define TRANSCODER                                                                                 \
    .machine = &dictionary_machine, .check = hooks_check, .tensors = tensors,                      \
    .dense = &relu_dense,                                                                          \
    .start = {.norm = ARCH_EVEN_NORM, .encoder_only = 1, .at_mean = 1, .about_mean = 1}

static const struct arch by_l1 = {TRANSCODER, .room = relu_room, .way = WAY_DENSITY,
                                  .saelens = "transcoder", .saelens_skip = "skip_transcoder"};
static const struct arch by_topk = {TRANSCODER, .room = largest_room, .way = WAY_ROWS,
                                    .sparsify = sparsify};
static const struct arch by_batchtopk = {TRANSCODER, .room = largest_batch_room, .way = WAY_BATCH,
                                         .saelens = "jumprelu_transcoder",
                                         .saelens_skip = "jumprelu_skip_transcoder"};

static const struct arch *variant(const struct sae_options *o)
{
    if (o->activation == SAE_BATCHTOPK) return &by_batchtopk;
    return o->activation == SAE_L1 ? &by_l1 : &by_topk;
}

const struct arch arch_transcoder = {.variant = variant};
