/* Shapes on several hooks: their features are like those of another architecture. */
#include "base/err.h"
#include "sae/arch/shared.h"

int hooks_check(const struct sae_options *o)
{
    if (o->activation == SAE_L1) return ERR_OK;
    if (o->activation == SAE_TOPK || o->activation == SAE_BATCHTOPK) return largest_check(o);
    return err_set(ERR_USAGE, "activation is %s; it must be l1, topk or batchtopk",
                   sae_arch_name(o->activation));
}
