#include "sae/encoder.h"

#include "base/err.h"
#include "sae/cpu/blas.h"
#include "sae/cpu/encode.h"

#include <math.h>
#include <stdlib.h>

void encoder_init(struct encoder *e, const struct sae_options *o, const struct kernels *kernels,
                  struct pool *pool)
{
    e->arch = arch_of(o);
    e->kernels = kernels;
    e->pool = pool;
    e->options = o;
    e->arch->room(o, &e->room);
    e->width = sae_out_width(o);
    e->width_in = sae_in_width(o);
    e->row_width = o->width;
    e->target_at = o->width - e->width;
    e->hooks = e->arch->by_hook ? o->hooks : 1;
    e->features = o->features;
    e->layers = sae_layers(o);
    e->layer_features = e->features / e->layers;
    e->subtracts = e->arch->centred;
}

static void lay_scratch(struct encoder *e, struct encode_scratch *s, struct arena *batch)
{
    struct encode_scratch laid = {0}; /* there is no other while arrays are counted */
    laid.block = arena_take(batch, (size_t)BLOCK_ROWS * BLOCK_FEATURES, sizeof *laid.block);
    collector_lay(&laid.active, e->room.keep, e->room.active_limit, batch);
    if (e->room.keep) {
        exact_lay(&laid.exact, e->features, e->layer_features, laid.active.stride, batch);
        screen_rows_lay(&laid.screened, &e->screen, batch);
    }
    if (s) *s = laid;
}

void encoder_lay(struct encoder *e, uint32_t threads, struct arena *own, struct arena *batch)
{
    size_t features = e->features, rows = e->options->batch_rows;
    tensors_lay(e->arch->tensors, e->options, &e->w, own);
    e->norm = arena_take(own, features, sizeof *e->norm);
    e->hook_norm = NULL;
    if (e->arch->by_hook) e->hook_norm = arena_take(own, features * e->hooks, sizeof *e->hook_norm);
    e->threshold = e->w.threshold;
    if (e->arch->way == WAY_BATCH) e->threshold = arena_take(own, features, sizeof *e->threshold);
    e->scratch = arena_take(own, threads, sizeof *e->scratch);

    e->centred = arena_take(batch, rows * e->width, sizeof *e->centred);
    e->row_l1 = arena_take(batch, rows, sizeof *e->row_l1);
    e->row_l0 = arena_take(batch, rows, sizeof *e->row_l0);
    row_lists_lay(&e->active, (uint32_t)rows, (uint32_t)e->room.active, batch);
    const struct screen_kernels *screen = e->layers == 1 ? screen_best() : NULL;
    if (e->room.keep) screen_lay(&e->screen, e->width_in, e->features, screen, batch);
    for (uint32_t t = 0; t < threads; t++)
        lay_scratch(e, e->scratch ? &e->scratch[t] : NULL, batch);
}

void encoder_norm(struct encoder *e, uint32_t f)
{
    uint32_t part = e->width / e->hooks;
    const float *w = e->w.w_dec + (size_t)f * e->width;
    float square, norm = 0;
    for (uint32_t h = 0; h < e->hooks; h++, w += part) {
        e->kernels->dots(&square, w, part, w, 0, NULL, 1);
        if (e->hook_norm) e->hook_norm[(size_t)f * e->hooks + h] = sqrtf(square);
        norm += sqrtf(square);
    }
    e->norm[f] = norm;
}

void encoder_derive(struct encoder *e)
{
    for (uint32_t f = 0; f < e->features; f++) {
        encoder_norm(e, f);
        if (e->arch->unit_norm && e->norm[f] > 0) e->norm[f] = 1.0f;
    }
}

struct sae_parameters encoder_parameters(const struct encoder *e)
{
    return (struct sae_parameters){
        .w_enc = e->w.w_enc,
        .w_dec = e->w.w_dec,
        .b_enc = e->w.b_enc,
        .b_dec = e->w.b_dec,
        .w_skip = e->w.w_skip,
        .threshold = e->threshold,
        .r_mag = e->w.r_mag,
        .b_mag = e->w.b_mag,
        .centred = e->subtracts,
    };
}

void encoder_take(struct encoder *e, const float *x, uint32_t rows)
{
    e->x = x;
    e->rows = rows;
    e->block_rows = encode_rows_of_block(rows);
    e->input = e->subtracts ? e->centred : e->x;
    e->input_stride = e->subtracts ? e->width : e->row_width;
}

static int open_arenas(struct encoder *e, uint32_t threads)
{
    encoder_lay(e, threads, &e->own, &e->batch);
    int result = arena_open(&e->own);
    if (result == ERR_OK) result = arena_open(&e->batch);
    if (result == ERR_OK) encoder_lay(e, threads, &e->own, &e->batch);
    return result;
}

int encoder_new(const struct sae_options *o, struct encoder **out)
{
    struct pool *pool = o->pool;
    int result = arch_check(o);
    if (result == ERR_OK) result = sae_environment_check();
    if (result == ERR_OK && !arch_of(o)->tensors)
        result = err_set(ERR_STATE, "%s has no features", sae_arch_name(o->arch));
    if (result != ERR_OK) return result;
    struct encoder *e = calloc(1, sizeof *e);
    if (!e) return err_set(ERR_NOMEM, "no memory for an encoder");
    if (!pool) result = pool_new(o->threads, &pool);
    if (result == ERR_OK) {
        e->own_options = *o;
        e->own_options.mean = NULL;
        encoder_init(e, &e->own_options, kernels_best(), pool);
        e->owns_pool = !o->pool;
        result = blas_open(pool_threads(pool));
    }
    if (result == ERR_OK) result = open_arenas(e, pool_threads(pool));
    if (result != ERR_OK) {
        encoder_free(e);
        return result;
    }
    *out = e;
    return ERR_OK;
}

void encoder_free(struct encoder *e)
{
    if (!e) return;
    arena_close(&e->own);
    arena_close(&e->batch);
    if (e->owns_pool) pool_free(e->pool);
    free(e);
}
