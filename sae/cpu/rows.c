/*
 * The part of a step that goes by blocks of rows. A block of rows meets one block of features after
 * the other; what comes out of the product is looked through while it is in the cache.
 */
#include "sae/cpu/encode.h"
#include "sae/cpu/train.h"

#include <string.h>

static double square(const struct kernels *kernels, const float *x, size_t n)
{
    float sum;
    kernels->dots(&sum, x, n, x, 0, NULL, 1);
    return sum;
}

static float *error_of(const struct dictionary *d, uint32_t level, uint32_t r)
{
    return d->error + ((size_t)level * d->e.active.rows + r) * d->e.width;
}

/* Where the pairs of each level's own features begin in a row's list: (levels + 1). */
static void level_starts(const struct dictionary *d, uint32_t r, uint32_t *starts)
{
    uint32_t at = d->e.active.start[r], end = at + d->e.active.count[r];
    starts[0] = at;
    for (uint32_t g = 0; g < d->levels; g++) {
        while (at < end && d->e.active.index[at] < d->prefix[g]) at++;
        starts[g + 1] = at;
    }
}

double rows_unseen(const struct dictionary *d, uint32_t r)
{
    const float *in = d->e.x + (size_t)r * d->e.row_width;
    return d->e.target_at > 0 ? 0 * square(d->e.kernels, in, d->e.target_at) : 0;
}

/* Errors of a row, level by level. A feature takes part in its own level and all wider ones, so
 * what it answers for is the sum of their errors; left in its level's place. */
static void errors_of_row(struct dictionary *d, uint32_t r, const uint32_t *starts)
{
    const float *base = d->unexplained + (size_t)r * d->e.width, one = 1;
    float sign = -1;
    d->row_rest[r] = rows_unseen(d, r);
    for (uint32_t g = 0; g < d->levels; g++) {
        float *error = error_of(d, g, r);
        d->e.kernels->combine(error, d->e.width, base, sign, d->e.w.w_dec, d->e.width,
                              d->e.active.index + starts[g], d->e.active.value + starts[g],
                              starts[g + 1] - starts[g]);
        d->row_error[r] = square(d->e.kernels, error, d->e.width);
        if (g + 1 < d->levels) d->row_rest[r] += d->row_error[r];
        base = error;
        sign = 1;
    }
    for (uint32_t g = d->levels - 1; g-- > 0;)
        d->e.kernels->combine(error_of(d, g, r), d->e.width, error_of(d, g, r), 1.0f,
                              error_of(d, g + 1, r), 0, NULL, &one, 1);
}

/* And the gradient of the loss with respect to its active pre-activations. */
static void error_of_row(struct dictionary *d, uint32_t r)
{
    uint32_t starts[SAE_MAX_LEVELS + 1];
    float *gradient = d->e.active.gradient, scale = 2.0f / (float)d->e.rows;
    float penalty = (float)(d->lambda / d->e.rows);
    level_starts(d, r, starts);
    errors_of_row(d, r, starts);
    for (uint32_t g = 0; g < d->levels; g++)
        d->e.kernels->dots(gradient + starts[g], error_of(d, g, r), d->e.width, d->e.w.w_dec,
                           d->e.width, d->e.active.index + starts[g], starts[g + 1] - starts[g]);
    for (uint32_t j = starts[0]; j < starts[d->levels]; j++)
        gradient[j] = scale * gradient[j] + penalty * d->e.norm[d->e.active.index[j]];
}

/* What is to come out of row r. */
static const float *target(const struct dictionary *d, uint32_t r)
{
    return d->e.x + (size_t)r * d->e.row_width + d->e.target_at;
}

void rows_centre_block(struct dictionary *d, uint32_t first, uint32_t n)
{
    uint32_t width = d->e.width;
    for (uint32_t r = first; r < first + n; r++) {
        float *centred = d->e.centred + (size_t)r * width;
        d->e.kernels->subtract(centred, target(d, r), d->e.w.b_dec, width);
        d->row_square[r] = square(d->e.kernels, centred, width);
    }
    if (d->unexplained == d->e.centred) return;
    float *unexplained = d->unexplained + (size_t)first * width;
    memcpy(unexplained, d->e.centred + (size_t)first * width, (size_t)n * width * sizeof(float));
    decode_skip(&d->e, first, n, -1, unexplained);
}

/* The rest of a block of rows, once it is known which of their features are active. */
static void decode(struct dictionary *d, uint32_t first, uint32_t n)
{
    for (uint32_t r = first; r < first + n; r++) {
        decode_measure_row(&d->e, r);
        error_of_row(d, r);
        if (d->with_aux) aux_of_row(d, r, error_of(d, d->levels - 1, r));
    }
}

static void encode(struct dictionary *d, uint32_t first, uint32_t n, float floor, uint32_t thread)
{
    encode_block(&d->e, first, n, floor, thread);
    if (d->with_aux) aux_encode(d, first, n, thread);
}

static void train_block(void *arg, uint32_t item, uint32_t thread)
{
    struct dictionary *d = arg;
    uint32_t first, n = encode_block_of(&d->e, item, &first);
    rows_centre_block(d, first, n);
    encode(d, first, n, 0, thread);
    decode(d, first, n);
}

struct encode_job {
    struct dictionary *d;
    float floor;
};

static void encode_task(void *arg, uint32_t item, uint32_t thread)
{
    struct encode_job *job = arg;
    uint32_t first, n = encode_block_of(&job->d->e, item, &first);
    encode(job->d, first, n, job->floor, thread);
}

static void decode_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t first, n = encode_block_of(&d->e, item, &first);
    decode(d, first, n);
}

static void centre_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t first, n = encode_block_of(&d->e, item, &first);
    rows_centre_block(d, first, n);
}

static void clear(struct dictionary *d)
{
    row_lists_clear(&d->e.active);
    row_lists_clear(&d->aux);
}

void rows_centre(struct dictionary *d)
{
    pool_run(d->e.pool, centre_task, d, encode_blocks(&d->e));
}

int rows_encode(struct dictionary *d, float floor)
{
    struct encode_job job = {d, floor};
    clear(d);
    pool_run(d->e.pool, encode_task, &job, encode_blocks(&d->e));
    return !atomic_load(&d->e.active.overflow);
}

void rows_decode(struct dictionary *d)
{
    pool_run(d->e.pool, decode_task, d, encode_blocks(&d->e));
}

void rows_train(struct dictionary *d)
{
    clear(d);
    pool_run(d->e.pool, train_block, d, encode_blocks(&d->e));
}
