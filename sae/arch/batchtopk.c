/* The K B largest of a whole batch: Bussmann et al. 2024, arXiv 2412.06410. */
#include "sae/arch/shared.h"

/* A threshold is all that is left of it. */
static const char *saelens(const struct sae_options *o)
{
    (void)o;
    return "jumprelu";
}

const struct arch arch_batchtopk = {ARCH_BATCHTOPK, .saelens = saelens};
