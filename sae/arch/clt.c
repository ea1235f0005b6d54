/*
 * Cross-layer transcoder (Ameisen et al. 2025, "Circuit Tracing"; the objective as Anthropic's update
 * of January 2025): features read one layer each, and all layers up to l together write layer l,
 *
 *   z_i = act(W_enc^i x_i + b_enc^i),   y'_l = sum over i <= l of W_dec^(i to l) z_i + b_dec^l.
 *
 * A row is x_0 .. x_(L-1), y_0 .. y_(L-1). W_dec is (F, L D): a feature of layer i has zeros for the
 * layers before i, which are neither multiplied nor learned. So the norm of its direction is that of
 * all its decoders joined, as the penalties want it, and all else is as for a transcoder.
 */
#include "base/err.h"
#include "sae/arch/shared.h"

static int check(const struct sae_options *o)
{
    uint32_t layers = o->hooks, out = o->width - o->width_in;
    if (o->activation != SAE_JUMPRELU && o->activation != SAE_BATCHTOPK)
        return err_set(ERR_USAGE, "activation is %s; a clt's must be jumprelu or batchtopk",
                       sae_arch_name(o->activation));
    if (layers < 1 || o->width_in % layers != 0 || out % layers != 0)
        return err_set(ERR_USAGE,
                       "rows of %u values, %u of them inputs, are not those of %u layers", o->width,
                       o->width_in, layers);
    if (o->features % layers != 0)
        return err_set(ERR_USAGE,
                       "features is %u; it is shared out evenly among %u layers, so it must be a "
                       "multiple of that",
                       o->features, layers);
    return o->activation == SAE_JUMPRELU ? jumprelu_check(o) : largest_check(o);
}

#define CLT                                                                                        \
    .machine = &dictionary_machine, .check = check,                                                \
    .start = {.norm = ARCH_EVEN_NORM, .encoder_only = 1, .at_mean = 1, .about_mean = 1}

static const struct arch by_jumprelu = {CLT, .room = dense_room, .tensors = jumprelu_tensors,
                                        .dense = &jumprelu_dense, .way = WAY_DENSE};
static const struct arch by_batchtopk = {CLT, .room = largest_batch_room, .tensors = tensors_of_all,
                                         .dense = &relu_dense, .way = WAY_BATCH};

static const struct arch *variant(const struct sae_options *o)
{
    return o->activation == SAE_BATCHTOPK ? &by_batchtopk : &by_jumprelu;
}

const struct arch arch_clt = {.variant = variant};
