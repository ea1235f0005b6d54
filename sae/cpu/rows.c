/*
 * The part of a step that goes by blocks of rows. A block of rows meets one block of features after
 * the other; what comes out of the product is looked through while it is in the cache.
 */
#include "sae/dictionary.h"

#include <string.h>

uint32_t rows_block(uint32_t rows)
{
    uint32_t block = rows / 16;
    if (block < 32) block = 32;
    return block < BLOCK_ROWS ? block : BLOCK_ROWS;
}

uint32_t rows_blocks(const struct dictionary *d)
{
    return (d->rows + d->block_rows - 1) / d->block_rows;
}

static double square(const struct kernels *kernels, const float *x, size_t n)
{
    float sum;
    kernels->dots(&sum, x, n, x, 0, NULL, 1);
    return sum;
}

/* L0 and L1 of a row from its list. */
static void measure_row(struct dictionary *d, uint32_t r)
{
    const uint32_t *index = d->active.index + d->active.start[r];
    const float *value = d->active.value + d->active.start[r];
    double l1 = 0;
    for (uint32_t j = 0; j < d->active.count[r]; j++) l1 += (double)value[j] * d->norm[index[j]];
    d->row_l1[r] = l1;
    d->row_l0[r] = d->active.count[r];
}

static float *error_of(const struct dictionary *d, uint32_t level, uint32_t r)
{
    return d->error + ((size_t)level * d->active.rows + r) * d->width;
}

/* Where the pairs of each level's own features begin in a row's list: (levels + 1). */
static void level_starts(const struct dictionary *d, uint32_t r, uint32_t *starts)
{
    uint32_t at = d->active.start[r], end = at + d->active.count[r];
    starts[0] = at;
    for (uint32_t g = 0; g < d->levels; g++) {
        while (at < end && d->active.index[at] < d->prefix[g]) at++;
        starts[g + 1] = at;
    }
}

/* Errors of a row, level by level. A feature takes part in its own level and all wider ones, so
 * what it answers for is the sum of their errors; left in its level's place. */
static void errors_of_row(struct dictionary *d, uint32_t r, const uint32_t *starts)
{
    const float *base = d->unexplained + (size_t)r * d->width, one = 1;
    float sign = -1;
    d->row_rest[r] = 0;
    for (uint32_t g = 0; g < d->levels; g++) {
        float *error = error_of(d, g, r);
        d->kernels->combine(error, d->width, base, sign, d->w.w_dec, d->width,
                            d->active.index + starts[g], d->active.value + starts[g],
                            starts[g + 1] - starts[g]);
        d->row_error[r] = square(d->kernels, error, d->width);
        if (g + 1 < d->levels) d->row_rest[r] += d->row_error[r];
        base = error;
        sign = 1;
    }
    for (uint32_t g = d->levels - 1; g-- > 0;)
        d->kernels->combine(error_of(d, g, r), d->width, error_of(d, g, r), 1.0f,
                            error_of(d, g + 1, r), 0, NULL, &one, 1);
}

/* And the gradient of the loss with respect to its active pre-activations. */
static void error_of_row(struct dictionary *d, uint32_t r)
{
    uint32_t starts[SAE_MAX_LEVELS + 1];
    float *gradient = d->active.gradient, scale = 2.0f / (float)d->rows;
    float penalty = (float)(d->lambda / d->rows);
    level_starts(d, r, starts);
    errors_of_row(d, r, starts);
    for (uint32_t g = 0; g < d->levels; g++)
        d->kernels->dots(gradient + starts[g], error_of(d, g, r), d->width, d->w.w_dec, d->width,
                         d->active.index + starts[g], starts[g + 1] - starts[g]);
    for (uint32_t j = starts[0]; j < starts[d->levels]; j++)
        gradient[j] = scale * gradient[j] + penalty * d->norm[d->active.index[j]];
}

/* AuxK: the dead features' reconstruction of what is left over, e = x - x', taken as given. */
static void aux_of_row(struct dictionary *d, uint32_t r)
{
    uint32_t start = d->aux.start[r], count = d->aux.count[r];
    const uint32_t *index = d->aux.index + start;
    float *gradient = d->aux.gradient + start;
    float *error = d->aux_error + (size_t)r * d->width;
    d->kernels->combine(error, d->width, error_of(d, d->levels - 1, r), 1.0f, d->w.w_dec, d->width,
                        index, d->aux.value + start, count);
    d->row_aux[r] = square(d->kernels, error, d->width);
    d->kernels->dots(gradient, error, d->width, d->w.w_dec, d->width, index, count);
    float scale = (float)(2.0 * d->sae->options.aux_coefficient / d->rows);
    for (uint32_t j = 0; j < count; j++) gradient[j] *= scale;
}

/* What is to come out of row r. */
static const float *target(const struct dictionary *d, uint32_t r)
{
    return d->x + (size_t)r * d->row_width + d->target_at;
}

static void centre(struct dictionary *d, uint32_t first, uint32_t n)
{
    for (uint32_t r = first; r < first + n; r++) {
        float *centred = d->centred + (size_t)r * d->width;
        d->kernels->subtract(centred, target(d, r), d->w.b_dec, d->width);
        d->row_square[r] = square(d->kernels, centred, d->width);
    }
    if (!d->w.w_skip) return;
    float *unexplained = d->unexplained + (size_t)first * d->width;
    memcpy(unexplained, d->centred + (size_t)first * d->width,
           (size_t)n * d->width * sizeof(float));
    skip_rows(d, first, n, -1, unexplained);
}

uint32_t rows_of_block(const struct dictionary *d, uint32_t item, uint32_t *first)
{
    *first = item * d->block_rows;
    return d->rows - *first < d->block_rows ? d->rows - *first : d->block_rows;
}

/* x' of a row becomes x' - x; its square. */
static double finish_error(struct dictionary *d, float *out, uint32_t r)
{
    float *error = out + (size_t)r * d->width;
    d->kernels->subtract(error, error, target(d, r), d->width);
    return square(d->kernels, error, d->width);
}

/* The rest of a block of rows, once it is known which of their features are active. */
static void decode(struct dictionary *d, uint32_t first, uint32_t n)
{
    for (uint32_t r = first; r < first + n; r++) {
        measure_row(d, r);
        error_of_row(d, r);
        if (d->with_aux) aux_of_row(d, r);
    }
}

static void train_block(void *arg, uint32_t item, uint32_t thread)
{
    struct dictionary *d = arg;
    struct scratch *s = &d->scratch[thread];
    uint32_t first, n = rows_of_block(d, item, &first);
    centre(d, first, n);
    if (d->dense) {
        float *gate = d->recipe->gates ? d->aux_error + (size_t)first * d->width : NULL;
        dense_rows(d, first, n, s, d->error + (size_t)first * d->width, gate, NULL);
        for (uint32_t r = first; r < first + n; r++) {
            d->row_error[r] = finish_error(d, d->error, r);
            if (gate) d->row_rest[r] += finish_error(d, d->aux_error, r);
        }
        return;
    }
    encode_block(d, first, n, 0, s);
    decode(d, first, n);
}

struct encode_job {
    struct dictionary *d;
    float floor;
};

static void encode_task(void *arg, uint32_t item, uint32_t thread)
{
    struct encode_job *job = arg;
    uint32_t first, n = rows_of_block(job->d, item, &first);
    encode_block(job->d, first, n, job->floor, &job->d->scratch[thread]);
}

static void decode_block(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    uint32_t first, n = rows_of_block(arg, item, &first);
    decode(arg, first, n);
}

static void centre_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    uint32_t first, n = rows_of_block(arg, item, &first);
    centre(arg, first, n);
}

void rows_begin(struct dictionary *d)
{
    d->input = d->recipe->centred ? d->centred : d->x;
    d->input_stride = d->recipe->centred ? d->width : d->row_width;
    if (d->keep == 0 || d->dense) return;
    if (d->recipe->per_batch) pool_run(d->pool, centre_task, d, rows_blocks(d));
    encode_begin(d);
}

static void clear(struct dictionary *d)
{
    row_lists_clear(&d->active);
    row_lists_clear(&d->aux);
}

int rows_encode(struct dictionary *d, float floor)
{
    struct encode_job job = {d, floor};
    clear(d);
    pool_run(d->pool, encode_task, &job, rows_blocks(d));
    return !atomic_load(&d->active.overflow);
}

void rows_train(struct dictionary *d)
{
    if (d->recipe->per_batch) {
        batch_topk_encode(d);
        pool_run(d->pool, decode_block, d, rows_blocks(d));
        return;
    }
    rows_begin(d);
    clear(d);
    pool_run(d->pool, train_block, d, rows_blocks(d));
}

struct forward_job {
    struct dictionary *d;
    float *out, *f;
};

static void forward_block(void *arg, uint32_t item, uint32_t thread)
{
    struct forward_job *job = arg;
    struct dictionary *d = job->d;
    uint32_t first, n = rows_of_block(d, item, &first);
    float *out = job->out + (size_t)first * d->width;
    float *f = job->f ? job->f + (size_t)first * d->features : NULL;
    if (d->recipe->centred) centre(d, first, n);
    if (d->dense) {
        dense_rows(d, first, n, &d->scratch[thread], out, NULL, f);
        return;
    }
    encode_block(d, first, n, 0, &d->scratch[thread]);
    if (f) memset(f, 0, (size_t)n * d->features * sizeof *f);
    for (uint32_t r = first; r < first + n; r++) {
        uint32_t start = d->active.start[r], count = d->active.count[r];
        measure_row(d, r);
        d->kernels->combine(out + (size_t)(r - first) * d->width, d->width, d->w.b_dec, 1.0f,
                            d->w.w_dec, d->width, d->active.index + start, d->active.value + start,
                            count);
        for (uint32_t j = start; f && j < start + count; j++)
            f[(size_t)(r - first) * d->features + d->active.index[j]] = d->active.value[j];
    }
    if (d->w.w_skip) skip_rows(d, first, n, 1, out);
}

void rows_forward(struct dictionary *d, float *out, float *f)
{
    struct forward_job job = {d, out, f};
    d->with_aux = 0;
    d->dense = d->keep == 0 || d->recipe->per_batch; /* by thresholds, where there are some */
    rows_begin(d);
    row_lists_clear(&d->active);
    pool_run(d->pool, forward_block, &job, rows_blocks(d));
}
