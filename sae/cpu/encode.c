/*
 * The encoder and what it selects, block of rows by block of rows.
 *
 * Where the largest are kept, a product tells candidates only: of 8 bits, by bounds (screen.h), or
 * of float32, which is off by a few roundings. Each candidate is then computed by kernels->dots().
 * So the features that are selected and their values are those of that kernel's dot products, plus
 * bias, over all features, ties to the lower index: which product found them changes no bit.
 *
 * A row whose candidates are too many for its list (values too close to each other for the bounds)
 * is computed over all features; a block in which 8 bits leave many such rows takes float32 first.
 * AuxK's values are float32 products as they come, of the dead features alone.
 */
#include "sae/cpu/blas.h"
#include "sae/dictionary.h"

#include <math.h>
#include <string.h>

enum {
    QUANTIZE_ROWS = 64,      /* from so many on quantizing the weights pays */
    QUANTIZE_FEATURES = 256, /* and from so many on the rest of it */
    HOPELESS_SHARE = 8,      /* of a block's rows, before all of it takes float32 */
};

static const float *input_of(const struct dictionary *d, uint32_t r)
{
    return d->input + (size_t)r * d->input_stride;
}

static void product(const struct dictionary *d, uint32_t first, uint32_t n, const float *w,
                    uint32_t m, float *block)
{
    int width = (int)d->width_in;
    struct blas_matrix input = {input_of(d, first), (int)d->input_stride, 0};
    blas_sgemm((int)n, (int)m, width, 1.0f, input, (struct blas_matrix){w, width, 1}, 0.0f, block,
               (int)m);
}

void rows_product(const struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                  float *block)
{
    product(d, first, n, d->w.w_enc + (size_t)f * d->width_in, m, block);
}

static uint32_t features_of_block(uint32_t features, uint32_t f)
{
    return features - f < BLOCK_FEATURES ? features - f : BLOCK_FEATURES;
}

int encode_quantizes(const struct dictionary *d, uint32_t rows)
{
    return d->screen.kernels && rows >= QUANTIZE_ROWS && d->features >= QUANTIZE_FEATURES;
}

void encode_begin(struct dictionary *d)
{
    struct screen *s = &d->screen;
    s->quantized = encode_quantizes(d, d->rows);
    screen_weights(s, d->kernels, d->pool, d->w.w_enc, d->w.b_enc);
}

void encode_bounds(const struct dictionary *d, uint32_t first, uint32_t n, int eight_bit,
                   struct scratch *s)
{
    screen_block(&d->screen, d->kernels, input_of(d, first), d->input_stride, n, eight_bit,
                 &s->screened, s->active.slack);
}

static void collect_float(const struct dictionary *d, uint32_t first, uint32_t n, struct scratch *s)
{
    for (uint32_t f = 0; f < d->features; f += BLOCK_FEATURES) {
        uint32_t m = features_of_block(d->features, f);
        rows_product(d, first, n, f, m, s->block);
        collector_add(&s->active, d->kernels, n, s->block, m, d->w.b_enc + f, f);
    }
}

/* How many rows were given up. */
static uint32_t collect_bounded(const struct dictionary *d, uint32_t first, uint32_t n, float floor,
                                int eight_bit, struct scratch *s)
{
    uint32_t given_up = 0;
    collector_begin(&s->active, n, floor);
    encode_bounds(d, first, n, eight_bit, s);
    collector_bounded(&s->active, n);
    if (eight_bit) {
        for (uint32_t p = 0; p < d->screen.padded / SCREEN_PANEL; p++) {
            d->screen.kernels->take(&d->screen, &s->screened, n, p, &s->active);
            collector_tidy(&s->active, d->kernels, n);
        }
    } else {
        collect_float(d, first, n, s);
    }
    for (uint32_t r = 0; r < n; r++) given_up += s->active.slack[r] == INFINITY;
    return given_up;
}

/* All features of a row that was given up. */
static void all_exactly(const struct dictionary *d, const float *x, float floor, struct scratch *s,
                        uint32_t r)
{
    struct collector *c = &s->active;
    c->slack[r] = 0;
    c->threshold[r] = floor;
    for (uint32_t f = 0; f < d->features; f += BLOCK_FEATURES) {
        uint32_t m = features_of_block(d->features, f);
        size_t at = (size_t)r * c->stride + c->count[r];
        d->kernels->dots(s->block, x, d->width_in, d->w.w_enc + (size_t)f * d->width_in,
                         d->width_in, NULL, m);
        c->count[r] += (uint32_t)d->kernels->above(s->block, d->w.b_enc + f, m, c->threshold[r], f,
                                                   c->index + at, c->value + at);
        if (c->count[r] >= c->limit) collector_cut(c, d->kernels, r);
    }
}

/* Of a row's candidates, now exact, those that exceed `floor`. */
static void keep_above(struct collector *c, uint32_t r, float floor)
{
    uint32_t *index = c->index + (size_t)r * c->stride, kept = 0;
    float *value = c->value + (size_t)r * c->stride;
    for (uint32_t j = 0; j < c->count[r]; j++) {
        if (!(value[j] > floor)) continue;
        index[kept] = index[j];
        value[kept++] = value[j];
    }
    c->count[r] = kept;
    c->slack[r] = 0;
}

static void select_largest(const struct dictionary *d, uint32_t first, uint32_t n, float floor,
                           struct scratch *s)
{
    uint32_t given_up = n;
    if (d->screen.quantized) given_up = collect_bounded(d, first, n, floor, 1, s);
    if (given_up * HOPELESS_SHARE > n) collect_bounded(d, first, n, floor, 0, s);
    for (uint32_t r = 0; r < n; r++) collector_cut(&s->active, d->kernels, r);
    exact_values(&s->exact, d->kernels, &s->active, input_of(d, first), d->input_stride, n,
                 d->w.w_enc, d->width_in, d->w.b_enc);
    for (uint32_t r = 0; r < n; r++) {
        if (s->active.slack[r] == INFINITY)
            all_exactly(d, input_of(d, first + r), floor, s, r);
        else
            keep_above(&s->active, r, floor);
    }
}

/* AuxK's candidates, by their places among the dead features. */
static void collect_dead(const struct dictionary *d, uint32_t first, uint32_t n, struct scratch *s)
{
    collector_begin(&s->aux, n, 0);
    for (uint32_t j = 0; j < d->dead; j += BLOCK_FEATURES) {
        uint32_t m = features_of_block(d->dead, j);
        for (uint32_t i = 0; i < m; i++)
            memcpy(s->dead + (size_t)i * d->width_in,
                   d->w.w_enc + (size_t)d->dead_index[j + i] * d->width_in,
                   d->width_in * sizeof(float));
        product(d, first, n, s->dead, m, s->block);
        collector_add(&s->aux, d->kernels, n, s->block, m, d->dead_bias + j, j);
    }
}

/* Move what was collected into the step's lists; names: what numbers stand for, or NULL. */
static void deliver(const struct kernels *kernels, struct collector *c, struct row_lists *lists,
                    uint32_t first, uint32_t rows, const uint32_t *names)
{
    if (c->overflow) atomic_store(&lists->overflow, 1);
    for (uint32_t r = 0; r < rows; r++) {
        const uint32_t *index = c->index + (size_t)r * c->stride;
        if (c->keep) collector_cut(c, kernels, r);
        int64_t at = row_lists_reserve(lists, first + r, c->count[r]);
        if (at < 0) continue;
        for (uint32_t j = 0; j < c->count[r]; j++)
            lists->index[at + j] = names ? names[index[j]] : index[j];
        memcpy(lists->value + at, c->value + (size_t)r * c->stride, c->count[r] * sizeof(float));
    }
}

void encode_block(struct dictionary *d, uint32_t first, uint32_t n, float floor, struct scratch *s)
{
    if (d->keep) {
        select_largest(d, first, n, floor, s);
    } else {
        collector_begin(&s->active, n, floor);
        collect_float(d, first, n, s);
    }
    deliver(d->kernels, &s->active, &d->active, first, n, NULL);
    if (!d->with_aux) return;
    collect_dead(d, first, n, s);
    deliver(d->kernels, &s->aux, &d->aux, first, n, d->dead_index);
}
