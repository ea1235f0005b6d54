/* Whitening rows, undoing it, and folding it into an SAE's parameters. */
#include "sae/whiten_state.h"

#include "base/err.h"
#include "sae/checkpoint.h"
#include "sae/cpu/blas.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };

uint64_t whiten_bytes(const uint32_t *widths, uint32_t hooks)
{
    uint64_t values = 0;
    for (uint32_t h = 0; h < hooks; h++) values += 2 * (uint64_t)widths[h] * widths[h] + widths[h];
    return values * sizeof(float);
}

size_t whiten_block_values(const struct whiten *w)
{
    size_t values = 0;
    for (uint32_t h = 0; h < w->facts.hooks; h++)
        values += (size_t)w->facts.hook[h].width * w->facts.hook[h].width;
    return values;
}

static int take_widths(struct whiten *w, const uint32_t *widths, uint32_t hooks)
{
    if (hooks == 0 || hooks > ROW_MAX_HOOKS)
        return err_set(ERR_LIMIT, "%u hooks cannot be whitened", hooks);
    w->facts.hooks = hooks;
    for (uint32_t h = 0; h < hooks; h++) {
        if (widths[h] == 0 || widths[h] > WHITEN_MAX_WIDTH)
            return err_set(ERR_LIMIT,
                           "a hook of %u values cannot be whitened: %d are possible; HINT: set "
                           "trainer.whiten to false",
                           widths[h], WHITEN_MAX_WIDTH);
        w->facts.hook[h].width = widths[h];
        w->width += widths[h];
        if (widths[h] > w->widest) w->widest = widths[h];
    }
    return ERR_OK;
}

int whiten_new(const uint32_t *widths, uint32_t hooks, struct pool *pool, struct whiten **whiten)
{
    struct whiten *w = calloc(1, sizeof *w);
    if (!w) return err_set(ERR_NOMEM, "no memory to whiten");
    int result = take_widths(w, widths, hooks);
    if (result == ERR_OK) result = blas_open(pool_threads(pool));
    if (result != ERR_OK) {
        free(w);
        return result;
    }
    size_t values = whiten_block_values(w);
    w->pool = pool;
    w->mean = calloc(w->width, sizeof *w->mean);
    w->to = calloc(values, sizeof *w->to);
    w->back = calloc(values, sizeof *w->back);
    w->scratch =
        malloc((size_t)pool_threads(pool) * WHITEN_BLOCK_ROWS * w->widest * sizeof *w->scratch);
    if (!w->mean || !w->to || !w->back || !w->scratch) {
        whiten_free(w);
        return err_set(ERR_NOMEM, "no memory to whiten rows");
    }
    *whiten = w;
    return ERR_OK;
}

void whiten_free(struct whiten *w)
{
    if (!w) return;
    free(w->mean);
    free(w->to);
    free(w->back);
    free(w->scratch);
    free(w);
}

/* Hook h's block and mean become those of hook `to` of another. */
static void copy_hook(const struct whiten *w, uint32_t h, struct whiten *out, uint32_t to)
{
    uint32_t width = w->facts.hook[h].width, at = 0, to_at = 0;
    size_t block = 0, to_block = 0, values = (size_t)width * width;
    for (uint32_t i = 0; i < h; at += w->facts.hook[i++].width)
        block += (size_t)w->facts.hook[i].width * w->facts.hook[i].width;
    for (uint32_t i = 0; i < to; to_at += out->facts.hook[i++].width)
        to_block += (size_t)out->facts.hook[i].width * out->facts.hook[i].width;
    out->facts.hook[to] = w->facts.hook[h];
    memcpy(out->mean + to_at, w->mean + at, width * sizeof *w->mean);
    memcpy(out->to + to_block, w->to + block, values * sizeof *w->to);
    memcpy(out->back + to_block, w->back + block, values * sizeof *w->back);
}

int whiten_select(const struct whiten *w, const uint32_t *hooks, uint32_t count,
                  struct whiten **selected)
{
    uint32_t widths[ROW_MAX_HOOKS] = {0};
    for (uint32_t h = 0; h < count && h < ROW_MAX_HOOKS; h++)
        widths[h] = w->facts.hook[hooks[h]].width;
    int result = whiten_new(widths, count, w->pool, selected);
    if (result != ERR_OK) return result;
    (*selected)->facts.rows = w->facts.rows;
    for (uint32_t h = 0; h < count; h++) copy_hook(w, hooks[h], *selected, h);
    return ERR_OK;
}

const struct whiten_facts *whiten_facts(const struct whiten *w)
{
    return &w->facts;
}

json_t *whiten_json(const struct whiten *whiten)
{
    const struct whiten_facts *f = whiten_facts(whiten);
    json_t *floored = json_array();
    for (uint32_t h = 0; h < f->hooks; h++)
        json_array_append_new(floored, json_integer((json_int_t)f->hook[h].floored));
    return json_pack("{s:s, s:f, s:I, s:o}", "method", "zca", "floor", WHITEN_FLOOR, "rows",
                     (json_int_t)f->rows, "floored_directions", floored);
}

struct work {
    const struct whiten *whiten;
    const float *blocks;
    float *x;        /* (rows, stride) */
    uint64_t rows;   /* in all */
    uint32_t first;  /* value of a whole row that x begins with */
    uint32_t stride; /* width - first */
    int undo;
};

static void copy_rows(const struct work *k, const float *x, uint32_t rows, uint32_t at,
                      uint32_t width, float *out)
{
    const float *mean = k->whiten->mean + at;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < width; i++)
            out[(size_t)r * width + i] = x[(size_t)r * k->stride + i] - (k->undo ? 0 : mean[i]);
}

static void add_mean(const struct work *k, float *x, uint32_t rows, uint32_t at, uint32_t width)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < width; i++)
            x[(size_t)r * k->stride + i] += k->whiten->mean[at + i];
}

/* A block of rows, each hook by its own matrix; the matrices are symmetric. */
static void block_of_rows(void *arg, uint32_t item, uint32_t thread)
{
    const struct work *k = arg;
    const struct whiten *w = k->whiten;
    uint64_t from = (uint64_t)item * WHITEN_BLOCK_ROWS, left = k->rows - from;
    uint32_t rows = left < WHITEN_BLOCK_ROWS ? (uint32_t)left : WHITEN_BLOCK_ROWS, at = 0;
    float *scratch = w->scratch + (size_t)thread * WHITEN_BLOCK_ROWS * w->widest;
    const float *block = k->blocks;
    for (uint32_t h = 0; h < w->facts.hooks; h++) {
        uint32_t width = w->facts.hook[h].width;
        if (at >= k->first) {
            float *x = k->x + from * k->stride + (at - k->first);
            copy_rows(k, x, rows, at, width, scratch);
            blas_sgemm((int)rows, (int)width, (int)width, 1,
                       (struct blas_matrix){scratch, (int)width, 0},
                       (struct blas_matrix){block, (int)width, 0}, 0, x, (int)k->stride);
            if (k->undo) add_mean(k, x, rows, at, width);
        }
        block += (size_t)width * width;
        at += width;
    }
}

static void run(struct work *k)
{
    uint64_t blocks = (k->rows + WHITEN_BLOCK_ROWS - 1) / WHITEN_BLOCK_ROWS;
    pool_run(k->whiten->pool, block_of_rows, k, (uint32_t)blocks);
}

void whiten_apply(const struct whiten *w, float *x, uint64_t rows)
{
    struct work k = {w, w->to, x, rows, 0, w->width, 0};
    run(&k);
}

void whiten_undo(const struct whiten *w, float *y, uint64_t rows, uint32_t first)
{
    struct work k = {w, w->back, y, rows, first, w->width - first, 1};
    run(&k);
}

/* out (rows, stride) = x by the blocks of the hooks that lie within first and first + stride. */
static void by_blocks(const struct whiten *w, const float *blocks, const float *x, uint32_t rows,
                      uint32_t first, uint32_t stride, float *out)
{
    uint32_t at = 0;
    for (uint32_t h = 0; h < w->facts.hooks; h++) {
        uint32_t width = w->facts.hook[h].width;
        if (at >= first && at + width <= first + stride)
            blas_sgemm((int)rows, (int)width, (int)width, 1,
                       (struct blas_matrix){x + (at - first), (int)stride, 0},
                       (struct blas_matrix){blocks, (int)width, 0}, 0, out + (at - first),
                       (int)stride);
        blocks += (size_t)width * width;
        at += width;
    }
}

/* vector[i] -= row i of matrix (rows, columns) by the mean. */
static void less_mean(const float *matrix, const float *mean, uint32_t rows, uint32_t columns,
                      float *vector)
{
    for (uint32_t r = 0; r < rows; r++) {
        double sum = 0;
        for (uint32_t i = 0; i < columns; i++)
            sum += (double)matrix[(size_t)r * columns + i] * mean[i];
        vector[r] = (float)(vector[r] - sum);
    }
}

/* W_skip' = W_out^-1 W_skip W_in; through transposes, as by_blocks() multiplies from the right. */
static int fold_skip(const struct whiten *w, const float *skip, uint32_t out, uint32_t in,
                     float *folded)
{
    float *a = malloc((size_t)out * in * sizeof *a), *b = malloc((size_t)out * in * sizeof *b);
    if (!a || !b) {
        free(a);
        free(b);
        return err_set(ERR_NOMEM, "no memory to export a skip");
    }
    by_blocks(w, w->to, skip, out, 0, in, a);
    for (uint32_t o = 0; o < out; o++)
        for (uint32_t i = 0; i < in; i++) b[(size_t)i * out + o] = a[(size_t)o * in + i];
    by_blocks(w, w->back, b, in, w->width - out, out, a);
    for (uint32_t o = 0; o < out; o++)
        for (uint32_t i = 0; i < in; i++) folded[(size_t)o * in + i] = a[(size_t)i * out + o];
    free(a);
    free(b);
    return ERR_OK;
}

/* Layer by layer, each on its own part of the input. An encoder that sees x - b_dec has the mean in
 * b_dec already. */
static void fold_encoder(const struct whiten *w, const struct sae_options *o,
                         const struct sae_parameters *p, float *enc, float *b_enc)
{
    uint32_t in = sae_in_width(o), features = o->features / sae_layers(o);
    memcpy(b_enc, p->b_enc, o->features * sizeof *b_enc);
    for (uint32_t layer = 0; layer < sae_layers(o); layer++) {
        size_t at = (size_t)layer * features * in;
        by_blocks(w, w->to, p->w_enc + at, features, layer * in, in, enc + at);
        if (!p->centred)
            less_mean(enc + at, w->mean + layer * in, features, in, b_enc + layer * features);
    }
}

static float *floats(size_t count)
{
    return malloc(count * sizeof(float));
}

int whiten_fold(const struct whiten *w, const struct sae_options *o, const struct sae_parameters *p,
                struct sae_parameters *folded)
{
    uint32_t in = sae_in_width(o), out = sae_out_width(o), first = o->width - out;
    float *enc = floats((size_t)o->features * in), *dec = floats((size_t)o->features * out);
    float *b_enc = floats(o->features), *b_dec = floats(out);
    float *skip = p->w_skip ? floats((size_t)out * in) : NULL;
    struct sae_parameters f = *p;
    f.w_enc = enc;
    f.w_dec = dec;
    f.b_enc = b_enc;
    f.b_dec = b_dec;
    f.w_skip = skip;
    int result = enc && dec && b_enc && b_dec && (skip || !p->w_skip)
                     ? ERR_OK
                     : err_set(ERR_NOMEM, "no memory to export %u features", o->features);
    if (result == ERR_OK && skip) result = fold_skip(w, p->w_skip, out, in, skip);
    if (result != ERR_OK) {
        whiten_fold_free(&f);
        return result;
    }
    fold_encoder(w, o, p, enc, b_enc);
    by_blocks(w, w->back, p->w_dec, o->features, first, out, dec);
    by_blocks(w, w->back, p->b_dec, 1, first, out, b_dec);
    for (uint32_t i = 0; i < out; i++) b_dec[i] += w->mean[first + i];
    if (skip) less_mean(skip, w->mean, out, in, b_dec);
    *folded = f;
    return ERR_OK;
}

void whiten_fold_free(struct sae_parameters *f)
{
    free((void *)f->w_enc);
    free((void *)f->w_dec);
    free((void *)f->b_enc);
    free((void *)f->b_dec);
    free((void *)f->w_skip);
    *f = (struct sae_parameters){0};
}

static json_t *facts_json(const struct whiten_facts *f)
{
    json_t *hooks = json_array();
    for (uint32_t h = 0; h < f->hooks; h++) {
        const struct whiten_hook *k = &f->hook[h];
        json_array_append_new(hooks,
                              json_pack("{s:I, s:I, s:f, s:f}", "width", (json_int_t)k->width,
                                        "floored", (json_int_t)k->floored, "largest", k->largest,
                                        "smallest", k->smallest));
    }
    return json_pack("{s:i, s:I, s:f, s:o}", "version", VERSION, "rows", (json_int_t)f->rows,
                     "floor", WHITEN_FLOOR, "hooks", hooks);
}

int whiten_save(const struct whiten *w, struct checkpoint_writer *writer)
{
    json_t *facts = facts_json(&w->facts);
    char *text = facts ? json_dumps(facts, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    size_t bytes = whiten_block_values(w) * sizeof(float);
    json_decref(facts);
    if (!text) return err_set(ERR_NOMEM, "no memory for a checkpoint");
    int result = checkpoint_put(writer, "whiten", text, strlen(text));
    if (result == ERR_OK)
        result = checkpoint_put(writer, "whiten.mean", w->mean, w->width * sizeof *w->mean);
    if (result == ERR_OK) result = checkpoint_put(writer, "whiten.to", w->to, bytes);
    if (result == ERR_OK) result = checkpoint_put(writer, "whiten.back", w->back, bytes);
    free(text);
    return result;
}

static int read_hook(const json_t *object, struct whiten_hook *hook)
{
    json_int_t width, floored;
    if (json_unpack((json_t *)object, "{s:I, s:I, s:F, s:F}", "width", &width, "floored", &floored,
                    "largest", &hook->largest, "smallest", &hook->smallest) != 0 ||
        floored < 0 || floored > width)
        return err_set(ERR_FORMAT, "the section 'whiten' is malformed");
    if (width != hook->width)
        return err_set(ERR_MISMATCH, "whitening: a hook had %lld values and has %u",
                       (long long)width, hook->width);
    hook->floored = (uint32_t)floored;
    return ERR_OK;
}

static int read_facts(const char *text, size_t bytes, struct whiten_facts *f)
{
    json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL), *hooks = NULL;
    json_int_t version = 0, rows = 0;
    int result = ERR_OK;
    if (!object ||
        json_unpack(object, "{s:I, s:I, s:o}", "version", &version, "rows", &rows, "hooks",
                    &hooks) != 0 ||
        rows < 0 || json_array_size(hooks) != f->hooks)
        result = err_set(ERR_FORMAT, "the section 'whiten' is malformed");
    else if (version != VERSION)
        result = err_set(ERR_VERSION, "the whitening is of version %lld, this trainer knows %d",
                         (long long)version, VERSION);
    for (uint32_t h = 0; h < f->hooks && result == ERR_OK; h++)
        result = read_hook(json_array_get(hooks, h), &f->hook[h]);
    f->rows = (uint64_t)rows;
    json_decref(object);
    return result;
}

static int read_floats(const struct checkpoint *checkpoint, const char *name, float *out,
                       size_t count)
{
    const void *data;
    size_t bytes;
    int result = checkpoint_find(checkpoint, name, &data, &bytes);
    if (result != ERR_OK) return err_set(ERR_FORMAT, "the checkpoint has no section '%s'", name);
    if (bytes != count * sizeof *out)
        return err_set(ERR_FORMAT, "the section '%s' has %zu bytes, not %zu", name, bytes,
                       count * sizeof *out);
    memcpy(out, data, bytes);
    return ERR_OK;
}

int whiten_load(const struct checkpoint *checkpoint, const uint32_t *widths, uint32_t hooks,
                struct pool *pool, struct whiten **whiten)
{
    struct whiten *w;
    const void *text;
    size_t bytes;
    if (checkpoint_find(checkpoint, "whiten", &text, &bytes) != ERR_OK)
        return err_set(ERR_FORMAT, "the checkpoint has no section 'whiten'");
    int result = whiten_new(widths, hooks, pool, &w);
    if (result != ERR_OK) return result;
    result = read_facts(text, bytes, &w->facts);
    if (result == ERR_OK) result = read_floats(checkpoint, "whiten.mean", w->mean, w->width);
    if (result == ERR_OK)
        result = read_floats(checkpoint, "whiten.to", w->to, whiten_block_values(w));
    if (result == ERR_OK)
        result = read_floats(checkpoint, "whiten.back", w->back, whiten_block_values(w));
    if (result != ERR_OK) {
        whiten_free(w);
        return result;
    }
    *whiten = w;
    return ERR_OK;
}
