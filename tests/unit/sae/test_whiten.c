/* Whitening against plain arithmetic: what rows become, metrics in the rows' own units, and exports
 * of whitened SAEs against whitening, the SAE and undoing it. */
#include "helper.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/fileio.h"
#include "sae/checkpoint.h"
#include "sae/cpu/pool.h"
#include "sae/export/fold.h"
#include "sae/whiten.h"

enum { D = 18, F = 48, ROWS = 2000, HOOKS = 2 };

static float rows[ROWS * D], scale[D], scaled[ROWS * D], white[ROWS * D], shift[D];
static const uint32_t widths[HOOKS] = {6, 12}, thirds[3] = {6, 6, 6};

/* Strongly anisotropic, mixed, and about a mean that is not 0. A constant value where asked for. */
static void make_rows(int constant)
{
    static float mix[D][D];
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++)
            mix[i][j] = 4 * (i == j) + (i / 6 == j / 6) * (float)rng_normal(&rng);
    for (int i = 0; i < D; i++) scale[i] = i < 3 ? 0.25f : i < 6 ? 0.375f : 0.5f;
    for (int r = 0; r < ROWS; r++) {
        double z[D];
        for (int j = 0; j < D; j++) z[j] = rng_normal(&rng) * pow(1.4, -(j % 6));
        for (int i = 0; i < D; i++) {
            double x = 3 + 0.1 * i;
            for (int j = 0; j < D; j++) x += mix[i][j] * z[j];
            rows[r * D + i] = constant == i ? 7 : (float)x;
            scaled[r * D + i] = rows[r * D + i] * scale[i];
        }
    }
}

static struct pool *threads(uint32_t count)
{
    struct pool *pool;
    assert_int_equal(pool_new(count, &pool), ERR_OK);
    return pool;
}

static struct whiten *measured(const uint32_t *of, uint32_t hooks, struct pool *pool)
{
    struct whiten_measure *m;
    struct whiten *w;
    assert_int_equal(whiten_measure_new(of, hooks, shift, pool, &m), ERR_OK);
    whiten_measure_add(m, scaled, 700);
    whiten_measure_add(m, scaled + (size_t)700 * D, ROWS - 700);
    assert_int_equal(whiten_measure_end(m, &w), ERR_OK);
    whiten_measure_free(m);
    return w;
}

static double covariance_of(const float *x, int i, int j)
{
    double a = 0, b = 0, ab = 0;
    for (int r = 0; r < ROWS; r++) {
        a += x[r * D + i];
        b += x[r * D + j];
        ab += (double)x[r * D + i] * x[r * D + j];
    }
    return ab / ROWS - a / ROWS * (b / ROWS);
}

static void rows_become_white(void **state)
{
    struct pool *pool = threads(3), *one = threads(1);
    (void)state;
    make_rows(-1);
    struct whiten *w = measured(widths, HOOKS, pool), *same = measured(widths, HOOKS, one);
    static float again[ROWS * D];
    memcpy(white, scaled, sizeof white);
    memcpy(again, scaled, sizeof again);
    whiten_apply(w, white, ROWS);
    whiten_apply(same, again, ROWS);
    assert_memory_equal(white, again, sizeof white); /* whatever the number of threads */
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++)
            if (i / 6 == 0 ? j / 6 == 0 : j / 6 > 0) /* of one hook */
                assert_true(fabs(covariance_of(white, i, j) - (i == j)) < 1e-3);
    assert_int_equal(whiten_facts(w)->rows, ROWS);
    assert_int_equal(whiten_facts(w)->hook[0].floored + whiten_facts(w)->hook[1].floored, 0);
    whiten_undo(w, white, ROWS, 0);
    for (int i = 0; i < ROWS * D; i++) assert_true(fabsf(white[i] - scaled[i]) < 1e-4f);
    whiten_free(w);
    whiten_free(same);
    pool_free(pool);
    pool_free(one);
}

static void what_does_not_change_is_floored(void **state)
{
    struct pool *pool = threads(1);
    (void)state;
    make_rows(4);
    struct whiten *w = measured(widths, HOOKS, pool);
    assert_int_equal(whiten_facts(w)->hook[0].floored, 1);
    memcpy(white, scaled, sizeof white);
    whiten_apply(w, white, ROWS);
    double energy = 0;
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < 6; i++) energy += (double)white[r * D + i] * white[r * D + i] / ROWS;
    assert_true(fabs(energy - 6) < 1e-2); /* the hook's width, also where a direction is floored */
    for (int i = 0; i < ROWS * D; i++) assert_true(isfinite(white[i]));
    whiten_free(w);
    pool_free(pool);
}

static void what_cannot_be_measured_is_refused(void **state)
{
    struct pool *pool = threads(1);
    struct whiten_measure *m;
    struct whiten *w;
    static const uint32_t wide = WHITEN_MAX_WIDTH + 1;
    (void)state;
    make_rows(-1);
    assert_int_equal(whiten_rows_needed(widths, HOOKS), 48);
    assert_int_equal(whiten_measure_new(&wide, 1, shift, pool, &m), ERR_LIMIT);
    assert_int_equal(whiten_measure_new(widths, HOOKS, shift, pool, &m), ERR_OK);
    whiten_measure_add(m, scaled, 47);
    assert_int_equal(whiten_measure_end(m, &w), ERR_STATE);
    assert_non_null(strstr(err_text(), "47 rows are too few"));
    whiten_measure_free(m);
    assert_int_equal(whiten_measure_new(widths, HOOKS, shift, pool, &m), ERR_OK);
    for (int r = 0; r < 60; r++) whiten_measure_add(m, scaled, 1);
    assert_int_equal(whiten_measure_end(m, &w), ERR_STATE);
    assert_non_null(strstr(err_text(), "never change"));
    whiten_measure_free(m);
    scaled[3] = NAN;
    assert_int_equal(whiten_measure_new(widths, HOOKS, shift, pool, &m), ERR_OK);
    whiten_measure_add(m, scaled, 100);
    assert_int_equal(whiten_measure_end(m, &w), ERR_STATE);
    assert_non_null(strstr(err_text(), "not finite"));
    whiten_measure_free(m);
    pool_free(pool);
}

static void a_checkpoint_keeps_it_bit_for_bit(void **state)
{
    char folder[] = "/tmp/sluice-whiten-XXXXXX";
    struct pool *pool = threads(2);
    struct checkpoint_writer *writer;
    struct checkpoint *checkpoint;
    struct whiten *other;
    unsigned damaged;
    static float again[ROWS * D];
    (void)state;
    make_rows(-1);
    assert_non_null(mkdtemp(folder));
    struct whiten *w = measured(widths, HOOKS, pool);
    assert_int_equal(checkpoint_begin(folder, 1, &writer), ERR_OK);
    assert_int_equal(whiten_save(w, writer), ERR_OK);
    assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
    assert_int_equal(checkpoint_newest(folder, &checkpoint, &damaged), ERR_OK);
    assert_int_equal(whiten_load(checkpoint, widths, HOOKS, pool, &other), ERR_OK);
    assert_memory_equal(whiten_facts(w), whiten_facts(other), sizeof(struct whiten_facts));
    memcpy(white, scaled, sizeof white);
    memcpy(again, scaled, sizeof again);
    whiten_apply(w, white, ROWS);
    whiten_apply(other, again, ROWS);
    assert_memory_equal(white, again, sizeof white);
    whiten_undo(w, white, ROWS, 0);
    whiten_undo(other, again, ROWS, 0);
    assert_memory_equal(white, again, sizeof white);
    whiten_free(other);
    assert_int_equal(whiten_load(checkpoint, thirds, HOOKS, pool, &other), ERR_MISMATCH);
    checkpoint_close(checkpoint);
    whiten_free(w);
    pool_free(pool);
    assert_int_equal(dir_remove(folder), ERR_OK);
}

/* Some hooks of other widths, in another order: as the whole does it to these. */
static void some_hooks_are_whitened_as_in_the_whole(void **state)
{
    enum { HOOKS_OF = 3, SEEN = 9 };
    static const uint32_t of[HOOKS_OF] = {2, 9, 7}, hooks[] = {2, 0}, at[] = {11, 0}, n[] = {7, 2};
    static float some[ROWS * SEEN];
    struct pool *pool = threads(2);
    struct whiten *selected;
    (void)state;
    make_rows(-1);
    struct whiten *w = measured(of, HOOKS_OF, pool);
    memcpy(white, scaled, sizeof white);
    assert_int_equal(whiten_select(w, hooks, 2, &selected), ERR_OK);
    for (int undone = 0; undone < 2; undone++) {
        for (int r = 0; r < ROWS; r++)
            for (int h = 0, to = 0; h < 2; to += (int)n[h++])
                memcpy(some + r * SEEN + to, white + r * D + at[h], n[h] * sizeof *some);
        if (undone)
            whiten_undo(selected, some, ROWS, 0);
        else
            whiten_apply(selected, some, ROWS);
        if (undone)
            whiten_undo(w, white, ROWS, 0);
        else
            whiten_apply(w, white, ROWS);
        for (int r = 0; r < ROWS; r++)
            for (int h = 0, to = 0; h < 2; to += (int)n[h++])
                assert_memory_equal(some + r * SEEN + to, white + r * D + at[h],
                                    n[h] * sizeof *some);
    }
    whiten_free(selected);
    whiten_free(w);
    pool_free(pool);
}

/* By the folded parameters, in double, from a raw row; `keep`: which features the SAE kept. */
static void folded_row(const struct folded *f, const float *raw, const float *keep, double *out)
{
    for (uint32_t o = 0; o < f->width; o++) {
        out[o] = f->b_dec[o];
        for (uint32_t i = 0; f->w_skip && i < f->width_in; i++)
            out[o] += (double)f->w_skip[o * f->width_in + i] * raw[i];
    }
    for (uint32_t k = 0; k < f->features; k++) {
        double pre = 0, value;
        const float *x = raw + k / f->layer_features * f->width_in;
        for (uint32_t i = 0; i < f->width_in; i++)
            pre += f->w_enc[k * f->width_in + i] * (x[i] - (f->centred ? f->b_dec[i] : 0.0));
        value = pre + f->b_enc[k];
        if (f->b_mag) value = exp(f->r_mag[k]) * pre + f->b_mag[k];
        if (keep[k] == 0) continue;
        for (uint32_t o = 0; o < f->width; o++)
            out[o] += value * f->w_dec[(size_t)k * f->width + o];
    }
}

/* Their widths; one hook, or of a crosscoder and a clt theirs. */
static uint32_t hooks_of(const struct sae_options *o, uint32_t *each)
{
    uint32_t layers = sae_layers(o), hooks = o->arch == SAE_CLT ? 2 * layers : o->hooks;
    if (hooks == 1) {
        memcpy(each, widths, sizeof widths);
        return HOOKS;
    }
    for (uint32_t h = 0; h < hooks; h++) each[h] = D / hooks;
    for (uint32_t h = 0; o->arch == SAE_CLT && h < hooks; h++)
        each[h] = h < layers ? sae_in_width(o) : sae_out_width(o) / layers;
    return hooks;
}

static void check_kind(int kind, struct pool *pool)
{
    struct sae_options o = kind_options(kind, D);
    uint32_t each[D], hooks = hooks_of(&o, each);
    struct whiten *w = measured(each, hooks, pool);
    struct sae *sae;
    struct sae_step step;
    struct sae_eval eval;
    struct folded folded;
    static float out[ROWS * D], acts[ROWS * F];
    uint32_t width = sae_out_width(&o), first = D - width;
    double error = 0, worst = 0, size = 0, mse = 0, variance = 0;
    o.features = F;
    o.k = 6;
    o.lambda = o.lambda > 0 ? 0.5 : 0;
    o.learning_rate = 5e-3;
    o.batch_rows = 500;
    o.pool = pool;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    memcpy(white, scaled, sizeof white);
    whiten_apply(w, white, ROWS);
    for (int i = 0; i < 40; i++) {
        struct sae_batch batch = {white + (size_t)(i % 4) * 500 * D, NULL, 500};
        assert_int_equal(sae_train(sae, &batch, &step), ERR_OK);
    }
    assert_int_equal(sae_forward(sae, white, ROWS, out, acts), ERR_OK);
    whiten_undo(w, out, ROWS, first);
    assert_int_equal(whiten_evaluate(w, sae, scaled, ROWS, &eval), ERR_OK);
    struct export_options options = {.scale = scale, .whiten = w};
    assert_int_equal(fold_weights(sae_view(sae), &options, &folded), ERR_OK);
    for (int r = 0; r < ROWS; r++) {
        double row[D];
        folded_row(&folded, rows + (size_t)r * D, acts + (size_t)r * F, row);
        for (uint32_t i = 0; i < width; i++) {
            double x = scaled[r * D + first + i], y = out[r * width + i];
            error = fabs(row[i] * scale[first + i] - y);
            worst = error > worst ? error : worst;
            size += y * y / ROWS;
            mse += (x - y) * (x - y) / ROWS;
        }
    }
    for (uint32_t i = 0; i < width; i++)
        variance += covariance_of(scaled, (int)(first + i), (int)(first + i));
    if (worst > 1e-5 * sqrt(size)) fail_msg("kind %d: off by %g of %g", kind, worst, sqrt(size));
    assert_true(fabs(eval.mse - mse) < 1e-6 * mse); /* in the rows' own units */
    assert_true(fabs(eval.fve - (1 - mse / variance)) < 1e-6);
    fold_free(&folded);
    sae_free(sae);
    whiten_free(w);
}

static void exports_and_metrics_are_of_the_rows_own_units(void **state)
{
    struct pool *pool = threads(2);
    (void)state;
    make_rows(-1);
    for (int kind = 0; kind < KIND_COUNT; kind++) check_kind(kind, pool);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_white),
        cmocka_unit_test(what_does_not_change_is_floored),
        cmocka_unit_test(what_cannot_be_measured_is_refused),
        cmocka_unit_test(a_checkpoint_keeps_it_bit_for_bit),
        cmocka_unit_test(some_hooks_are_whitened_as_in_the_whole),
        cmocka_unit_test(exports_and_metrics_are_of_the_rows_own_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
