/*
 * The engine `synthetic`: rows that are sparse sums of known directions.
 *
 *   x = sum over active i of m_i d_i + noise,   |d_i| = 1,   m_i = |N(1, 0.25^2)|
 *
 * Feature i fires with probability p_i = c / (i + 1)^z, c chosen so that the expected number of
 * active features is l0 (p_i at most 1/2). With G groups, feature i belongs to group i mod G, and
 * in each row each group is hot or cold with even odds: a hot one's features fire 1.8 times as
 * often, a cold one's 0.2 times, so that rates stay p_i and features of a group correlate.
 *
 * Row r is a function of (seed, r) alone. So seeking is exact, and shares need no coordination.
 */
#include "base/err.h"
#include "base/rng.h"
#include "base/safetensors.h"
#include "engine/backend.h"
#include "engine/fingerprint.h"
#include "engine/settings.h"
#include "engine/span.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double HOT = 1.8, COLD = 0.2, MOST = 0.5, MAGNITUDE_DEVIATION = 0.25;

enum { MAX_GROUPS = 4096, MAX_BLOCKS = 33 };

/* Features [begin, end) have rates of no more than `most` (before groups), all about the same. */
struct block {
    uint32_t begin, end;
    double most;
};

struct synthetic {
    struct synthetic_options options;
    uint32_t share_index, share_count;
    char description[96];
    float *directions; /* (features, width) */
    float *rates;      /* (features) */
    struct block block[MAX_BLOCKS];
    uint32_t blocks;
    uint64_t sequence; /* of the next row */
    uint32_t position;
    uint64_t made;
    /* one batch */
    uint32_t batch_rows;
    struct row_id *ids;
    uint8_t *flags;
    struct cursor *cursors;
    float *values;
};

/* ---- the truth ---- */

static void make_directions(struct synthetic *s)
{
    uint32_t D = s->options.width;
    for (uint32_t i = 0; i < s->options.features; i++) {
        struct rng r;
        rng_seed(&r, hash_words(s->options.seed, 1, i, 0));
        float *d = s->directions + (size_t)i * D;
        double square = 0;
        for (uint32_t k = 0; k < D; k++) {
            d[k] = (float)rng_normal(&r);
            square += (double)d[k] * d[k];
        }
        float scale = (float)(1.0 / sqrt(square));
        for (uint32_t k = 0; k < D; k++) d[k] *= scale;
    }
}

static double sum_of_rates(const struct synthetic *s, double c)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->options.features; i++)
        sum += fmin(MOST, c * pow(i + 1, -s->options.zipf_exponent));
    return sum;
}

/* Find c by halving: the sum of min(1/2, c / (i + 1)^z) grows with c. */
static void make_rates(struct synthetic *s)
{
    double low = 0, high = 1;
    while (sum_of_rates(s, high) < s->options.l0) high *= 2;
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (low + high);
        if (sum_of_rates(s, middle) < s->options.l0)
            low = middle;
        else
            high = middle;
    }
    for (uint32_t i = 0; i < s->options.features; i++)
        s->rates[i] = (float)fmin(MOST, high * pow(i + 1, -s->options.zipf_exponent));
}

/* Blocks double in size, so that rates within one differ by 2^z at most. */
static void make_blocks(struct synthetic *s)
{
    for (uint32_t begin = 0, end = 1; begin < s->options.features; begin = end, end *= 2) {
        if (end > s->options.features || end < begin) end = s->options.features;
        s->block[s->blocks++] = (struct block){begin, end, s->rates[begin]};
    }
}

static int write_truth(const struct synthetic *s)
{
    if (!s->options.truth_file || s->share_index != 0) return ERR_OK;
    uint64_t F = s->options.features, D = s->options.width;
    struct safetensors_tensor tensors[2] = {
        {"directions", SAFETENSORS_F32, 2, {F, D}, s->directions, F * D * sizeof(float)},
        {"rates", SAFETENSORS_F32, 1, {F}, s->rates, F * sizeof(float)},
    };
    return safetensors_write(s->options.truth_file, tensors, 2, NULL, 0);
}

/* ---- one row ---- */

static void add_feature(const struct synthetic *s, uint32_t feature, struct rng *r, float *x)
{
    uint32_t D = s->options.width;
    const float *d = s->directions + (size_t)feature * D;
    float m = (float)fabs(1.0 + MAGNITUDE_DEVIATION * rng_normal(r));
    for (uint32_t k = 0; k < D; k++) x[k] += m * d[k];
}

/* Noise two values at a time, both of a Box-Muller pair. */
static void fill_noise(const struct synthetic *s, struct rng *r, float *x)
{
    uint32_t D = s->options.width;
    if (s->options.noise == 0) {
        memset(x, 0, D * sizeof *x);
        return;
    }
    float deviation = (float)s->options.noise;
    for (uint32_t k = 0; k < D; k += 2) {
        uint64_t bits = rng_u64(r);
        float u = ((float)(bits >> 40) + 0.5f) * 0x1p-24f;
        float v = (float)(bits & 0xffffff) * 0x1p-24f;
        float radius = deviation * sqrtf(-2.0f * logf(u)), sine, cosine;
        sincosf(6.2831853f * v, &sine, &cosine);
        x[k] = radius * cosine;
        if (k + 1 < D) x[k + 1] = radius * sine;
    }
}

/* A row without a walk over all features: within a block, jump to the next candidate as if all had
 * the block's highest rate, and keep it with the ratio of its own rate to that. */
static void make_row(const struct synthetic *s, uint64_t row, float *x)
{
    struct rng r;
    rng_seed(&r, hash_words(s->options.seed, 2, row, 0));
    fill_noise(s, &r, x);
    uint64_t hot[MAX_GROUPS / 64];
    uint32_t groups = s->options.groups;
    for (uint32_t g = 0; g < groups; g += 64) hot[g / 64] = rng_u64(&r);
    double boost = groups > 0 ? HOT : 1.0;
    for (uint32_t b = 0; b < s->blocks; b++) {
        double most = s->block[b].most * boost;
        double scale = 1.0 / log1p(-most); /* most is at most 0.9 */
        for (double at = s->block[b].begin;; at += 1) {
            at += floor(log(1.0 - rng_unit(&r)) * scale); /* geometric: misses before a hit */
            if (at >= s->block[b].end) break;
            uint32_t i = (uint32_t)at;
            double rate = s->rates[i];
            if (groups > 0) rate *= hot[i % groups / 64] >> (i % groups % 64) & 1 ? HOT : COLD;
            if (rng_unit(&r) * most < rate) add_feature(s, i, &r, x);
        }
    }
}

/* ---- the engine ---- */

static int check(const struct engine_options *options)
{
    const struct synthetic_options *o = &options->synthetic;
    if (options->hooks_count > 1)
        return err_set(ERR_USAGE, "the engine synthetic has one hook, not %u",
                       options->hooks_count);
    if (o->features == 0 || o->features > 1u << 24)
        return err_set(ERR_USAGE, "synthetic.features %u is not in 1 to 16777216", o->features);
    if (o->width == 0 || o->width > ROW_MAX_WIDTH)
        return err_set(ERR_USAGE, "synthetic.width %u is not in 1 to %d", o->width, ROW_MAX_WIDTH);
    if (!(o->l0 > 0) || o->l0 > MOST * o->features)
        return err_set(ERR_USAGE,
                       "synthetic.l0 %g is not above 0 and at most %g, half of the "
                       "features",
                       o->l0, MOST * o->features);
    if (!(o->zipf_exponent >= 0) || o->zipf_exponent > 4)
        return err_set(ERR_USAGE, "synthetic.zipf_exponent %g is not in 0 to 4", o->zipf_exponent);
    if (!(o->noise >= 0) || !isfinite(o->noise))
        return err_set(ERR_USAGE, "synthetic.noise %g is not 0 or more", o->noise);
    if (o->groups > MAX_GROUPS || o->groups > o->features)
        return err_set(ERR_USAGE, "synthetic.groups %u is more than %d or than the features",
                       o->groups, MAX_GROUPS);
    if (o->sequence_rows == 0) return err_set(ERR_USAGE, "synthetic.sequence_rows must not be 0");
    return ERR_OK;
}

static void close_synthetic(void *state)
{
    struct synthetic *s = state;
    if (!s) return;
    free(s->directions);
    free(s->rates);
    free(s->ids);
    free(s->flags);
    free(s->cursors);
    free(s->values);
    free(s);
}

static int allocate(struct synthetic *s)
{
    size_t D = s->options.width, F = s->options.features;
    s->batch_rows = span_batch_rows(s->options.width);
    s->directions = malloc(F * D * sizeof *s->directions);
    s->rates = malloc(F * sizeof *s->rates);
    s->ids = calloc(s->batch_rows, sizeof *s->ids);
    s->flags = calloc(s->batch_rows, 1);
    s->cursors = calloc(s->batch_rows + 1, sizeof *s->cursors);
    s->values = malloc(s->batch_rows * D * sizeof *s->values);
    if (!s->directions || !s->rates || !s->ids || !s->flags || !s->cursors || !s->values)
        return err_set(ERR_NOMEM, "no memory for %zu directions of %zu values", F, D);
    return ERR_OK;
}

static void describe(struct synthetic *s, const struct engine_options *options,
                     struct engine_info *info)
{
    const struct synthetic_options *o = &s->options;
    snprintf(s->description, sizeof s->description, "%u features, width %u, l0 %g, seed %" PRIu64,
             o->features, o->width, o->l0, o->seed);
    char all[256];
    snprintf(all, sizeof all, "%u %u %.17g %.17g %.17g %u %" PRIu64, o->features, o->width, o->l0,
             o->zipf_exponent, o->noise, o->groups, o->seed);
    info->model = s->description;
    info->model_hash = fingerprint_add_text(0, all);
    info->corpus_hash = fingerprint_add_u64(info->model_hash, o->sequence_rows);
    info->corpus_hash = fingerprint_add_u64(info->corpus_hash, o->rows);
    settings_number(info, "synthetic.features", o->features);
    settings_number(info, "synthetic.width", o->width);
    settings_real(info, "synthetic.l0", o->l0);
    settings_real(info, "synthetic.zipf_exponent", o->zipf_exponent);
    settings_real(info, "synthetic.noise", o->noise);
    settings_number(info, "synthetic.groups", o->groups);
    settings_number(info, "synthetic.seed", o->seed);
    settings_number(info, "synthetic.sequence_rows", o->sequence_rows);
    settings_number(info, "synthetic.rows", o->rows);
    info->precision = "f32";
    info->context_tokens = o->sequence_rows;
    info->resumable = 1;
    info->hooks = 1;
    snprintf(info->hook[0].name, sizeof info->hook[0].name, "%s",
             options->hooks_count > 0 ? options->hooks[0] : "synthetic");
    info->hook[0].width = o->width;
}

static int open_synthetic(const struct engine_options *options, struct engine_info *info,
                          void **state)
{
    int result = check(options);
    if (result != ERR_OK) return result;
    struct synthetic *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for an engine");
    s->options = options->synthetic;
    if (s->options.rows == 0) s->options.rows = UINT64_MAX; /* without end */
    s->share_index = options->share_index;
    s->share_count = options->share_count;
    s->sequence = s->share_index;
    result = allocate(s);
    if (result == ERR_OK) {
        make_directions(s);
        make_rates(s);
        make_blocks(s);
        describe(s, options, info);
        result = write_truth(s);
    }
    if (result != ERR_OK) {
        close_synthetic(s);
        return result;
    }
    *state = s;
    return ERR_OK;
}

static struct engine_counters counters(const void *state)
{
    const struct synthetic *s = state;
    return (struct engine_counters){.tokens = s->made};
}

static int count_rows(void *state, uint64_t *rows, void (*progress)(void *arg, uint64_t tokens),
                      void *arg)
{
    const struct synthetic *s = state;
    (void)progress;
    (void)arg;
    *rows = s->options.rows == UINT64_MAX ? 0 : s->options.rows;
    return ERR_OK;
}

static int seek(void *state, const struct cursor *cursor)
{
    struct synthetic *s = state;
    uint64_t sequence;
    int result = span_of_cursor(cursor, s->share_index, s->share_count, &sequence);
    if (result != ERR_OK) return result;
    if (cursor->position >= s->options.sequence_rows)
        return err_set(ERR_MISMATCH, "a sequence has %u rows, position %u is beyond",
                       s->options.sequence_rows, cursor->position);
    s->sequence = sequence;
    s->position = cursor->position;
    return ERR_OK;
}

/* The next row's number; 0 where the share has ended. */
static int row_number(const struct synthetic *s, uint64_t *row)
{
    if (s->sequence > (UINT64_MAX - s->position) / s->options.sequence_rows) return 0;
    *row = s->sequence * s->options.sequence_rows + s->position;
    return *row < s->options.rows;
}

static int next(void *state, struct engine_batch *batch)
{
    struct synthetic *s = state;
    uint64_t row;
    size_t rows = 0;
    for (; rows < s->batch_rows && row_number(s, &row); rows++) {
        s->ids[rows] = (struct row_id){s->sequence, s->position, 0};
        s->cursors[rows] = (struct cursor){.sequence = s->sequence, .position = s->position};
        make_row(s, row, s->values + rows * s->options.width);
        if (++s->position == s->options.sequence_rows) {
            s->position = 0;
            s->sequence += s->share_count;
        }
    }
    s->cursors[rows] = (struct cursor){.sequence = s->sequence, .position = s->position};
    s->made += rows;
    *batch = (struct engine_batch){rows, s->ids, s->flags, s->cursors, s->values, NULL};
    return ERR_OK;
}

const struct backend backend_synthetic = {
    .open = open_synthetic,
    .counters = counters,
    .count_rows = count_rows,
    .seek = seek,
    .next = next,
    .close = close_synthetic,
};
