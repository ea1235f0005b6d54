#include "sae/sae.h"

#include "base/err.h"
#include "sae/arch/arch.h"
#include "sae/cpu/blas.h"
#include "sae/cpu/screen.h"
#include "sae/saved.h"
#include "sae/workspace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int own_workspace(struct sae *sae)
{
    int result = sae_workspace_new(&sae->workspace);
    if (result != ERR_OK) return result;
    sae->workspace->arena.shared = 0;
    sae->owns_workspace = 1;
    return ERR_OK;
}

int sae_new(const struct sae_options *options, struct sae **out)
{
    int result = arch_check(options);
    if (result == ERR_OK) result = sae_environment_check();
    if (result != ERR_OK) return result;
    struct sae *sae = calloc(1, sizeof *sae);
    if (!sae) return err_set(ERR_NOMEM, "no memory for an SAE");
    sae->options = *options;
    sae->rate_factor = 1;
    sae->arch = arch_of(options);
    sae->kernels = kernels_best();
    sae->pool = options->pool;
    if (!sae->pool) {
        result = pool_new(options->threads, &sae->pool);
        sae->owns_pool = result == ERR_OK;
    }
    sae->workspace = options->workspace;
    if (result == ERR_OK && !sae->workspace) result = own_workspace(sae);
    if (result == ERR_OK && sae->arch->tensors) result = blas_open(pool_threads(sae->pool));
    if (result == ERR_OK) result = sae->arch->machine->make(sae);
    sae->options.mean = NULL;
    if (result != ERR_OK) {
        sae_free(sae);
        return result;
    }
    *out = sae;
    return ERR_OK;
}

void sae_free(struct sae *sae)
{
    if (!sae) return;
    sae->arch->machine->free(sae);
    if (sae->owns_workspace) sae_workspace_free(sae->workspace);
    if (sae->owns_pool) pool_free(sae->pool);
    free(sae);
}

int sae_bytes(const struct sae_options *options, uint64_t *bytes)
{
    uint64_t shared;
    int result = arch_check(options);
    if (result != ERR_OK) return result;
    *bytes = sizeof(struct sae) + arch_of(options)->machine->bytes(options, &shared);
    return ERR_OK;
}

int sae_shared_bytes(const struct sae_options *options, uint64_t *bytes)
{
    int result = arch_check(options);
    if (result == ERR_OK) arch_of(options)->machine->bytes(options, bytes);
    return result;
}

int sae_train(struct sae *sae, const struct sae_batch *batch, struct sae_step *step)
{
    if (batch->rows == 0 || batch->rows > sae->options.batch_rows)
        return err_set(ERR_LIMIT, "a batch of %u rows; 1 to %u are possible", batch->rows,
                       sae->options.batch_rows);
    memset(step, 0, sizeof *step);
    return sae->arch->machine->train(sae, batch, step);
}

int sae_forward(struct sae *sae, const float *x, uint64_t rows, float *out, float *f)
{
    if (!sae->arch->machine->forward)
        return err_set(ERR_STATE, "%s reconstructs nothing", sae_arch_name(sae->options.arch));
    uint64_t width = sae->options.width, features = sae->options.features;
    uint64_t out_width = sae_out_width(&sae->options);
    double l0, l1;
    for (uint64_t at = 0; at < rows; at += sae->options.batch_rows) {
        uint64_t left = rows - at;
        uint32_t n = left < sae->options.batch_rows ? (uint32_t)left : sae->options.batch_rows;
        int result = sae->arch->machine->forward(sae, x + at * width, n, out + at * out_width,
                                                 f ? f + at * features : NULL, &l0, &l1);
        if (result != ERR_OK) return result;
    }
    return ERR_OK;
}

uint64_t sae_steps(const struct sae *sae)
{
    return sae->steps;
}

void sae_slow(struct sae *sae, double factor)
{
    sae->rate_factor = factor;
}

uint64_t sae_skipped(const struct sae *sae)
{
    return sae->skipped;
}

uint32_t sae_silent(const struct sae *sae, uint64_t rows)
{
    return sae->arch->machine->silent ? sae->arch->machine->silent(sae, rows) : 0;
}

uint64_t sae_fired(struct sae *sae, float *share)
{
    return sae->arch->machine->fired ? sae->arch->machine->fired(sae, share) : 0;
}

int sae_decoder_norms(const struct sae *sae, float *norms)
{
    if (!sae->arch->machine->norms)
        return err_set(ERR_STATE, "%s has no decoder", sae_arch_name(sae->options.arch));
    sae->arch->machine->norms(sae, norms);
    return ERR_OK;
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
    return sae->arch->machine->screen ? sae->arch->machine->screen(sae) : "off";
}

struct sae_parameters sae_parameters(const struct sae *sae)
{
    return sae->arch->machine->parameters ? sae->arch->machine->parameters(sae)
                                          : (struct sae_parameters){0};
}

struct sae_view sae_view(const struct sae *sae)
{
    return (struct sae_view){&sae->options, sae_parameters(sae)};
}

int sae_save(const struct sae *sae, struct checkpoint_writer *writer, const char *name)
{
    int result = saved_options_put(writer, name, &sae->options);
    return result != ERR_OK ? result : sae->arch->machine->save(sae, writer, name);
}

int sae_load(struct sae *sae, const struct checkpoint *checkpoint, const char *name)
{
    struct sae_options then;
    int result = sae_saved_options(checkpoint, name, &then);
    if (result == ERR_OK) result = saved_options_match(&then, &sae->options);
    return result != ERR_OK ? result : sae->arch->machine->load(sae, checkpoint, name);
}
