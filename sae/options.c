#include "sae/options.h"

#include "base/err.h"
#include "base/row.h"

#include <math.h>
#include <string.h>

#define ROW(constant, name, ...) [constant] = {#name, __VA_ARGS__},
static const struct {
    const char *name;
    unsigned uses; /* enum sae_key */
    enum sae_arch activation;
    double rate, decoder, lambda, ramp, beta1;
    uint32_t levels;
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

/* Whether it is a shape on several hooks, such as a transcoder, with an activation of its own. */
static int sae_arch_of_hooks(enum sae_arch arch)
{
    return (archs[arch].uses & SAE_ACTIVATION) != 0;
}

enum sae_arch sae_arch_activation(enum sae_arch arch)
{
    return archs[arch].activation;
}

int sae_arch_keeps_largest(enum sae_arch arch)
{
    return ((archs[arch].uses | archs[archs[arch].activation].uses) & SAE_LARGEST) != 0;
}

int sae_arch_uses(enum sae_arch arch, enum sae_arch activation, const char *key)
{
    static const struct {
        const char *key;
        unsigned use;
    } keys[] = {
        {"activation", SAE_ACTIVATION},
        {"skip", SAE_SKIP},
        {"k", SAE_LARGEST},
        {"aux_coefficient", SAE_LARGEST},
        {"k_aux", SAE_LARGEST},
        {"lambda", SAE_LAMBDA},
        {"lambda_ramp", SAE_LAMBDA},
        {"target_l0", SAE_LAMBDA},
        {"bandwidth", SAE_JUMPS},
        {"levels", SAE_LEVELS},
        {"pre_act_coefficient", SAE_JUMPS},
    };
    unsigned uses = archs[arch].uses, use = SAE_TRAINS;
    if (uses & SAE_ACTIVATION)
        uses |= archs[activation].uses & (SAE_LARGEST | SAE_LAMBDA | SAE_JUMPS);
    if (strcmp(key, "arch") == 0 || strcmp(key, "name") == 0) return 1;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].key, key) == 0) use = keys[i].use;
    return (uses & use) != 0;
}

double sae_arch_learning_rate(enum sae_arch arch, uint32_t features)
{
    if (archs[arch].rate > 0) return archs[arch].rate;
    return features ? 2e-4 / sqrt(features / 16384.0) : 1e-3;
}

double sae_arch_decoder_lr_factor(enum sae_arch arch, enum sae_arch activation)
{
    return archs[arch].decoder > 0 ? archs[arch].decoder : archs[activation].decoder;
}

double sae_arch_lambda(enum sae_arch arch)
{
    return archs[arch].lambda;
}

double sae_arch_lambda_ramp(enum sae_arch arch)
{
    return archs[arch].ramp;
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
        .levels = archs[arch].levels,
        .aux_coefficient = 1.0 / 32,
        .decay = 0.2,
        .beta1 = archs[arch].beta1,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .clip_norm = 1,
        .dead_window_rows = 10000000,
        .batch_rows = 4096,
        .threads = 1,
    };
}

static int in_range(const char *name, double value, double least, double most)
{
    if (value >= least && value <= most) return ERR_OK; /* NaN is in no range */
    return err_set(ERR_USAGE, "%s is %g; it must lie between %g and %g", name, value, least, most);
}

/* In range from `least` on, but below `bound`. */
static int below(const char *name, double value, double least, double bound)
{
    if (value >= least && value < bound) return ERR_OK;
    return err_set(ERR_USAGE, "%s is %g; it must be at least %g and below %g", name, value, least,
                   bound);
}

/* Whether what goes in and what is to come out lie side by side in a row. */
static int has_two_sides(const struct sae_options *o)
{
    return (archs[o->arch].uses & (SAE_SKIP | SAE_LAYERS)) != 0;
}

_Static_assert((int)SAE_MAX_WIDTH >= (int)ROW_MAX_WIDTH, "an autoencoder sees any row of a stream");

int sae_options_check_rows(const struct sae_options *o)
{
    if ((unsigned)o->arch >= SAE_ARCHS)
        return err_set(ERR_USAGE, "unknown architecture %d", o->arch);
    int result = in_range("width", o->width, 1, SAE_MAX_WIDTH);
    if (result == ERR_OK && has_two_sides(o))
        result = in_range("width_in", o->width_in, 1, o->width - 1);
    if (result == ERR_OK) result = in_range("batch_rows", o->batch_rows, 1, SAE_MAX_BATCH_ROWS);
    if (result == ERR_OK && !o->pool) result = in_range("threads", o->threads, 1, SAE_MAX_THREADS);
    return result;
}

static int check_objective(const struct sae_options *o)
{
    if (!(o->lambda >= 0 && o->lambda <= 1e6) || !(o->lambda_ramp >= 0 && o->lambda_ramp <= 1))
        return err_set(ERR_USAGE, "lambda must be 0 or more, lambda_ramp between 0 and 1");
    if (!(o->aux_coefficient >= 0 && o->aux_coefficient <= 1e6))
        return err_set(ERR_USAGE, "aux_coefficient must be 0 or more");
    if (!(o->pre_act_coefficient >= 0 && o->pre_act_coefficient <= 1e6))
        return err_set(ERR_USAGE, "pre_act_coefficient must be 0 or more");
    if (o->dead_window_rows == 0) return err_set(ERR_USAGE, "dead_window_rows must be 1 or more");
    return ERR_OK;
}

int sae_options_check(const struct sae_options *o)
{
    if (!(archs[o->arch].uses & SAE_TRAINS)) return ERR_OK;
    int result = in_range("features", o->features, 1, SAE_MAX_FEATURES);
    if (result == ERR_OK && o->skip > (archs[o->arch].uses & SAE_SKIP ? 1 : 0))
        return err_set(ERR_USAGE, "skip is %u, and a %s %s", o->skip, archs[o->arch].name,
                       archs[o->arch].uses & SAE_SKIP ? "has one or none" : "has none");
    if (result == ERR_OK) result = check_objective(o);
    if (result == ERR_OK) result = in_range("target_l0", o->target_l0, 0, o->features);
    if (result == ERR_OK) result = in_range("learning_rate", o->learning_rate, 0, 10);
    if (result == ERR_OK) result = in_range("decoder_lr_factor", o->decoder_lr_factor, 0, 100);
    if (result == ERR_OK) result = in_range("warmup", o->warmup, 0, 1);
    if (result == ERR_OK) result = in_range("decay", o->decay, 0, 1);
    if (result == ERR_OK) result = below("beta1", o->beta1, 0, 1);
    if (result == ERR_OK) result = below("beta2", o->beta2, 0, 1);
    if (result == ERR_OK) result = in_range("epsilon", o->epsilon, 1e-30, 1);
    if (result == ERR_OK) result = in_range("clip_norm", o->clip_norm, 0, 1e15);
    return result;
}

enum sae_arch sae_activation(const struct sae_options *o)
{
    return sae_arch_of_hooks(o->arch) ? o->activation : o->arch;
}

int sae_keeps_largest(const struct sae_options *o)
{
    return sae_arch_keeps_largest(sae_activation(o));
}

uint32_t sae_layers(const struct sae_options *o)
{
    return archs[o->arch].uses & SAE_LAYERS && o->hooks > 0 ? o->hooks : 1;
}

uint32_t sae_in_width(const struct sae_options *o)
{
    return has_two_sides(o) ? o->width_in / sae_layers(o) : o->width;
}

uint32_t sae_out_width(const struct sae_options *o)
{
    return has_two_sides(o) ? o->width - o->width_in : o->width;
}

uint64_t sae_weights(const struct sae_options *o)
{
    uint64_t in = sae_in_width(o), out = sae_out_width(o), layers = sae_layers(o);
    if (!(archs[o->arch].uses & SAE_TRAINS)) return 0;
    uint64_t written = o->features * out * (layers + 1) / (2 * layers); /* of W_dec, not always 0 */
    return o->features * in + written + (o->skip ? in * out : 0);
}
