#include "sae/dictionary.h"

#include "base/err.h"
#include "base/rng.h"
#include "sae/saved.h"
#include "sae/schedule.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Above this share of active features a step goes the dense way. At D 576, F 4608 lists are faster
 * up to a quarter; but a batch's lists take 24 bytes a pair, and only the first steps are so dense.
 */
static const double dense_above = 0.15;

static const float start_threshold = 0.1f; /* jumprelu's */

/* Gao et al. 2024, arXiv 2406.04093, appendix A: the encoder starts as the decoder's transpose (of
 * topk a tenth of it, which explains more: docs/decisions.md), decoder directions keep norm 1 and
 * their gradients lose what points along them. */
#define KEEPS_LARGEST .centred = 1, .starts_at_mean = 1, .unit_norm = 1, .start_norm = 1

#define EVEN_NORM     0.57735 /* a direction's whose entries are even in +-1/sqrt(D) */

static const struct recipe recipes[] = {
    /* "Scaling Monosemanticity" and the April 2024 update it builds on. */
    [SAE_L1] = {.start_norm = 0.1, .start_share = 1},
    [SAE_TOPK] = {KEEPS_LARGEST, .start_share = 0.1},
    [SAE_BATCHTOPK] = {KEEPS_LARGEST, .start_share = 1, .per_batch = 1},
    [SAE_MATRYOSHKA] = {KEEPS_LARGEST, .start_share = 1, .per_batch = 1},
    /* Rajamanoharan et al. 2024, arXiv 2404.16014. */
    [SAE_GATED] = {.gates = 1,
                   .centred = 1,
                   .starts_at_mean = 1,
                   .unit_norm = 1,
                   .start_norm = 1,
                   .start_share = 1},
    /* Anthropic's update of January 2025. */
    [SAE_JUMPRELU] = {.jumps = 1, .fires_about_mean = 1, .start_norm = EVEN_NORM},
};

/* Paulo et al. 2025, arXiv 2501.18823: at first all rows come out as their mean. */
#define TRANSCODES                                                                                 \
    .transcodes = 1, .starts_at_mean = 1, .fires_about_mean = 1, .start_norm = EVEN_NORM

static const struct recipe transcoders[] = {
    [SAE_L1] = {TRANSCODES},
    [SAE_TOPK] = {TRANSCODES},
    [SAE_BATCHTOPK] = {TRANSCODES, .per_batch = 1},
};

/* As an SAE on the rows of all hooks side by side, but for l1's penalty: f_i times the sum over
 * hooks of its direction's norms (Lindsey et al. 2024); and l1's biases start at the mean here. */
static const struct recipe crosscoders[] = {
    [SAE_L1] = {.by_hook = 1,
                .starts_at_mean = 1,
                .fires_about_mean = 1,
                .start_norm = 0.1,
                .start_share = 1},
    [SAE_TOPK] = {KEEPS_LARGEST, .start_share = 0.1},
    [SAE_BATCHTOPK] = {KEEPS_LARGEST, .start_share = 1, .per_batch = 1},
};

static const struct recipe *recipe_of(const struct sae_options *o)
{
    if (o->arch == SAE_TRANSCODER) return &transcoders[o->activation];
    if (o->arch == SAE_CROSSCODER) return &crosscoders[o->activation];
    return &recipes[o->arch];
}

/* Pairs that lists have room for; features and candidates that a row may have. */
struct capacity {
    uint64_t active, aux;
    uint32_t keep, k_aux, active_limit;
};

static uint32_t power_of_two_near(uint32_t n)
{
    uint32_t p = 1;
    while (2 * (uint64_t)p <= n) p *= 2;
    return n - p <= 2 * (uint64_t)p - n ? p : 2 * p;
}

static struct capacity capacity_of(const struct sae_options *o)
{
    struct capacity c = {0};
    const struct recipe *recipe = recipe_of(o);
    if (sae_keeps_largest(o)) {
        uint64_t most = 64ull * o->k; /* of one row, where the whole batch shares its places */
        c.keep = !recipe->per_batch ? o->k : most < o->features ? (uint32_t)most : o->features;
        c.active_limit = c.keep + 48 * o->k + BLOCK_FEATURES;
        uint32_t all = o->features + BLOCK_FEATURES; /* a list is never longer */
        if (c.active_limit > all) c.active_limit = all;
        c.active = (uint64_t)o->batch_rows * o->k * (recipe->per_batch ? 2 : 1);
        uint32_t half = sae_out_width(o) / 2;
        c.k_aux = o->k_aux ? o->k_aux : power_of_two_near(half ? half : 1);
        if (c.k_aux > o->features) c.k_aux = o->features;
        if (o->aux_coefficient <= 0) c.k_aux = 0;
        c.aux = (uint64_t)o->batch_rows * c.k_aux;
    } else if (recipe->jumps || recipe->gates) {
        c.active_limit = 1; /* no lists: always dense */
        c.active = 1;
    } else {
        /* The share that makes a step dense, and room for a step that is on its way there. */
        c.active_limit = o->features / 4 + 1;
        c.active = (uint64_t)((double)o->batch_rows * o->features * dense_above * 1.25) + 1;
    }
    return c;
}

static int dictionary_check(const struct sae_options *o)
{
    if (sae_arch_of_hooks(o->arch) && o->activation != SAE_L1 && o->activation != SAE_TOPK &&
        o->activation != SAE_BATCHTOPK)
        return err_set(ERR_USAGE, "activation is %s; it must be l1, topk or batchtopk",
                       sae_arch_name(o->activation));
    if (o->arch == SAE_CROSSCODER && (o->hooks < 1 || o->width % o->hooks != 0))
        return err_set(ERR_USAGE, "rows of %u values are not %u hooks of one width", o->width,
                       o->hooks);
    struct capacity c = capacity_of(o);
    if (sae_keeps_largest(o) && (o->k < 1 || o->k > o->features))
        return err_set(ERR_USAGE, "k is %u; it must lie between 1 and features (%u)", o->k,
                       o->features);
    if (!(o->lambda >= 0 && o->lambda <= 1e6) || !(o->lambda_ramp >= 0 && o->lambda_ramp <= 1))
        return err_set(ERR_USAGE, "lambda must be 0 or more, lambda_ramp between 0 and 1");
    if (!(o->aux_coefficient >= 0 && o->aux_coefficient <= 1e6))
        return err_set(ERR_USAGE, "aux_coefficient must be 0 or more");
    if (o->arch == SAE_MATRYOSHKA &&
        (o->levels < 1 || o->levels > SAE_MAX_LEVELS || o->features >> (o->levels - 1) == 0))
        return err_set(ERR_USAGE,
                       "levels is %u; it must lie between 1 and %d, and the narrowest, features / "
                       "2^(levels - 1), have a feature",
                       o->levels, SAE_MAX_LEVELS);
    if (o->arch == SAE_JUMPRELU && !(o->bandwidth > 0 && o->bandwidth <= 1e6))
        return err_set(ERR_USAGE, "bandwidth is %g; it must be above 0", o->bandwidth);
    if (!(o->pre_act_coefficient >= 0 && o->pre_act_coefficient <= 1e6))
        return err_set(ERR_USAGE, "pre_act_coefficient must be 0 or more");
    if (o->dead_window_rows == 0) return err_set(ERR_USAGE, "dead_window_rows must be 1 or more");
    if (c.active > INT32_MAX || c.aux > INT32_MAX)
        return err_set(ERR_USAGE, "batch_rows times active features a row is beyond 2^31; HINT: "
                                  "take a smaller batch");
    return ERR_OK;
}

static size_t padded(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static size_t skip_floats(const struct sae_options *o)
{
    int skips = recipe_of(o)->transcodes && o->skip;
    return skips ? padded((size_t)sae_out_width(o) * o->width_in) : 0;
}

static size_t parameter_floats(const struct sae_options *o)
{
    /* jumprelu's thresholds, gated's two of a feature */
    int others = recipe_of(o)->jumps + 2 * recipe_of(o)->gates;
    size_t features = o->features, width = sae_out_width(o);
    return padded(features * sae_in_width(o)) + padded(features * width) + padded(features) +
           padded(width) + (size_t)others * padded(features) + skip_floats(o);
}

static uint64_t selection_bytes(const struct sae_options *o, const struct capacity *c)
{
    return exact_bytes(o->features, c->active_limit + BLOCK_FEATURES) +
           (c->k_aux ? 4ull * BLOCK_FEATURES * sae_in_width(o) : 0) +
           screen_rows_bytes(sae_in_width(o), screen_best());
}

static uint64_t dictionary_bytes(const struct sae_options *o)
{
    struct capacity c = capacity_of(o);
    uint64_t rows = o->batch_rows, features = o->features, width = sae_out_width(o);
    const struct recipe *recipe = recipe_of(o);
    uint64_t threads = o->pool ? pool_threads(o->pool) : o->threads;
    uint64_t scratch = 2ull * BLOCK_ROWS * BLOCK_FEATURES * 4 + collector_bytes(c.active_limit);
    uint64_t sum = 4 * 4 * parameter_floats(o) + features * (4 + 8 + 8 + 2);
    if (recipe->by_hook) sum += features * o->hooks * 4;
    if (skip_floats(o)) sum += rows * width * 4 + width * 8;
    if (recipe->gates) {
        sum += rows * width * 4 + features * 4;
        scratch += 1ull * BLOCK_ROWS * BLOCK_FEATURES * 4;
    }
    uint64_t levels = o->arch == SAE_MATRYOSHKA ? o->levels : 1;
    sum += rows * width * 4 * (1 + levels + (c.k_aux ? 1 : 0)) + rows * (4 + 6 * 8) + width * 4;
    if (recipe->per_batch) {
        sum += features * 4;
        scratch += BATCH_TOPK_BINS * 8;
    }
    if (c.keep) {
        sum += screen_bytes(sae_in_width(o), o->features, screen_best());
        scratch += selection_bytes(o, &c);
    }
    sum += row_lists_bytes(o->batch_rows, (uint32_t)c.active);
    sum += feature_lists_bytes(o->features, (uint32_t)c.active);
    if (c.k_aux) {
        sum += row_lists_bytes(o->batch_rows, (uint32_t)c.aux) + features * 8;
        sum += feature_lists_bytes(o->features, (uint32_t)c.aux);
        scratch += collector_bytes(2 * c.k_aux);
    }
    return sum + threads * scratch;
}

static void *zeroed(size_t count, size_t bytes)
{
    void *block = aligned_alloc(64, (count * bytes + 63) / 64 * 64 + 64);
    if (block) memset(block, 0, count * bytes);
    return block;
}

static int parameters_new(struct parameters *p, const struct sae_options *o)
{
    p->count = parameter_floats(o);
    p->all = zeroed(p->count, sizeof(float));
    if (!p->all) return err_set(ERR_NOMEM, "no memory for %zu weights", p->count);
    p->w_enc = p->all;
    p->w_dec = p->w_enc + padded((size_t)o->features * sae_in_width(o));
    p->b_enc = p->w_dec + padded((size_t)o->features * sae_out_width(o));
    p->b_dec = p->b_enc + padded(o->features);
    float *rest = p->b_dec + padded(sae_out_width(o));
    if (recipe_of(o)->jumps) p->threshold = rest;
    if (skip_floats(o)) p->w_skip = rest;
    if (!recipe_of(o)->gates) return ERR_OK;
    p->r_mag = rest;
    p->b_mag = rest + padded(o->features);
    return ERR_OK;
}

/* Of rows whose largest are kept: what encode.c needs. */
static int selection_new(struct dictionary *d, struct scratch *s)
{
    s->dead = zeroed(d->k_aux ? BLOCK_FEATURES * (size_t)d->width_in : 0, sizeof *s->dead);
    if (!s->dead) return err_set(ERR_NOMEM, "no memory for the threads' scratch");
    int code = exact_new(&s->exact, d->features, s->active.stride);
    return code ? code : screen_rows_new(&s->screened, &d->screen);
}

static int scratch_new(struct dictionary *d, const struct capacity *c)
{
    d->scratch = calloc(pool_threads(d->pool), sizeof *d->scratch);
    if (!d->scratch) return err_set(ERR_NOMEM, "no memory for the threads' scratch");
    int code = ERR_OK;
    for (uint32_t t = 0; t < pool_threads(d->pool) && !code; t++) {
        struct scratch *s = &d->scratch[t];
        s->block = zeroed((size_t)BLOCK_ROWS * BLOCK_FEATURES, sizeof *s->block);
        s->block_two = zeroed((size_t)BLOCK_ROWS * BLOCK_FEATURES, sizeof *s->block);
        if (d->recipe->gates)
            s->block_three = zeroed((size_t)BLOCK_ROWS * BLOCK_FEATURES, sizeof *s->block);
        if (!s->block || !s->block_two || (d->recipe->gates && !s->block_three))
            return err_set(ERR_NOMEM, "no memory for the threads' scratch");
        if (d->recipe->per_batch) {
            s->bins = zeroed(BATCH_TOPK_BINS, sizeof *s->bins);
            if (!s->bins) return err_set(ERR_NOMEM, "no memory for the threads' scratch");
        }
        code = collector_new(&s->active, d->keep, c->active_limit);
        if (!code && d->k_aux) code = collector_new(&s->aux, d->k_aux, 2 * d->k_aux);
        if (!code && d->keep) code = selection_new(d, s);
    }
    return code;
}

static int arrays_new(struct dictionary *d, uint32_t rows)
{
    size_t batch = (size_t)rows * d->width, features = d->features;
    d->norm = zeroed(features, sizeof *d->norm);
    d->silent_rows = zeroed(features, sizeof *d->silent_rows);
    d->feature_square = zeroed(features, sizeof *d->feature_square);
    d->fired = zeroed(features, sizeof *d->fired);
    d->touched = zeroed(features, sizeof *d->touched);
    d->centred = zeroed(batch, sizeof *d->centred);
    d->error = zeroed(d->levels * batch, sizeof *d->error);
    d->threshold = d->recipe->per_batch ? zeroed(features, sizeof *d->threshold) : d->w.threshold;
    d->unexplained = d->w.w_skip ? zeroed(batch, sizeof *d->unexplained) : d->centred;
    d->skip_square = zeroed(d->w.w_skip ? d->width : 0, sizeof *d->skip_square);
    d->hook_norm = zeroed(d->recipe->by_hook ? features * d->hooks : 0, sizeof *d->hook_norm);
    d->aux_error = zeroed(d->k_aux || d->recipe->gates ? batch : 0, sizeof *d->aux_error);
    d->input_gradient = d->recipe->gates ? zeroed(features, sizeof *d->input_gradient) : d->g.b_enc;
    d->ones = zeroed(rows, sizeof *d->ones);
    d->row_error = zeroed(rows, sizeof *d->row_error);
    d->row_rest = zeroed(rows, sizeof *d->row_rest);
    d->row_square = zeroed(rows, sizeof *d->row_square);
    d->row_aux = zeroed(rows, sizeof *d->row_aux);
    d->row_l1 = zeroed(rows, sizeof *d->row_l1);
    d->row_l0 = zeroed(rows, sizeof *d->row_l0);
    d->column_sum = zeroed(d->width, sizeof *d->column_sum);
    d->dead_bias = zeroed(d->k_aux ? features : 0, sizeof *d->dead_bias);
    d->dead_index = zeroed(d->k_aux ? features : 0, sizeof *d->dead_index);
    if (!d->norm || !d->silent_rows || !d->feature_square || !d->fired || !d->touched ||
        !d->centred || !d->error || !d->aux_error || !d->ones || !d->row_error || !d->row_rest ||
        !d->row_square || !d->row_aux || !d->row_l1 || !d->row_l0 || !d->column_sum ||
        !d->dead_bias || !d->dead_index || !d->input_gradient || !d->unexplained ||
        !d->skip_square || !d->hook_norm || (d->recipe->per_batch && !d->threshold))
        return err_set(ERR_NOMEM, "no memory for batches of %u rows", rows);
    for (uint32_t r = 0; r < rows; r++) d->ones[r] = 1.0f;
    return ERR_OK;
}

static void random_direction(struct rng *rng, float *w, uint32_t width, double norm)
{
    double square = 0;
    for (uint32_t i = 0; i < width; i++) {
        w[i] = (float)rng_normal(rng);
        square += (double)w[i] * w[i];
    }
    double scale = square > 0 ? norm / sqrt(square) : 0;
    for (uint32_t i = 0; i < width; i++) w[i] = (float)(w[i] * scale);
}

/* A decoder's direction of norm start_norm (of each hook), and the encoder's its transpose, or a
 * share of it; or, where they see different things, the encoder's alone. */
static void start_direction(struct dictionary *d, struct rng *rng, uint32_t f)
{
    float *w_enc = d->w.w_enc + (size_t)f * d->width_in, *w_dec = d->w.w_dec + (size_t)f * d->width;
    if (d->recipe->transcodes) {
        random_direction(rng, w_enc, d->width_in, d->recipe->start_norm);
        return;
    }
    uint32_t part = d->width / d->hooks;
    for (uint32_t h = 0; h < d->hooks; h++)
        random_direction(rng, w_dec + h * part, part, d->recipe->start_norm);
    double share =
        d->recipe->start_share > 0 ? d->recipe->start_share : (double)d->width / d->features;
    for (uint32_t i = 0; i < d->width; i++) w_enc[i] = (float)share * w_dec[i];
}

/* Directions random, biases 0 or as the recipe says. */
static void start_weights(struct dictionary *d, const struct sae_options *options)
{
    struct rng rng;
    const float *mean = options->mean;
    rng_seed(&rng, options->seed);
    for (uint32_t f = 0; f < d->features; f++) {
        start_direction(d, &rng, f);
        if (d->w.threshold) d->w.threshold[f] = start_threshold;
        for (uint32_t i = 0; d->recipe->fires_about_mean && mean && i < d->width_in; i++)
            d->w.b_enc[f] -= d->w.w_enc[(size_t)f * d->width_in + i] * mean[i];
    }
    if (d->recipe->starts_at_mean && mean)
        memcpy(d->w.b_dec, mean + d->target_at, d->width * sizeof *d->w.b_dec);
}

void dictionary_norm(struct dictionary *d, uint32_t f)
{
    uint32_t part = d->width / d->hooks;
    const float *w = d->w.w_dec + (size_t)f * d->width;
    float square, norm = 0;
    for (uint32_t h = 0; h < d->hooks; h++, w += part) {
        d->kernels->dots(&square, w, part, w, 0, NULL, 1);
        if (d->recipe->by_hook) d->hook_norm[(size_t)f * d->hooks + h] = sqrtf(square);
        norm += sqrtf(square);
    }
    d->norm[f] = norm;
}

/* What is computed from weights and counters, after they were set from outside. */
static void derive(struct dictionary *d)
{
    for (uint32_t f = 0; f < d->features; f++) {
        dictionary_norm(d, f);
        if (d->recipe->unit_norm && d->norm[f] > 0) d->norm[f] = 1.0f;
    }
}

static void mark_dead(struct dictionary *d)
{
    uint64_t window = d->sae->options.dead_window_rows;
    d->dead = 0;
    for (uint32_t f = 0; f < d->features; f++) {
        if (d->silent_rows[f] < window) continue;
        if (d->k_aux) {
            d->dead_index[d->dead] = f;
            d->dead_bias[d->dead] = d->w.b_enc[f];
        }
        d->dead++;
    }
}

static int dictionary_make(struct sae *sae)
{
    const struct sae_options *o = &sae->options;
    struct capacity c = capacity_of(o);
    struct dictionary *d = calloc(1, sizeof *d);
    sae->state = d;
    if (!d) return err_set(ERR_NOMEM, "no memory for an SAE");
    d->sae = sae;
    d->recipe = recipe_of(o);
    d->kernels = sae->kernels;
    d->pool = sae->pool;
    d->width = sae_out_width(o);
    d->width_in = sae_in_width(o);
    d->row_width = o->width;
    d->target_at = o->width - d->width;
    d->hooks = d->recipe->by_hook ? o->hooks : 1;
    d->features = o->features;
    d->keep = c.keep;
    d->levels = o->arch == SAE_MATRYOSHKA ? o->levels : 1;
    for (uint32_t g = 0; g < d->levels; g++) d->prefix[g] = o->features >> (d->levels - 1 - g);
    d->k_aux = c.k_aux;
    d->density = 1;
    int code = parameters_new(&d->w, o);
    if (!code) code = parameters_new(&d->g, o);
    if (!code) code = parameters_new(&d->m, o);
    if (!code) code = parameters_new(&d->v, o);
    if (!code) code = arrays_new(d, o->batch_rows);
    if (!code) code = row_lists_new(&d->active, o->batch_rows, (uint32_t)c.active);
    if (!code) code = feature_lists_new(&d->by_feature, o->features, (uint32_t)c.active);
    if (!code && c.k_aux) code = row_lists_new(&d->aux, o->batch_rows, (uint32_t)c.aux);
    if (!code && c.k_aux)
        code = feature_lists_new(&d->aux_by_feature, o->features, (uint32_t)c.aux);
    if (!code && d->keep) code = screen_new(&d->screen, d->width_in, o->features, screen_best());
    if (!code) code = scratch_new(d, &c);
    if (code) return code;
    start_weights(d, o);
    derive(d);
    return ERR_OK;
}

static void dictionary_free(struct sae *sae)
{
    struct dictionary *d = sae->state;
    if (!d) return;
    void *blocks[] = {d->w.all,
                      d->g.all,
                      d->m.all,
                      d->v.all,
                      d->norm,
                      d->silent_rows,
                      d->feature_square,
                      d->fired,
                      d->touched,
                      d->centred,
                      d->error,
                      d->aux_error,
                      d->ones,
                      d->row_error,
                      d->row_square,
                      d->row_aux,
                      d->row_l1,
                      d->row_l0,
                      d->column_sum,
                      d->dead_bias,
                      d->dead_index,
                      d->row_rest,
                      d->skip_square,
                      d->hook_norm,
                      d->w.w_skip ? d->unexplained : NULL,
                      d->recipe->per_batch ? d->threshold : NULL,
                      d->recipe->gates ? d->input_gradient : NULL};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) free(blocks[i]);
    row_lists_free(&d->active);
    row_lists_free(&d->aux);
    feature_lists_free(&d->by_feature);
    feature_lists_free(&d->aux_by_feature);
    for (uint32_t t = 0; d->scratch && t < pool_threads(d->pool); t++) {
        free(d->scratch[t].block);
        free(d->scratch[t].block_two);
        free(d->scratch[t].block_three);
        free(d->scratch[t].bins);
        exact_free(&d->scratch[t].exact);
        free(d->scratch[t].dead);
        screen_rows_free(&d->scratch[t].screened);
        collector_free(&d->scratch[t].active);
        collector_free(&d->scratch[t].aux);
    }
    free(d->scratch);
    screen_free(&d->screen);
    free(d);
}

static double sum(const double *x, uint32_t n)
{
    double total = 0;
    for (uint32_t i = 0; i < n; i++) total += x[i];
    return total;
}

/* The batch's own variance: sum ||x - mean||^2 = sum ||y||^2 - ||sum y||^2 / rows, y = x - b_dec.
 */
static double total_variance(const struct dictionary *d)
{
    double mean_square = 0;
    for (uint32_t i = 0; i < d->width; i++)
        mean_square += (double)d->column_sum[i] * d->column_sum[i];
    return sum(d->row_square, d->rows) - mean_square / d->rows;
}

/* Whether no row differs from the first: then the variance above is only rounding. */
static int rows_are_equal(const struct dictionary *d)
{
    const float *first = d->x + d->target_at;
    for (uint32_t r = 1; r < d->rows; r++)
        if (memcmp(first + (size_t)r * d->row_width, first, d->width * sizeof *first) != 0)
            return 0;
    return 1;
}

static void report(const struct dictionary *d, struct sae_step *step)
{
    double rows = d->rows, error = sum(d->row_error, d->rows), variance = total_variance(d);
    step->mse = error / rows;
    step->fve = variance > 0 && !rows_are_equal(d) ? 1 - error / variance : NAN;
    step->l0 = sum(d->row_l0, d->rows) / rows;
    step->l1 = sum(d->row_l1, d->rows) / rows;
    step->aux = d->with_aux ? sum(d->row_aux, d->rows) / rows : 0;
    step->lambda = d->lambda;
    step->rest = sum(d->row_rest, d->rows) / rows;
    step->loss = step->mse + step->rest;
    /* the others' penalties are in the rest */
    if (!d->recipe->jumps && !d->recipe->gates) step->loss += step->lambda * step->l1;
    if (d->with_aux) step->loss += d->sae->options.aux_coefficient * step->aux;
    double square = sum(d->feature_square, d->features);
    for (uint32_t i = 0; i < d->width; i++) square += (double)d->g.b_dec[i] * d->g.b_dec[i];
    if (d->w.w_skip) square += sum(d->skip_square, d->width);
    step->gradient_norm = sqrt(square);
}

static struct adam_rate adam_rate(const struct sae *sae, const struct sae_step *step)
{
    const struct sae_options *o = &sae->options;
    double t = (double)sae->steps + 1, clip = 1;
    if (o->clip_norm > 0 && step->gradient_norm > o->clip_norm)
        clip = o->clip_norm / step->gradient_norm;
    return (struct adam_rate){
        .gradient_scale = (float)clip,
        .beta1 = (float)o->beta1,
        .beta2 = (float)o->beta2,
        .step = (float)(step->learning_rate / (1 - pow(o->beta1, t))),
        .root = (float)(1 / sqrt(1 - pow(o->beta2, t))),
        .epsilon = (float)o->epsilon,
    };
}

static void count_silence(struct dictionary *d)
{
    for (uint32_t f = 0; f < d->features; f++)
        d->silent_rows[f] = d->fired[f] ? 0 : d->silent_rows[f] + d->rows;
}

static int dictionary_train(struct sae *sae, const struct sae_batch *batch, struct sae_step *step)
{
    struct dictionary *d = sae->state;
    d->x = batch->x;
    d->rows = batch->rows;
    d->block_rows = rows_block(batch->rows);
    d->lambda = sae_keeps_largest(&sae->options) ? 0 : schedule_lambda(&sae->options, sae->steps);
    mark_dead(d);
    d->with_aux = d->k_aux > 0 && d->dead > 0;
    d->dense = d->recipe->jumps || d->recipe->gates || (d->keep == 0 && d->density > dense_above);
    rows_train(d);
    if (d->keep == 0 && atomic_load(&d->active.overflow)) {
        d->dense = 1;
        rows_train(d);
    }
    gradients_make(d);
    report(d, step);
    step->learning_rate = schedule_rate(&sae->options, sae->steps);
    /* Squares of a gradient beyond 1e15 would leave float's range in Adam's second moment. */
    if (!isfinite(step->loss) || !(step->gradient_norm < 1e15)) {
        step->skipped = 1;
        step->dead = d->dead;
        sae->skipped++;
        return ERR_OK;
    }
    if (d->recipe->per_batch) batch_topk_learn(d);
    d->rate = adam_rate(sae, step);
    update_weights(d);
    count_silence(d);
    mark_dead(d);
    d->density = step->l0 / d->features;
    step->dead = d->dead;
    sae->steps++;
    return ERR_OK;
}

static int dictionary_forward(struct sae *sae, const float *x, uint32_t rows, float *out, float *f,
                              double *l0_sum, double *l1_sum)
{
    struct dictionary *d = sae->state;
    d->x = x;
    d->rows = rows;
    d->block_rows = rows_block(rows);
    rows_forward(d, out, f);
    *l0_sum = sum(d->row_l0, rows);
    *l1_sum = sum(d->row_l1, rows);
    return ERR_OK;
}

static uint32_t dictionary_silent(const struct sae *sae, uint64_t rows)
{
    const struct dictionary *d = sae->state;
    uint32_t silent = 0;
    for (uint32_t f = 0; f < d->features; f++) silent += d->silent_rows[f] >= rows;
    return silent;
}

static uint32_t dictionary_dead(const struct sae *sae)
{
    return dictionary_silent(sae, sae->options.dead_window_rows);
}

static struct sae_parameters dictionary_parameters(const struct sae *sae)
{
    const struct dictionary *d = sae->state;
    return (struct sae_parameters){
        .w_enc = d->w.w_enc,
        .w_dec = d->w.w_dec,
        .b_enc = d->w.b_enc,
        .b_dec = d->w.b_dec,
        .w_skip = d->w.w_skip,
        .threshold = d->threshold,
        .r_mag = d->w.r_mag,
        .b_mag = d->w.b_mag,
        .centred = d->recipe->centred,
    };
}

static const char *dictionary_screen(const struct sae *sae)
{
    const struct dictionary *d = sae->state;
    return encode_quantizes(d, sae->options.batch_rows) ? d->screen.kernels->name : "off";
}

/* What a checkpoint holds besides weights, moments and counters. */
struct progress {
    uint64_t steps, skipped;
    double density;
};

static int dictionary_save(const struct sae *sae, struct checkpoint_writer *writer,
                           const char *name)
{
    const struct dictionary *d = sae->state;
    struct progress progress = {sae->steps, sae->skipped, d->density};
    size_t bytes = d->w.count * sizeof(float);
    saved_put(writer, name, "progress", &progress, sizeof progress);
    saved_put(writer, name, "weights", d->w.all, bytes);
    saved_put(writer, name, "moment1", d->m.all, bytes);
    saved_put(writer, name, "moment2", d->v.all, bytes);
    if (d->recipe->per_batch) {
        saved_put(writer, name, "threshold", d->threshold, d->features * sizeof *d->threshold);
        saved_put(writer, name, "floor", &d->floor, sizeof d->floor);
    }
    return saved_put(writer, name, "silent_rows", d->silent_rows,
                     d->features * sizeof *d->silent_rows);
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

static int dictionary_load(struct sae *sae, const struct checkpoint *checkpoint, const char *name)
{
    struct dictionary *d = sae->state;
    const void *progress_data, *weights, *moment1, *moment2, *silent, *threshold, *floor;
    size_t bytes = d->w.count * sizeof(float), n;
    struct progress progress;
    int code = saved_find(checkpoint, name, "progress", sizeof progress, &progress_data, &n);
    if (!code) code = saved_find(checkpoint, name, "weights", bytes, &weights, &n);
    if (!code) code = saved_find(checkpoint, name, "moment1", bytes, &moment1, &n);
    if (!code) code = saved_find(checkpoint, name, "moment2", bytes, &moment2, &n);
    if (!code)
        code = saved_find(checkpoint, name, "silent_rows", d->features * sizeof *d->silent_rows,
                          &silent, &n);
    size_t threshold_bytes = d->features * sizeof *d->threshold;
    if (!code && d->recipe->per_batch)
        code = saved_find(checkpoint, name, "threshold", threshold_bytes, &threshold, &n);
    if (!code && d->recipe->per_batch)
        code = saved_find(checkpoint, name, "floor", sizeof d->floor, &floor, &n);
    if (!code) code = check_values(name, "weights", weights, d->w.count, -FLT_MAX);
    if (!code) code = check_values(name, "moment1", moment1, d->w.count, -FLT_MAX);
    if (!code) code = check_values(name, "moment2", moment2, d->w.count, 0);
    if (!code && d->recipe->per_batch)
        code = check_values(name, "threshold", threshold, d->features, -FLT_MAX);
    if (code) return code;
    memcpy(&progress, progress_data, sizeof progress);
    if (!(progress.density >= 0 && progress.density <= 1)) progress.density = 1;
    memcpy(d->w.all, weights, bytes);
    memcpy(d->m.all, moment1, bytes);
    memcpy(d->v.all, moment2, bytes);
    memcpy(d->silent_rows, silent, d->features * sizeof *d->silent_rows);
    if (d->recipe->per_batch) {
        memcpy(d->threshold, threshold, threshold_bytes);
        memcpy(&d->floor, floor, sizeof d->floor);
    }
    sae->steps = progress.steps;
    sae->skipped = progress.skipped;
    d->density = progress.density;
    derive(d);
    return ERR_OK;
}

const struct arch dictionary_arch = {
    .check = dictionary_check,
    .bytes = dictionary_bytes,
    .make = dictionary_make,
    .free = dictionary_free,
    .train = dictionary_train,
    .forward = dictionary_forward,
    .dead = dictionary_dead,
    .silent = dictionary_silent,
    .save = dictionary_save,
    .load = dictionary_load,
    .parameters = dictionary_parameters,
    .screen = dictionary_screen,
};
