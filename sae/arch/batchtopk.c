/* The K B largest of a whole batch: Bussmann et al. 2024, arXiv 2412.06410. */
#include "sae/arch/shared.h"

const struct arch arch_batchtopk = {ARCH_BATCHTOPK, .saelens = "jumprelu"};
