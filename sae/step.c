/*
 * One step from end to end: which way it goes, and the order of its parts, none of which calls
 * another's caller.
 *
 *   WAY_ROWS     rows by lists                               -> features from lists
 *   WAY_BATCH    centre, encode with a floor, trim, decode   -> features from lists
 *   WAY_DENSITY  rows by lists; the dense way where the last step's features were too many, or
 *                there was no room in the lists
 *   WAY_DENSE    rows and features by dense products
 *   all          columns, report, and unless it isn't finite: learn, Adam, counters
 */
#include "base/err.h"
#include "sae/cpu/encode.h"
#include "sae/cpu/train.h"
#include "sae/schedule.h"

#include <math.h>
#include <string.h>

static double sum(const double *x, uint32_t n)
{
    double total = 0;
    for (uint32_t i = 0; i < n; i++) total += x[i];
    return total;
}

/* The batch's own variance: sum ||x - mean||^2 = sum ||y||^2 - ||sum y||^2 / rows, y = x -
 * b_dec. */
static double total_variance(const struct dictionary *d)
{
    double mean_square = 0;
    for (uint32_t i = 0; i < d->e.width; i++)
        mean_square += (double)d->column_sum[i] * d->column_sum[i];
    return sum(d->row_square, d->e.rows) - mean_square / d->e.rows;
}

/* Whether no row differs from the first: then the variance above is only rounding. */
static int rows_are_equal(const struct dictionary *d)
{
    const float *first = d->e.x + d->e.target_at;
    for (uint32_t r = 1; r < d->e.rows; r++)
        if (memcmp(first + (size_t)r * d->e.row_width, first, d->e.width * sizeof *first) != 0)
            return 0;
    return 1;
}

/* Of all tensors; those of features are summed by feature already. */
static double gradient_norm(const struct dictionary *d)
{
    double square = sum(d->feature_square, d->e.features);
    for (const struct tensor *t = d->e.arch->tensors; t->name; t++) {
        const float *g = tensor_of(t, &d->g);
        for (uint32_t i = 0; t->shape == TENSOR_OUT && i < d->e.width; i++)
            square += (double)g[i] * g[i];
        if (t->shape == TENSOR_OUT_IN && g) square += sum(d->skip_square, d->e.width);
    }
    return sqrt(square);
}

static void report(const struct dictionary *d, struct sae_step *step)
{
    double rows = d->e.rows, error = sum(d->row_error, d->e.rows), variance = total_variance(d);
    step->mse = error / rows;
    step->fve = variance > 0 && !rows_are_equal(d) ? 1 - error / variance : NAN;
    step->l0 = sum(d->e.row_l0, d->e.rows) / rows;
    step->l1 = sum(d->e.row_l1, d->e.rows) / rows;
    step->aux = d->with_aux ? sum(d->row_aux, d->e.rows) / rows : 0;
    step->lambda = d->cost > 0 ? d->cost : d->lambda;
    step->rest = sum(d->row_rest, d->e.rows) / rows;
    if (d->e.options->target_l0 > 0 && d->e.arch->dense->counts_active)
        step->rest += target_loss(&d->target, d->e.options, d->excess);
    step->loss = step->mse + step->rest;
    if (!d->e.arch->dense->own_penalty) step->loss += d->lambda * step->l1;
    if (d->with_aux) step->loss += d->e.options->aux_coefficient * step->aux;
    step->gradient_norm = gradient_norm(d);
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

static void count_firing(struct dictionary *d)
{
    for (uint32_t f = 0; f < d->e.features; f++) {
        d->silent_rows[f] = d->fired[f] ? 0 : d->silent_rows[f] + d->e.rows;
        d->fired_rows[f] += d->fired[f];
    }
    d->seen_rows += d->e.rows;
}

/* Whether target_l0 is a penalty of its own, not a factor of lambda. */
static int counts_active(const struct dictionary *d)
{
    return d->e.arch->dense->counts_active;
}

/* How far L0 is from its target, once the rows are encoded. */
static void aim(struct dictionary *d, uint64_t step)
{
    const struct sae_options *o = d->e.options;
    if (!(o->target_l0 > 0)) return;
    d->excess = target_excess(&d->target, o, step, sum(d->e.row_l0, d->e.rows) / d->e.rows);
    if (counts_active(d)) d->cost = target_cost(&d->target, o, d->excess);
}

static void begin(struct dictionary *d, const struct sae *sae, const struct sae_batch *batch)
{
    dictionary_settle(d);
    encoder_take(&d->e, batch->x, batch->rows);
    d->lambda = d->e.room.keep ? 0 : schedule_lambda(&sae->options, sae->steps);
    d->cost = 0;
    if (sae->options.target_l0 > 0) d->lambda *= counts_active(d) ? 0 : target_factor(&d->target);
    dictionary_mark_dead(d);
    d->with_aux = d->e.room.k_aux > 0 && d->dead > 0;
}

static void by_density(struct dictionary *d)
{
    d->dense = d->density > DENSE_ABOVE;
    if (!d->dense) rows_train(d);
    if (!d->dense && atomic_load(&d->e.active.overflow)) d->dense = 1;
    if (d->dense) dense_train(d);
}

/* Features, errors, gradients: the part in which ways differ. */
static void rows_and_features(struct dictionary *d, uint64_t step)
{
    d->dense = 0;
    switch (d->e.arch->way) {
    case WAY_ROWS:
        encode_begin(&d->e);
        rows_train(d);
        break;
    case WAY_BATCH:
        rows_centre(d);
        encode_begin(&d->e);
        batch_topk_encode(d);
        rows_decode(d);
        break;
    case WAY_DENSITY:
        by_density(d);
        break;
    case WAY_DENSE:
        d->dense = 1;
        dense_train(d);
        break;
    }
    aim(d, step);
    if (d->dense)
        dense_features(d);
    else
        gradients_features(d);
    gradients_columns(d);
}

int step_train(struct sae *sae, const struct sae_batch *batch, struct sae_step *step)
{
    struct dictionary *d = sae->state;
    begin(d, sae, batch);
    rows_and_features(d, sae->steps);
    report(d, step);
    step->learning_rate = sae->rate_factor * schedule_rate(&sae->options, sae->steps);
    /* Squares of a gradient beyond 1e15 would leave float's range in Adam's second moment. */
    if (!isfinite(step->loss) || !(step->gradient_norm < 1e15)) {
        step->skipped = 1;
        step->dead = d->dead;
        sae->skipped++;
        return ERR_OK;
    }
    if (d->e.arch->way == WAY_BATCH) batch_topk_learn(d);
    d->rate = adam_rate(sae, step);
    update_weights(d);
    if (sae->options.target_l0 > 0)
        target_learn(&d->target, &sae->options, sae->steps, step->l0, counts_active(d));
    count_firing(d);
    dictionary_mark_dead(d);
    d->density = step->l0 / d->e.features;
    step->dead = d->dead;
    sae->steps++;
    return ERR_OK;
}

int step_forward(struct sae *sae, const float *x, uint32_t rows, float *out, float *f,
                 double *l0_sum, double *l1_sum)
{
    struct dictionary *d = sae->state;
    dictionary_settle(d);
    encoder_take(&d->e, x, rows);
    encoder_forward(&d->e, out, f);
    *l0_sum = sum(d->e.row_l0, rows);
    *l1_sum = sum(d->e.row_l1, rows);
    return ERR_OK;
}
