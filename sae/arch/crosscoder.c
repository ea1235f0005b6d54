/*
 * Several hooks' rows, side by side as one, by the same features (Lindsey et al. 2024), as any of
 * l1, topk, batchtopk. As an SAE on such rows, but for l1's penalty: f_i times the sum over hooks
 * of its direction's norms; and l1's biases start at the mean here.
 */
#include "base/err.h"
#include "sae/arch/shared.h"

static int check(const struct sae_options *o)
{
    int result = hooks_check(o);
    if (result == ERR_OK && (o->hooks < 1 || o->width % o->hooks != 0))
        result = err_set(ERR_USAGE, "rows of %u values are not %u hooks of one width", o->width,
                         o->hooks);
    return result;
}

static const struct arch by_l1 = {
    .machine = &dictionary_machine,
    .check = check,
    .room = relu_room,
    .tensors = tensors_of_all,
    .dense = &relu_dense,
    .way = WAY_DENSITY,
    .by_hook = 1,
    .start = {.norm = 0.1, .share = 1, .at_mean = 1, .about_mean = 1},
};

#define OF_HOOKS(way_, room_, share_)                                                              \
    .machine = &dictionary_machine, .check = check, .room = room_, .tensors = tensors_of_all,      \
    .dense = &relu_dense, .way = way_, .centred = 1, .unit_norm = 1,                               \
    .start = {.norm = 1, .share = share_, .at_mean = 1}

static const struct arch by_topk = {OF_HOOKS(WAY_ROWS, largest_room, 0.1)};
static const struct arch by_batchtopk = {OF_HOOKS(WAY_BATCH, largest_batch_room, 1)};

static const struct arch *variant(const struct sae_options *o)
{
    if (o->activation == SAE_BATCHTOPK) return &by_batchtopk;
    return o->activation == SAE_TOPK ? &by_topk : &by_l1;
}

const struct arch arch_crosscoder = {.variant = variant};
