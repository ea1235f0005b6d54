#include "base/sae_arch.h"

#include <math.h>
#include <string.h>

#define ROW(constant, name, keeps, rate, lambda, ramp) {name, keeps, rate, lambda, ramp},
static const struct {
    const char *name;
    int keeps_largest;
    double learning_rate, lambda, lambda_ramp;
} archs[SAE_ARCHS] = {SAE_ARCH_TABLE(ROW)};

const char *sae_arch_name(enum sae_arch arch)
{
    return (unsigned)arch < SAE_ARCHS ? archs[arch].name : "unknown";
}

int sae_arch_by_name(const char *name)
{
    for (int i = 0; i < SAE_ARCHS; i++)
        if (strcmp(archs[i].name, name) == 0) return i;
    return -1;
}

int sae_arch_of_hooks(enum sae_arch arch)
{
    return arch == SAE_TRANSCODER || arch == SAE_CROSSCODER;
}

enum sae_arch sae_arch_activation(enum sae_arch arch)
{
    if (arch == SAE_TRANSCODER) return SAE_TOPK;
    return arch == SAE_CROSSCODER ? SAE_L1 : arch;
}

int sae_arch_keeps_largest(enum sae_arch arch)
{
    return archs[arch].keeps_largest;
}

double sae_arch_learning_rate(enum sae_arch arch, uint32_t features)
{
    if (archs[arch].learning_rate > 0) return archs[arch].learning_rate;
    return features ? 2e-4 / sqrt(features / 16384.0) : 1e-3;
}

double sae_arch_decoder_lr_factor(enum sae_arch arch, enum sae_arch activation)
{
    /* a transcoder's decoder starts at zero and keeps no norm, whatever its activation */
    return arch != SAE_TRANSCODER && archs[activation].keeps_largest ? 3 : 1;
}

double sae_arch_lambda(enum sae_arch arch)
{
    return archs[arch].lambda;
}

double sae_arch_lambda_ramp(enum sae_arch arch)
{
    return archs[arch].lambda_ramp;
}
