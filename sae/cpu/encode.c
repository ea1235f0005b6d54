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
 */
#include "sae/cpu/encode.h"

#include "sae/cpu/blas.h"

#include <math.h>
#include <string.h>

enum {
    QUANTIZE_ROWS = 64,      /* from so many on quantizing the weights pays */
    QUANTIZE_FEATURES = 256, /* and from so many on the rest of it */
    HOPELESS_SHARE = 8,      /* of a block's rows, before all of it takes float32 */
};

static const float *input_of(const struct encoder *e, uint32_t r)
{
    return e->input + (size_t)r * e->input_stride;
}

uint32_t encode_rows_of_block(uint32_t rows)
{
    uint32_t block = rows / 16;
    if (block < 32) block = 32;
    return block < BLOCK_ROWS ? block : BLOCK_ROWS;
}

uint32_t encode_blocks(const struct encoder *e)
{
    return (e->rows + e->block_rows - 1) / e->block_rows;
}

uint32_t encode_block_of(const struct encoder *e, uint32_t item, uint32_t *first)
{
    *first = item * e->block_rows;
    return e->rows - *first < e->block_rows ? e->rows - *first : e->block_rows;
}

void encode_product(const struct encoder *e, uint32_t first, uint32_t n, uint32_t f, const float *w,
                    uint32_t m, float *block)
{
    int width = (int)e->width_in;
    const float *x = input_of(e, first) + encoder_input_at(e, f);
    struct blas_matrix input = {x, (int)e->input_stride, 0};
    blas_sgemm((int)n, (int)m, width, 1.0f, input, (struct blas_matrix){w, width, 1}, 0.0f, block,
               (int)m);
}

void encode_values(const struct encoder *e, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                   float *y)
{
    const float *bias = e->w.b_enc + f;
    encode_product(e, first, n, f, e->w.w_enc + (size_t)f * e->width_in, m, y);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) y[(size_t)r * m + i] += bias[i];
}

uint32_t encode_features_of_block(const struct encoder *e, uint32_t f)
{
    uint32_t left = e->layer_features - f % e->layer_features;
    return left < BLOCK_FEATURES ? left : BLOCK_FEATURES;
}

static uint32_t blocks_of_layer(const struct encoder *e)
{
    return (e->layer_features + BLOCK_FEATURES - 1) / BLOCK_FEATURES;
}

uint32_t encode_feature_blocks(const struct encoder *e)
{
    return e->layers * blocks_of_layer(e);
}

uint32_t encode_feature_block(const struct encoder *e, uint32_t item)
{
    uint32_t blocks = blocks_of_layer(e);
    return item / blocks * e->layer_features + item % blocks * BLOCK_FEATURES;
}

int encode_quantizes(const struct encoder *e, uint32_t rows)
{
    return e->screen.kernels && rows >= QUANTIZE_ROWS && e->features >= QUANTIZE_FEATURES;
}

void encode_begin(struct encoder *e)
{
    struct screen *s = &e->screen;
    s->quantized = encode_quantizes(e, e->rows);
    screen_weights(s, e->kernels, e->pool, e->w.w_enc, e->w.b_enc);
}

void encode_bounds(const struct encoder *e, uint32_t first, uint32_t n, int eight_bit,
                   struct encode_scratch *s)
{
    float *slack = s->active.slack, of_layer[BLOCK_ROWS];
    screen_block(&e->screen, e->kernels, input_of(e, first), e->input_stride, n, eight_bit,
                 &s->screened, slack);
    for (uint32_t layer = 1; layer < e->layers; layer++) { /* of any of them */
        screen_block(&e->screen, e->kernels, input_of(e, first) + layer * e->width_in,
                     e->input_stride, n, eight_bit, &s->screened, of_layer);
        for (uint32_t r = 0; r < n; r++) slack[r] = of_layer[r] > slack[r] ? of_layer[r] : slack[r];
    }
}

static void collect_float(const struct encoder *e, uint32_t first, uint32_t n,
                          struct encode_scratch *s)
{
    for (uint32_t f = 0, m; f < e->features; f += m) {
        m = encode_features_of_block(e, f);
        encode_product(e, first, n, f, e->w.w_enc + (size_t)f * e->width_in, m, s->block);
        collector_add(&s->active, e->kernels, n, s->block, m, e->w.b_enc + f, f);
    }
}

/* How many rows were given up. */
static uint32_t collect_bounded(const struct encoder *e, uint32_t first, uint32_t n, float floor,
                                int eight_bit, struct encode_scratch *s)
{
    uint32_t given_up = 0;
    collector_begin(&s->active, n, floor);
    encode_bounds(e, first, n, eight_bit, s);
    collector_bounded(&s->active, n);
    if (eight_bit) {
        for (uint32_t p = 0; p < e->screen.padded / SCREEN_PANEL; p++) {
            e->screen.kernels->take(&e->screen, &s->screened, n, p, &s->active);
            collector_tidy(&s->active, e->kernels, n);
        }
    } else {
        collect_float(e, first, n, s);
    }
    for (uint32_t r = 0; r < n; r++) given_up += s->active.slack[r] == INFINITY;
    return given_up;
}

/* All features of a row that was given up. */
static void all_exactly(const struct encoder *e, const float *x, float floor,
                        struct encode_scratch *s, uint32_t r)
{
    struct collector *c = &s->active;
    c->slack[r] = 0;
    c->threshold[r] = floor;
    for (uint32_t f = 0, m; f < e->features; f += m) {
        m = encode_features_of_block(e, f);
        size_t at = (size_t)r * c->stride + c->count[r];
        e->kernels->dots(s->block, x + encoder_input_at(e, f), e->width_in,
                         e->w.w_enc + (size_t)f * e->width_in, e->width_in, NULL, m);
        c->count[r] += (uint32_t)e->kernels->above(s->block, e->w.b_enc + f, m, c->threshold[r], f,
                                                   c->index + at, c->value + at);
        if (c->count[r] >= c->limit) collector_cut(c, e->kernels, r);
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

static void select_largest(const struct encoder *e, uint32_t first, uint32_t n, float floor,
                           struct encode_scratch *s)
{
    uint32_t given_up = n;
    if (e->screen.quantized) given_up = collect_bounded(e, first, n, floor, 1, s);
    if (given_up * HOPELESS_SHARE > n) collect_bounded(e, first, n, floor, 0, s);
    for (uint32_t r = 0; r < n; r++) collector_cut(&s->active, e->kernels, r);
    exact_values(&s->exact, e->kernels, &s->active, input_of(e, first), e->input_stride, n,
                 e->w.w_enc, e->width_in, e->w.b_enc);
    for (uint32_t r = 0; r < n; r++) {
        if (s->active.slack[r] == INFINITY)
            all_exactly(e, input_of(e, first + r), floor, s, r);
        else
            keep_above(&s->active, r, floor);
    }
}

void encode_deliver(const struct kernels *kernels, struct collector *c, struct row_lists *lists,
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

void encode_block(struct encoder *e, uint32_t first, uint32_t n, float floor, uint32_t thread)
{
    struct encode_scratch *s = &e->scratch[thread];
    if (e->room.keep) {
        select_largest(e, first, n, floor, s);
    } else {
        collector_begin(&s->active, n, floor);
        collect_float(e, first, n, s);
    }
    encode_deliver(e->kernels, &s->active, &e->active, first, n, NULL);
}
