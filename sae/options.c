#include "sae/options.h"

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

void sae_options_default(enum sae_arch arch, struct sae_options *options)
{
    *options = (struct sae_options){
        .arch = arch,
        .activation = sae_arch_activation(arch),
        .hooks = 1,
        .learning_rate = sae_arch_learning_rate(arch, 0),
        .decoder_lr_factor = sae_arch_decoder_lr_factor(arch, sae_arch_activation(arch)),
        .lambda = sae_arch_lambda(arch),
        .lambda_ramp = sae_arch_lambda_ramp(arch),
        .bandwidth = 2,
        .pre_act_coefficient = 3e-6,
        .levels = arch == SAE_MATRYOSHKA ? 5 : 1,
        .aux_coefficient = 1.0 / 32,
        .decay = 0.2,
        .beta1 = arch == SAE_GATED ? 0 : 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .clip_norm = 1,
        .dead_window_rows = 10000000,
        .batch_rows = 4096,
        .threads = 1,
    };
}

enum sae_arch sae_activation(const struct sae_options *o)
{
    return sae_arch_of_hooks(o->arch) ? o->activation : o->arch;
}

int sae_keeps_largest(const struct sae_options *o)
{
    return sae_arch_keeps_largest(sae_activation(o));
}

uint32_t sae_in_width(const struct sae_options *o)
{
    return o->arch == SAE_TRANSCODER ? o->width_in : o->width;
}

uint32_t sae_out_width(const struct sae_options *o)
{
    return o->arch == SAE_TRANSCODER ? o->width - o->width_in : o->width;
}

uint64_t sae_weights(const struct sae_options *o)
{
    uint64_t in = sae_in_width(o), out = sae_out_width(o);
    return o->arch == SAE_COUNT ? 0 : o->features * (in + out) + (o->skip ? in * out : 0);
}
