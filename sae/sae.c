#include "sae/sae.h"

#include "base/err.h"
#include "sae/arch.h"
#include "sae/cpu/blas.h"
#include "sae/cpu/screen.h"
#include "sae/saved.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct arch *arch_of(enum sae_arch arch)
{
    return arch == SAE_COUNT ? &count_arch : &dictionary_arch;
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

static int check_options(const struct sae_options *o)
{
    if ((unsigned)o->arch >= SAE_ARCHS)
        return err_set(ERR_USAGE, "unknown architecture %d", o->arch);
    int code = in_range("width", o->width, 1, SAE_MAX_WIDTH);
    if (!code && o->arch == SAE_TRANSCODER)
        code = in_range("width_in", o->width_in, 1, o->width - 1);
    if (!code) code = in_range("batch_rows", o->batch_rows, 1, SAE_MAX_BATCH_ROWS);
    if (!code && !o->pool) code = in_range("threads", o->threads, 1, SAE_MAX_THREADS);
    if (!code) code = arch_of(o->arch)->check(o);
    if (code || o->arch == SAE_COUNT) return code;
    code = in_range("features", o->features, 1, SAE_MAX_FEATURES);
    if (!code) code = in_range("learning_rate", o->learning_rate, 0, 10);
    if (!code) code = in_range("decoder_lr_factor", o->decoder_lr_factor, 0, 100);
    if (!code) code = in_range("warmup", o->warmup, 0, 1);
    if (!code) code = in_range("decay", o->decay, 0, 1);
    if (!code) code = below("beta1", o->beta1, 0, 1);
    if (!code) code = below("beta2", o->beta2, 0, 1);
    if (!code) code = in_range("epsilon", o->epsilon, 1e-30, 1);
    if (!code) code = in_range("clip_norm", o->clip_norm, 0, 1e15);
    return code;
}

/* Empty is as good as unset. */
static const char *wish(const char *variable)
{
    const char *value = getenv(variable);
    return value && value[0] ? value : NULL;
}

int sae_environment_check(void)
{
    const char *kernels = wish("SLUICE_KERNELS"), *screen = wish("SLUICE_SCREEN");
    const struct screen_kernels *found;
    if (kernels && !kernels_by_name(kernels))
        return err_set(ERR_USAGE, "SLUICE_KERNELS is '%.40s'; this processor runs plain%s%s",
                       kernels, kernels_by_name("avx2") ? ", avx2" : "",
                       kernels_by_name("avx512") ? ", avx512" : "");
    if (screen && !screen_by_name(screen, &found))
        return err_set(ERR_USAGE, "SLUICE_SCREEN is '%.40s'; this processor runs off, plain%s",
                       screen, screen_by_name("vnni", &found) ? ", vnni" : "");
    return ERR_OK;
}

int sae_new(const struct sae_options *options, struct sae **out)
{
    int code = check_options(options);
    if (!code) code = sae_environment_check();
    if (code) return code;
    struct sae *sae = calloc(1, sizeof *sae);
    if (!sae) return err_set(ERR_NOMEM, "no memory for an SAE");
    sae->options = *options;
    sae->arch = arch_of(options->arch);
    sae->kernels = kernels_best();
    sae->pool = options->pool;
    if (!sae->pool) {
        code = pool_new(options->threads, &sae->pool);
        sae->owns_pool = !code;
    }
    if (!code && options->arch != SAE_COUNT) code = blas_open(pool_threads(sae->pool));
    if (!code) code = sae->arch->make(sae);
    sae->options.mean = NULL;
    if (code) {
        sae_free(sae);
        return code;
    }
    *out = sae;
    return ERR_OK;
}

void sae_free(struct sae *sae)
{
    if (!sae) return;
    sae->arch->free(sae);
    if (sae->owns_pool) pool_free(sae->pool);
    free(sae);
}

int sae_bytes(const struct sae_options *options, uint64_t *bytes)
{
    int code = check_options(options);
    if (code) return code;
    *bytes = sizeof(struct sae) + arch_of(options->arch)->bytes(options);
    return ERR_OK;
}

int sae_train(struct sae *sae, const struct sae_batch *batch, struct sae_step *step)
{
    if (batch->rows == 0 || batch->rows > sae->options.batch_rows)
        return err_set(ERR_LIMIT, "a batch of %u rows; 1 to %u are possible", batch->rows,
                       sae->options.batch_rows);
    memset(step, 0, sizeof *step);
    return sae->arch->train(sae, batch, step);
}

int sae_forward(struct sae *sae, const float *x, uint64_t rows, float *out, float *f)
{
    if (!sae->arch->forward)
        return err_set(ERR_STATE, "%s reconstructs nothing", sae_arch_name(sae->options.arch));
    uint64_t width = sae->options.width, features = sae->options.features;
    uint64_t out_width = sae_out_width(&sae->options);
    double l0, l1;
    for (uint64_t at = 0; at < rows; at += sae->options.batch_rows) {
        uint64_t left = rows - at;
        uint32_t n = left < sae->options.batch_rows ? (uint32_t)left : sae->options.batch_rows;
        int code = sae->arch->forward(sae, x + at * width, n, out + at * out_width,
                                      f ? f + at * features : NULL, &l0, &l1);
        if (code) return code;
    }
    return ERR_OK;
}

uint64_t sae_steps(const struct sae *sae)
{
    return sae->steps;
}

uint64_t sae_skipped(const struct sae *sae)
{
    return sae->skipped;
}

uint32_t sae_silent(const struct sae *sae, uint64_t rows)
{
    return sae->arch->silent ? sae->arch->silent(sae, rows) : 0;
}

const struct sae_options *sae_options(const struct sae *sae)
{
    return &sae->options;
}

const char *sae_kernels(const struct sae *sae)
{
    return sae->kernels->name;
}

const char *sae_screen(const struct sae *sae)
{
    return sae->arch->screen ? sae->arch->screen(sae) : "off";
}

struct sae_parameters sae_parameters(const struct sae *sae)
{
    return sae->arch->parameters ? sae->arch->parameters(sae) : (struct sae_parameters){0};
}

int sae_save(const struct sae *sae, struct checkpoint_writer *writer, const char *name)
{
    int code = saved_options_put(writer, name, &sae->options);
    return code ? code : sae->arch->save(sae, writer, name);
}

int sae_load(struct sae *sae, const struct checkpoint *checkpoint, const char *name)
{
    struct sae_options then;
    int code = sae_saved_options(checkpoint, name, &then);
    if (!code) code = saved_options_match(&then, &sae->options);
    return code ? code : sae->arch->load(sae, checkpoint, name);
}
