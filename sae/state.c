/* The sections of a checkpoint that hold an SAE in training. */
#include "sae/state.h"
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

int state_find(const struct checkpoint *checkpoint, const char *name, const struct encoder *e,
               struct state_weights *found)
{
    const void *progress_data;
    struct progress progress;
    size_t bytes = e->w.count * sizeof(float), n, threshold_bytes = e->features * sizeof(float);
    struct state_weights s = {0};
    int result = saved_find(checkpoint, name, "progress", sizeof progress, &progress_data, &n);
    if (result == ERR_OK) result = saved_find(checkpoint, name, "weights", bytes, &s.weights, &n);
    if (result == ERR_OK && e->arch->way == WAY_BATCH)
        result = saved_find(checkpoint, name, "threshold", threshold_bytes, &s.thresholds, &n);
    if (result == ERR_OK) result = check_values(name, "weights", s.weights, e->w.count, -FLT_MAX);
    if (result == ERR_OK && s.thresholds)
        result = check_values(name, "threshold", s.thresholds, e->features, -FLT_MAX);
    if (result != ERR_OK) return result;
    memcpy(&progress, progress_data, sizeof progress);
    s.steps = progress.steps;
    s.skipped = progress.skipped;
    s.density = progress.density >= 0 && progress.density <= 1 ? progress.density : 1;
    *found = s;
    return ERR_OK;
}

void state_take(struct encoder *e, const struct state_weights *found)
{
    memcpy(e->w.all, found->weights, e->w.count * sizeof *e->w.all);
    if (found->thresholds)
        memcpy(e->threshold, found->thresholds, e->features * sizeof *e->threshold);
    encoder_derive(e);
}

int state_load(struct sae *sae, const struct checkpoint *checkpoint, const char *name)
{
    struct dictionary *d = sae->state;
    struct state_weights found;
    const void *moment1, *moment2, *silent, *floor, *target = NULL;
    size_t bytes = d->e.w.count * sizeof(float), n;
    int result = state_find(checkpoint, name, &d->e, &found);
    if (result == ERR_OK) result = saved_find(checkpoint, name, "moment1", bytes, &moment1, &n);
    if (result == ERR_OK) result = saved_find(checkpoint, name, "moment2", bytes, &moment2, &n);
    if (result == ERR_OK)
        result = saved_find(checkpoint, name, "silent_rows", d->e.features * sizeof *d->silent_rows,
                            &silent, &n);
    if (result == ERR_OK && d->e.arch->way == WAY_BATCH)
        result = saved_find(checkpoint, name, "floor", sizeof d->floor, &floor, &n);
    if (result == ERR_OK) result = check_values(name, "moment1", moment1, d->e.w.count, -FLT_MAX);
    if (result == ERR_OK) result = check_values(name, "moment2", moment2, d->e.w.count, 0);
    /* where there was no target before it begins anew */
    if (result == ERR_OK && sae->options.target_l0 > 0 &&
        saved_find(checkpoint, name, "target", SIZE_MAX, &target, &n) == ERR_OK)
        result = check_target(name, target, n);
    if (result != ERR_OK) return result;
    state_take(&d->e, &found);
    memcpy(d->m.all, moment1, bytes);
    memcpy(d->v.all, moment2, bytes);
    memcpy(d->silent_rows, silent, d->e.features * sizeof *d->silent_rows);
    memset(d->fired_rows, 0, d->e.features * sizeof *d->fired_rows);
    d->seen_rows = 0;
    if (d->e.arch->way == WAY_BATCH) memcpy(&d->floor, floor, sizeof d->floor);
    if (target) memcpy(&d->target, target, sizeof d->target);
    sae->steps = found.steps;
    sae->skipped = found.skipped;
    d->density = found.density;
    return ERR_OK;
}
