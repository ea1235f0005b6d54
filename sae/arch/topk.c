/* The K largest of each row, AuxK for the dead: Gao et al. 2024, arXiv 2406.04093. */
#include "sae/arch/shared.h"

static int sparsify(const struct sae_options *o)
{
    (void)o;
    return 1;
}

const struct arch arch_topk = {ARCH_TOPK, .saelens = "topk", .sparsify = sparsify};
