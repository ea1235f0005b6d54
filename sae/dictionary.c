#include "sae/dictionary.h"

#include "base/err.h"
#include "sae/cpu/encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What follows from the options. */
static void init(struct dictionary *d, const struct sae_options *o, const struct kernels *kernels,
                 struct pool *pool)
{
    encoder_init(&d->e, o, kernels, pool);
    d->levels = d->e.arch->nests ? o->levels : 1;
    for (uint32_t g = 0; g < d->levels; g++) d->prefix[g] = o->features >> (d->levels - 1 - g);
    d->density = 1;
}

static void lay_scratch(struct dictionary *d, struct scratch *s, struct arena *batch)
{
    const size_t block = (size_t)BLOCK_ROWS * BLOCK_FEATURES;
    const struct arch_room *room = &d->e.room;
    struct scratch laid = {0}; /* there is no other while arrays are counted */
    laid.block_two = arena_take(batch, block, sizeof *laid.block_two);
    if (d->e.arch->dense->reconstructs_twice)
        laid.block_three = arena_take(batch, block, sizeof *laid.block_three);
    if (d->e.arch->way == WAY_BATCH)
        laid.bins = arena_take(batch, BATCH_TOPK_BINS, sizeof *laid.bins);
    if (room->k_aux) {
        collector_lay(&laid.aux, room->k_aux, 2 * room->k_aux, batch);
        laid.dead = arena_take(batch, (size_t)BLOCK_FEATURES * d->e.width_in, sizeof *laid.dead);
    }
    if (s) *s = laid;
}

/* Of one step, by rows. */
static void lay_rows(struct dictionary *d, struct arena *batch)
{
    size_t rows = d->e.options->batch_rows, values = rows * d->e.width;
    d->unexplained = d->e.centred;
    if (d->e.options->skip) d->unexplained = arena_take(batch, values, sizeof *d->unexplained);
    d->error = arena_take(batch, d->levels * values, sizeof *d->error);
    d->second_error = NULL;
    if (d->e.arch->dense->reconstructs_twice)
        d->second_error = arena_take(batch, values, sizeof *d->second_error);
    d->row_error = arena_take(batch, rows, sizeof *d->row_error);
    d->row_rest = arena_take(batch, rows, sizeof *d->row_rest);
    d->row_square = arena_take(batch, rows, sizeof *d->row_square);
    d->column_sum = arena_take(batch, d->e.width, sizeof *d->column_sum);
    if (!d->e.room.k_aux) return;
    d->aux_error = arena_take(batch, values, sizeof *d->aux_error);
    d->row_aux = arena_take(batch, rows, sizeof *d->row_aux);
    row_lists_lay(&d->aux, (uint32_t)rows, (uint32_t)d->e.room.aux, batch);
}

/* Of one step, by features. */
static void lay_features(struct dictionary *d, struct arena *batch)
{
    const size_t features = d->e.features;
    tensors_lay(d->e.arch->tensors, d->e.options, &d->g, batch);
    d->feature_square = arena_take(batch, features, sizeof *d->feature_square);
    d->fired = arena_take(batch, features, sizeof *d->fired);
    d->touched = arena_take(batch, features, sizeof *d->touched);
    d->input_gradient = d->g.b_enc;
    if (d->e.arch->dense->reconstructs_twice) /* b_enc, the gate's, learns from other than that */
        d->input_gradient = arena_take(batch, features, sizeof *d->input_gradient);
    d->skip_square = arena_take(batch, d->e.width, sizeof *d->skip_square);
    feature_lists_lay(&d->by_feature, d->e.features, (uint32_t)d->e.room.active, batch);
    if (!d->e.room.k_aux) return;
    d->dead_index = arena_take(batch, features, sizeof *d->dead_index);
    d->dead_bias = arena_take(batch, features, sizeof *d->dead_bias);
    feature_lists_lay(&d->aux_by_feature, d->e.features, (uint32_t)d->e.room.aux, batch);
}

/* All arrays, once: what they take is what this counts. `own` outlives a step, `batch` does not. */
static void lay(struct dictionary *d, uint32_t threads, struct arena *own, struct arena *batch)
{
    encoder_lay(&d->e, threads, own, batch);
    tensors_lay(d->e.arch->tensors, d->e.options, &d->m, own);
    tensors_lay(d->e.arch->tensors, d->e.options, &d->v, own);
    d->silent_rows = arena_take(own, d->e.features, sizeof *d->silent_rows);
    d->fired_rows = arena_take(own, d->e.features, sizeof *d->fired_rows);
    d->ones = arena_take(own, d->e.options->batch_rows, sizeof *d->ones);
    d->scratch = arena_take(own, threads, sizeof *d->scratch);
    lay_rows(d, batch);
    lay_features(d, batch);
    for (uint32_t t = 0; t < threads; t++)
        lay_scratch(d, d->scratch ? &d->scratch[t] : NULL, batch);
}

void dictionary_settle(struct dictionary *d)
{
    struct arena *shared = &d->sae->workspace->arena;
    if (d->laid == shared->base) return;
    d->own.used = shared->used = 0;
    lay(d, pool_threads(d->e.pool), &d->own, shared);
    d->laid = shared->base;
}

static uint64_t bytes_of(const struct sae_options *o, uint64_t *shared)
{
    struct arena own = {0}, batch = {.shared = o->workspace != NULL};
    struct dictionary d = {0};
    init(&d, o, kernels_best(), NULL);
    lay(&d, o->pool ? pool_threads(o->pool) : o->threads, &own, &batch);
    *shared = batch.used;
    return sizeof d + own.used + batch.used;
}

void dictionary_mark_dead(struct dictionary *d)
{
    uint64_t window = d->e.options->dead_window_rows;
    d->dead = 0;
    for (uint32_t f = 0; f < d->e.features; f++) {
        if (d->silent_rows[f] < window) continue;
        if (d->e.room.k_aux) {
            d->dead_index[d->dead] = f;
            d->dead_bias[d->dead] = d->e.w.b_enc[f];
        }
        d->dead++;
    }
}

static int make(struct sae *sae)
{
    const struct sae_options *o = &sae->options;
    struct arena batch = {.shared = sae->workspace->arena.shared};
    struct dictionary *d = calloc(1, sizeof *d);
    sae->state = d;
    if (!d) return err_set(ERR_NOMEM, "no memory for an SAE");
    d->sae = sae;
    init(d, o, sae->kernels, sae->pool);
    lay(d, pool_threads(sae->pool), &d->own, &batch);
    int result = arena_open(&d->own);
    if (result == ERR_OK) result = workspace_reserve(sae->workspace, batch.used);
    if (result != ERR_OK) return result;
    dictionary_settle(d);
    for (uint32_t r = 0; r < o->batch_rows; r++) d->ones[r] = 1.0f;
    start_weights(&d->e, o);
    encoder_derive(&d->e);
    return ERR_OK;
}

static void unmake(struct sae *sae)
{
    struct dictionary *d = sae->state;
    if (!d) return;
    arena_close(&d->own);
    free(d);
}

static uint32_t silent(const struct sae *sae, uint64_t rows)
{
    const struct dictionary *d = sae->state;
    uint32_t count = 0;
    for (uint32_t f = 0; f < d->e.features; f++) count += d->silent_rows[f] >= rows;
    return count;
}

static uint64_t fired(struct sae *sae, float *share)
{
    struct dictionary *d = sae->state;
    uint64_t rows = d->seen_rows;
    for (uint32_t f = 0; f < d->e.features && rows > 0; f++)
        share[f] = (float)((double)d->fired_rows[f] / (double)rows);
    memset(d->fired_rows, 0, d->e.features * sizeof *d->fired_rows);
    d->seen_rows = 0;
    return rows;
}

static void norms(const struct sae *sae, float *out)
{
    const struct encoder *e = &((const struct dictionary *)sae->state)->e;
    for (uint32_t f = 0; f < e->features; f++) {
        const float *part = e->hook_norm ? e->hook_norm + (size_t)f * e->hooks : e->norm + f;
        double square = 0;
        for (uint32_t h = 0; h < (e->hook_norm ? e->hooks : 1); h++)
            square += (double)part[h] * part[h];
        out[f] = (float)sqrt(square);
    }
}

static struct sae_parameters parameters(const struct sae *sae)
{
    return encoder_parameters(&((const struct dictionary *)sae->state)->e);
}

static const char *screen(const struct sae *sae)
{
    const struct encoder *e = &((const struct dictionary *)sae->state)->e;
    return encode_quantizes(e, sae->options.batch_rows) ? e->screen.kernels->name : "off";
}

const struct machine dictionary_machine = {
    .bytes = bytes_of,
    .make = make,
    .free = unmake,
    .train = step_train,
    .forward = step_forward,
    .silent = silent,
    .fired = fired,
    .norms = norms,
    .save = state_save,
    .load = state_load,
    .parameters = parameters,
    .screen = screen,
};
