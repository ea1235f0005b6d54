/* The sections of a checkpoint that hold an SAE in training. */
#include "base/err.h"
#include "sae/dictionary.h"
#include "sae/saved.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* What a checkpoint holds besides weights, moments and counters. */
struct progress {
    uint64_t steps, skipped;
    double density;
};

int state_save(const struct sae *sae, struct checkpoint_writer *writer, const char *name)
{
    const struct dictionary *d = sae->state;
    struct progress progress = {sae->steps, sae->skipped, d->density};
    size_t bytes = d->e.w.count * sizeof(float);
    saved_put(writer, name, "progress", &progress, sizeof progress);
    saved_put(writer, name, "weights", d->e.w.all, bytes);
    saved_put(writer, name, "moment1", d->m.all, bytes);
    saved_put(writer, name, "moment2", d->v.all, bytes);
    if (d->e.arch->way == WAY_BATCH) {
        saved_put(writer, name, "threshold", d->e.threshold,
                  d->e.features * sizeof *d->e.threshold);
        saved_put(writer, name, "floor", &d->floor, sizeof d->floor);
    }
    if (sae->options.target_l0 > 0) saved_put(writer, name, "target", &d->target, sizeof d->target);
    return saved_put(writer, name, "silent_rows", d->silent_rows,
                     d->e.features * sizeof *d->silent_rows);
}

/* A training never writes others, so such values are damage that no checksum shows, or malice; one
 * of them would make all the SAE's. */
static int check_values(const char *name, const char *part, const float *x, size_t n, float least)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]) || x[i] < least)
            return err_set(ERR_FORMAT, "checkpoint section '%s.%s' holds %g at place %zu", name,
                           part, (double)x[i], i);
    return ERR_OK;
}

static int check_target(const char *name, const void *data, size_t bytes)
{
    struct target t;
    if (bytes != sizeof t)
        return err_set(ERR_FORMAT, "checkpoint section '%s.target' has %zu bytes, not %zu", name,
                       bytes, sizeof t);
    memcpy(&t, data, sizeof t);
    if (isfinite(t.first_l0) && t.first_l0 >= 0 && isfinite(t.multiplier) && fabs(t.growth) <= 1)
        return ERR_OK;
    return err_set(ERR_FORMAT, "checkpoint section '%s.target' holds %g and %g", name, t.first_l0,
                   t.multiplier);
}

int state_load(struct sae *sae, const struct checkpoint *checkpoint, const char *name)
{
    struct dictionary *d = sae->state;
    const void *progress_data, *weights, *moment1, *moment2, *silent, *threshold, *floor;
    size_t bytes = d->e.w.count * sizeof(float), n;
    struct progress progress;
    int code = saved_find(checkpoint, name, "progress", sizeof progress, &progress_data, &n);
    if (!code) code = saved_find(checkpoint, name, "weights", bytes, &weights, &n);
    if (!code) code = saved_find(checkpoint, name, "moment1", bytes, &moment1, &n);
    if (!code) code = saved_find(checkpoint, name, "moment2", bytes, &moment2, &n);
    if (!code)
        code = saved_find(checkpoint, name, "silent_rows", d->e.features * sizeof *d->silent_rows,
                          &silent, &n);
    size_t threshold_bytes = d->e.features * sizeof *d->e.threshold;
    if (!code && d->e.arch->way == WAY_BATCH)
        code = saved_find(checkpoint, name, "threshold", threshold_bytes, &threshold, &n);
    if (!code && d->e.arch->way == WAY_BATCH)
        code = saved_find(checkpoint, name, "floor", sizeof d->floor, &floor, &n);
    if (!code) code = check_values(name, "weights", weights, d->e.w.count, -FLT_MAX);
    if (!code) code = check_values(name, "moment1", moment1, d->e.w.count, -FLT_MAX);
    if (!code) code = check_values(name, "moment2", moment2, d->e.w.count, 0);
    if (!code && d->e.arch->way == WAY_BATCH)
        code = check_values(name, "threshold", threshold, d->e.features, -FLT_MAX);
    const void *target = NULL; /* where there was none before it begins anew */
    if (!code && sae->options.target_l0 > 0 &&
        saved_find(checkpoint, name, "target", SIZE_MAX, &target, &n) == ERR_OK)
        code = check_target(name, target, n);
    if (code) return code;
    memcpy(&progress, progress_data, sizeof progress);
    if (!(progress.density >= 0 && progress.density <= 1)) progress.density = 1;
    memcpy(d->e.w.all, weights, bytes);
    memcpy(d->m.all, moment1, bytes);
    memcpy(d->v.all, moment2, bytes);
    memcpy(d->silent_rows, silent, d->e.features * sizeof *d->silent_rows);
    if (d->e.arch->way == WAY_BATCH) {
        memcpy(d->e.threshold, threshold, threshold_bytes);
        memcpy(&d->floor, floor, sizeof d->floor);
    }
    if (target) memcpy(&d->target, target, sizeof d->target);
    sae->steps = progress.steps;
    sae->skipped = progress.skipped;
    d->density = progress.density;
    encoder_derive(&d->e);
    return ERR_OK;
}
