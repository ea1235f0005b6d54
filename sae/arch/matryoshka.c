/* As batchtopk, and nested prefixes of the features reconstruct as well: Bussmann et al. 2025,
 * arXiv 2503.17547. The prefixes are options->levels (sae/dictionary.h). */
#include "base/err.h"
#include "sae/arch/shared.h"

static int check(const struct sae_options *o)
{
    int result = largest_check(o);
    if (result != ERR_OK) return result;
    if (o->levels < 1 || o->levels > SAE_MAX_LEVELS || o->features >> (o->levels - 1) == 0)
        return err_set(ERR_USAGE,
                       "levels is %u; it must lie between 1 and %d, and the narrowest, features / "
                       "2^(levels - 1), have a feature",
                       o->levels, SAE_MAX_LEVELS);
    return ERR_OK;
}

const struct arch arch_matryoshka = {
    .machine = &dictionary_machine,
    .check = check,
    .room = largest_batch_room,
    .tensors = tensors_of_all,
    .dense = &relu_dense,
    .way = WAY_BATCH,
    .centred = 1,
    .unit_norm = 1,
    .nests = 1,
    .start = {.norm = 1, .share = 1, .at_mean = 1},
    .saelens = "jumprelu",
};
