#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <malloc.h>
#include <string.h>

#include "base/err.h"
#include "sae/dictionary.h"
#include "tests/truth.h"

#include "helper.h"

static struct sae_options options(enum sae_arch arch, uint32_t width, uint32_t features, uint32_t k)
{
    struct sae_options o;
    sae_options_default(arch, &o);
    o.width = width;
    o.features = features;
    o.k = arch == SAE_L1 || arch == SAE_COUNT ? 0 : k;
    o.threads = 2;
    return o;
}

static void recover(enum sae_arch arch)
{
    enum { WIDTH = 32, TRUE = 64, FEATURES = 96, ROWS = 1024, STEPS = 1500 };
    static float truth[TRUE * WIDTH], x[ROWS * WIDTH];
    struct rng rng;
    rng_seed(&rng, 1);
    random_directions(&rng, truth, TRUE, WIDTH);
    struct sae_options o = options(arch, WIDTH, FEATURES, 3);
    o.planned_steps = STEPS;
    o.learning_rate = 3e-3;
    if (arch == SAE_MATRYOSHKA) o.levels = 2;
    if (arch == SAE_JUMPRELU) o.lambda = 0.5;
    if (arch == SAE_GATED) o.lambda = 3;
    o.dead_window_rows = 50000;
    struct sae *sae;
    struct sae_step first = {0}, step;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    for (int i = 0; i < STEPS; i++) {
        sparse_rows(&rng, truth, TRUE, WIDTH, 3, x, ROWS);
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
        if (i == 0) first = step;
    }
    assert_true(step.mse < 0.2 * first.mse);
    assert_true(step.fve > 0.8);
    double mmcs, mcc;
    struct sae_parameters p = sae_parameters(sae);
    assert_int_equal(truth_mmcs(truth, TRUE, p.w_dec, FEATURES, WIDTH, &mmcs), ERR_OK);
    assert_int_equal(truth_mcc(truth, TRUE, p.w_dec, FEATURES, WIDTH, &mcc), ERR_OK);
    print_message("%s: MMCS %.3f, MCC %.3f, FVE %.3f, dead %u\n", sae_arch_name(arch), mmcs, mcc,
                  step.fve, step.dead);
    assert_true(mmcs >= 0.9);
    assert_true(mcc >= 0.9);
    sae_free(sae);
}

static void jumprelu_and_gated_recover_the_true_features(void **state)
{
    (void)state;
    recover(SAE_JUMPRELU);
    recover(SAE_GATED);
}

static void topk_batchtopk_and_matryoshka_recover_the_true_features(void **state)
{
    (void)state;
    recover(SAE_TOPK);
    recover(SAE_BATCHTOPK);
    recover(SAE_MATRYOSHKA);
}

static void l1_recovers_the_true_features(void **state)
{
    (void)state;
    enum { WIDTH = 32, TRUE = 64, FEATURES = 96, ROWS = 1024, STEPS = 1500 };
    static float truth[TRUE * WIDTH], x[ROWS * WIDTH];
    struct rng rng;
    rng_seed(&rng, 1);
    random_directions(&rng, truth, TRUE, WIDTH);
    struct sae_options o = options(SAE_L1, WIDTH, FEATURES, 0);
    o.planned_steps = STEPS;
    o.learning_rate = 3e-3;
    o.lambda = 2;
    struct sae *sae;
    struct sae_step first = {0}, step;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    for (int i = 0; i < STEPS; i++) {
        sparse_rows(&rng, truth, TRUE, WIDTH, 3, x, ROWS);
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
        if (i == 0) first = step;
    }
    double mmcs;
    struct sae_parameters p = sae_parameters(sae);
    assert_int_equal(truth_mmcs(truth, TRUE, p.w_dec, FEATURES, WIDTH, &mmcs), ERR_OK);
    print_message("l1: MMCS %.3f, FVE %.3f, L0 %.1f\n", mmcs, step.fve, step.l0);
    assert_true(step.mse < 0.3 * first.mse);
    assert_true(mmcs >= 0.9);
    sae_free(sae);
}

/* Train `steps` steps of fixed random batches; odd sizes so that no block is whole. */
static void train_some(struct sae *sae, int steps, uint64_t seed)
{
    enum { ROWS = 333 };
    uint32_t width = sae_options(sae)->width;
    float *x = malloc((size_t)ROWS * width * sizeof *x);
    struct rng rng;
    struct sae_step step;
    rng_seed(&rng, seed);
    for (int i = 0; i < steps; i++) {
        for (size_t j = 0; j < (size_t)ROWS * width; j++) x[j] = (float)rng_normal(&rng);
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
        assert_int_equal(step.skipped, 0);
    }
    free(x);
}

static void assert_same_weights(const struct sae *a, const struct sae *b)
{
    const struct dictionary *x = a->state, *y = b->state;
    assert_memory_equal(x->e.w.all, y->e.w.all, x->e.w.count * sizeof(float));
    assert_memory_equal(x->m.all, y->m.all, x->m.count * sizeof(float));
    assert_memory_equal(x->v.all, y->v.all, x->v.count * sizeof(float));
}

static void the_number_of_threads_changes_no_bit(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct sae_options o = kind_options(kind, 37);
        o.features = 601;
        o.k = 5;
        o.dead_window_rows = 600; /* so that AuxK has something to do */
        struct sae *one, *five;
        o.threads = 1;
        assert_int_equal(sae_new(&o, &one), ERR_OK);
        o.threads = 5;
        assert_int_equal(sae_new(&o, &five), ERR_OK);
        train_some(one, 6, 3);
        train_some(five, 6, 3);
        assert_same_weights(one, five);
        sae_free(one);
        sae_free(five);
    }
}

static void lists_and_dense_products_agree(void **state)
{
    (void)state;
    enum { ROWS = 300, WIDTH = 41, FEATURES = 530 };
    static float x[ROWS * WIDTH];
    struct sae_options o = options(SAE_L1, WIDTH, FEATURES, 0);
    o.batch_rows = 4096; /* room for the lists of a dense start */
    o.lambda_ramp = 0;
    struct sae *lists, *dense;
    struct sae_step by_lists, by_dense;
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)rng_normal(&rng);
    assert_int_equal(sae_new(&o, &lists), ERR_OK);
    assert_int_equal(sae_new(&o, &dense), ERR_OK);
    struct dictionary *a = lists->state, *b = dense->state;
    for (uint32_t f = 0; f < FEATURES; f++)
        a->e.w.b_enc[f] = b->e.w.b_enc[f] = -0.13f; /* ~10 % active */
    a->density = 0;
    b->density = 1;
    assert_int_equal(sae_train(lists, &(struct sae_batch){x, NULL, ROWS}, &by_lists), ERR_OK);
    assert_int_equal(sae_train(dense, &(struct sae_batch){x, NULL, ROWS}, &by_dense), ERR_OK);
    assert_int_equal(a->dense, 0);
    assert_int_equal(b->dense, 1);
    assert_true(by_lists.l0 > 1 && by_lists.l0 == by_dense.l0);
    assert_true(fabs(by_lists.loss - by_dense.loss) < 1e-5 * by_dense.loss);
    assert_true(fabs(by_lists.l1 - by_dense.l1) < 1e-5 * by_dense.l1);
    assert_true(fabs(by_lists.fve - by_dense.fve) < 1e-5);
    assert_memory_equal(a->fired, b->fired, FEATURES);
    double difference = 0, square = 0;
    for (uint32_t f = 0; f < FEATURES; f++)
        for (uint32_t i = 0; i < WIDTH && a->touched[f]; i++) {
            size_t at = (size_t)f * WIDTH + i;
            difference += pow(a->g.w_dec[at] - b->g.w_dec[at], 2);
            difference += pow(a->g.w_enc[at] - b->g.w_enc[at], 2);
            square += pow(a->g.w_dec[at], 2) + pow(a->g.w_enc[at], 2);
        }
    assert_true(sqrt(difference) < 1e-5 * sqrt(square));
    sae_free(lists);
    sae_free(dense);
}

static void a_step_that_overflows_its_lists_goes_the_dense_way(void **state)
{
    (void)state;
    struct sae_options o = options(SAE_L1, 20, 300, 0);
    o.batch_rows = 333;
    struct sae *sae, *dense;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    assert_int_equal(sae_new(&o, &dense), ERR_OK);
    ((struct dictionary *)sae->state)->density = 0; /* half of the features are active, in truth */
    train_some(sae, 1, 9);
    train_some(dense, 1, 9);
    assert_int_equal(((struct dictionary *)sae->state)->dense, 1);
    assert_same_weights(sae, dense);
    sae_free(sae);
    sae_free(dense);
}

static void rows_that_are_not_finite_change_nothing(void **state)
{
    (void)state;
    enum { ROWS = 64, WIDTH = 16 };
    static float x[ROWS * WIDTH];
    const float poisons[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (int tried = 0; tried < 2 * KIND_COUNT; tried++) {
        struct sae_options o = kind_options(tried / 2, WIDTH);
        struct sae *sae, *twin;
        o.skip = o.skip && tried % 2; /* through which NaN would come out in any case */
        o.features = 50;
        o.k = 4;
        o.threads = 2;
        struct sae_step step;
        assert_int_equal(sae_new(&o, &sae), ERR_OK);
        assert_int_equal(sae_new(&o, &twin), ERR_OK);
        train_some(sae, 3, 4);
        train_some(twin, 3, 4);
        for (int p = 0; p < 4; p++) {
            for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)(i % 7) - 3;
            x[ROWS * WIDTH / 2 + 3] = poisons[p];
            assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
            assert_int_equal(step.skipped, 1);
        }
        assert_int_equal(sae_skipped(sae), 4);
        assert_int_equal(sae_steps(sae), 3);
        train_some(sae, 2, 6); /* nor has it any later effect */
        train_some(twin, 2, 6);
        assert_same_weights(sae, twin);
        const struct dictionary *a = sae->state, *b = twin->state;
        assert_memory_equal(a->silent_rows, b->silent_rows, 50 * sizeof *a->silent_rows);
        sae_free(sae);
        sae_free(twin);
    }
}

static void a_clipped_gradient_moves_as_its_direction(void **state)
{
    (void)state;
    enum { ROWS = 333, WIDTH = 16 };
    struct sae_options o = options(SAE_TOPK, WIDTH, 50, 4);
    struct sae *sae;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    train_some(sae, 1, 4);
    const struct dictionary *d = sae->state;
    double square = 0; /* of the first moment: (1 - beta1) times the clipped gradient */
    for (size_t i = 0; i < d->m.count; i++) square += (double)d->m.all[i] * d->m.all[i];
    assert_true(fabs(sqrt(square) - 0.1) < 1e-5);
    sae_free(sae);
}

/* Adam's rule in double precision for a weight whose gradient is zero in step t, at a constant
 * rate: what its moments still move it by. */
static double coasts(double rate, double w, double m, double v, int t)
{
    double m_hat = 0.9 * m / (1 - pow(0.9, t)), v_hat = 0.999 * v / (1 - pow(0.999, t));
    return w - rate * m_hat / (sqrt(v_hat) + 1e-8);
}

/* The dense rule, not torch's SparseAdam: no step is left out for a feature that did not fire. */
static void features_without_gradient_move_as_adam_says(void **state)
{
    (void)state;
    enum { WIDTH = 16, FEATURES = 50, SILENT = 20, FIRST = 3, STEPS = 5 };
    struct sae_options o = options(SAE_TOPK, WIDTH, FEATURES, 4);
    o.aux_coefficient = 0;
    o.learning_rate = 1e-3;
    o.decoder_lr_factor = 2.5; /* times that, for the decoder */
    struct sae *sae;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    train_some(sae, FIRST, 4);
    struct dictionary *d = sae->state;
    for (int f = 0; f < SILENT; f++) d->e.w.b_enc[f] = -100;
    float *w = malloc(3 * d->e.w.count * sizeof *w), *m = w + d->e.w.count, *v = m + d->e.w.count;
    for (int t = FIRST + 1; t <= FIRST + STEPS; t++) {
        double moved = 0;
        memcpy(w, d->e.w.all, d->e.w.count * sizeof *w);
        memcpy(m, d->m.all, d->e.w.count * sizeof *m);
        memcpy(v, d->v.all, d->e.w.count * sizeof *v);
        train_some(sae, 1, (uint64_t)t);
        size_t enc = (size_t)(d->e.w.w_enc - d->e.w.all), dec = (size_t)(d->e.w.w_dec - d->e.w.all);
        for (int f = 0; f < SILENT; f++) {
            double row[WIDTH], square = 0;
            assert_int_equal(d->touched[f], 0);
            for (int i = 0; i < WIDTH; i++) {
                size_t at = enc + (size_t)(f * WIDTH + i);
                assert_true(fabs(d->e.w.all[at] - coasts(1e-3, w[at], m[at], v[at], t)) < 1e-7);
                moved = fmax(moved, fabs((double)d->e.w.all[at] - w[at]));
                assert_true(fabs(d->m.all[at] - 0.9 * m[at]) <= 1e-6 * fabs(m[at]));
                assert_true(fabs(d->v.all[at] - 0.999 * v[at]) <= 1e-6 * fabs(v[at]));
                at = dec + (size_t)(f * WIDTH + i);
                row[i] = coasts(2.5e-3, w[at], m[at], v[at], t);
                square += row[i] * row[i];
            }
            for (int i = 0; i < WIDTH; i++) /* and then its direction has norm 1 */
                assert_true(fabs(d->e.w.w_dec[f * WIDTH + i] - row[i] / sqrt(square)) < 1e-6);
        }
        assert_true(moved > 1e-4); /* else nothing is shown */
    }
    free(w);
    sae_free(sae);
}

static void decoder_directions_of_topk_keep_norm_one(void **state)
{
    (void)state;
    struct sae_options o = options(SAE_TOPK, 30, 100, 4);
    o.learning_rate = 0.05;
    struct sae *sae;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    train_some(sae, 20, 4);
    struct sae_parameters p = sae_parameters(sae);
    for (int f = 0; f < 100; f++) {
        double square = 0;
        for (int i = 0; i < 30; i++) square += pow(p.w_dec[f * 30 + i], 2);
        assert_true(fabs(sqrt(square) - 1) < 1e-5);
    }
    sae_free(sae);
}

static void a_feature_is_dead_after_its_window_and_auxk_revives_it(void **state)
{
    (void)state;
    enum { ROWS = 200, WIDTH = 24, FEATURES = 60 };
    static float x[ROWS * WIDTH];
    struct sae_options o = options(SAE_TOPK, WIDTH, FEATURES, 4);
    struct sae_step step;
    struct rng rng;
    o.dead_window_rows = 400;
    o.aux_coefficient = 1;
    o.learning_rate = 1e-2;
    struct sae *sae;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    struct dictionary *d = sae->state;
    for (int f = 0; f < 10; f++) d->e.w.b_enc[f] = -0.3f; /* these fire for no row at first */
    rng_seed(&rng, 2);
    uint32_t most = 0, revived = 0;
    for (int i = 0; i < 300; i++) {
        for (int j = 0; j < ROWS * WIDTH; j++) x[j] = (float)rng_normal(&rng);
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
        if (i == 0) assert_int_equal(step.dead, 0); /* 200 rows of 400 */
        if (i == 1) assert_true(step.dead >= 10);
        if (i == 1) assert_true(sae_silent(sae, 400) >= 10);
        if (i == 1) assert_int_equal(sae_silent(sae, 401), 0); /* there were 400 rows */
        if (i == 1) assert_int_equal(sae_silent(sae, 0), o.features);
        if (step.dead > most) most = step.dead;
        if (i >= 2) assert_true(i > 2 || step.aux > 0);
    }
    for (int f = 0; f < 10; f++) revived += d->silent_rows[f] < 400;
    print_message("dead at most %u; of ten that were silenced %u fire again\n", most, revived);
    assert_true(revived >= 5);
    sae_free(sae);
}

static void evaluation_is_the_definition(void **state)
{
    (void)state;
    enum { ROWS = 500, WIDTH = 20, FEATURES = 70 };
    static float x[ROWS * WIDTH], out[ROWS * WIDTH], f[ROWS * FEATURES];
    struct rng rng;
    rng_seed(&rng, 8);
    for (int i = 0; i < ROWS * WIDTH; i++) /* a mean that holds most of the second moment */
        x[i] = (float)rng_normal(&rng) + 5 * (float)(i % WIDTH == 3);
    for (int arch = SAE_L1; arch <= SAE_TOPK; arch++) {
        struct sae_options o = options((enum sae_arch)arch, WIDTH, FEATURES, 6);
        o.batch_rows = 333; /* evaluation goes in parts */
        struct sae *sae;
        struct sae_eval eval;
        assert_int_equal(sae_new(&o, &sae), ERR_OK);
        train_some(sae, 5, 4);
        assert_int_equal(sae_evaluate(sae, x, ROWS, &eval), ERR_OK);
        assert_int_equal(sae_forward(sae, x, ROWS, out, f), ERR_OK);
        struct sae_parameters p = sae_parameters(sae);
        double error = 0, variance = 0, l0 = 0, l1 = 0;
        for (int i = 0; i < WIDTH; i++) {
            double mean = 0;
            for (int r = 0; r < ROWS; r++) mean += x[r * WIDTH + i] / (double)ROWS;
            for (int r = 0; r < ROWS; r++) {
                double y = p.b_dec[i];
                for (int j = 0; j < FEATURES; j++)
                    y += (double)f[r * FEATURES + j] * p.w_dec[j * WIDTH + i];
                assert_true(fabs(y - out[r * WIDTH + i]) < 1e-4);
                error += pow(x[r * WIDTH + i] - y, 2);
                variance += pow(x[r * WIDTH + i] - mean, 2);
            }
        }
        for (int j = 0; j < FEATURES; j++) {
            double square = 0;
            for (int i = 0; i < WIDTH; i++) square += pow(p.w_dec[j * WIDTH + i], 2);
            for (int r = 0; r < ROWS; r++) {
                l0 += f[r * FEATURES + j] > 0;
                l1 += f[r * FEATURES + j] * sqrt(square);
            }
        }
        assert_int_equal(eval.rows, ROWS);
        assert_true(fabs(eval.fve - (1 - error / variance)) < 1e-5);
        assert_true(fabs(eval.mse - error / ROWS) < 1e-4 * error / ROWS);
        assert_true(fabs(eval.l0 - l0 / ROWS) < 1e-9);
        assert_true(fabs(eval.l1 - l1 / ROWS) < 1e-4 * l1 / ROWS);
        assert_int_equal(sae_evaluate(sae, x, 0, &eval), ERR_LIMIT);
        sae_free(sae);
    }
}

static void the_mean_alone_explains_nothing(void **state)
{
    (void)state;
    enum { ROWS = 100, WIDTH = 4 };
    float x[ROWS * WIDTH], mean[WIDTH] = {0};
    for (int i = 0; i < ROWS * WIDTH; i++) {
        x[i] = 10 + (float)(i * 7 % 11);
        mean[i % WIDTH] += x[i] / ROWS;
    }
    struct sae_options o = options(SAE_TOPK, WIDTH, 5, 1);
    o.mean = mean;
    struct sae *sae;
    struct sae_eval eval;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    struct dictionary *d = sae->state;
    for (int f = 0; f < 5; f++) d->e.w.b_enc[f] = -1e6f; /* nothing fires: x' = b_dec = the mean */
    assert_int_equal(sae_evaluate(sae, x, ROWS, &eval), ERR_OK);
    assert_true(fabs(eval.fve) < 1e-6);
    assert_true(eval.l0 == 0);
    sae_free(sae);
}

/* There is nothing to explain, so no share of it: neither 0 nor 1 nor the rounding's. */
static void equal_rows_have_no_fve(void **state)
{
    (void)state;
    enum { ROWS = 777, WIDTH = 5 };
    static const float values[] = {0, 3.1f, -1e-30f, 1e6f + 0.3f};
    float *x = calloc(ROWS * WIDTH, sizeof *x);
    for (int n = 0; n < 8; n++) {
        struct sae_options o = options(n % 2 ? SAE_TOPK : SAE_L1, WIDTH, 7, 2);
        for (int i = 0; i < ROWS * WIDTH; i++) x[i] = values[n / 2] * (float)(1 + i % WIDTH);
        o.mean = n % 3 ? x : NULL; /* the first row is the mean */
        o.batch_rows = ROWS;
        struct sae *sae;
        struct sae_eval eval;
        struct sae_step step;
        assert_int_equal(sae_new(&o, &sae), ERR_OK);
        assert_int_equal(sae_evaluate(sae, x, ROWS, &eval), ERR_OK);
        assert_true(isnan(eval.fve) && isfinite(eval.mse));
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
        if (!step.skipped) assert_true(isnan(step.fve));
        x[WIDTH * 3] += 1 + values[n / 2]; /* one value of one row */
        assert_int_equal(sae_evaluate(sae, x, ROWS, &eval), ERR_OK);
        assert_true(isfinite(eval.fve));
        sae_free(sae);
    }
    free(x);
}

/* Which of the three it is: a broken SAE is not told as rows that are odd, nor the other way. */
static void why_there_is_no_fve(void **state)
{
    (void)state;
    enum { ROWS = 4, WIDTH = 2 };
    float x[ROWS * WIDTH] = {1, 2, 3, 4, 5, 6, 7, 8}, mean[WIDTH] = {0};
    static const float bad[] = {0, NAN, INFINITY, 3e38f};
    static const enum sae_no_fve wanted[] = {SAE_HAS_FVE, SAE_BROKEN, SAE_BROKEN, SAE_HAS_FVE};
    for (int n = 0; n < 4; n++) {
        struct sae_options o = options(SAE_TOPK, WIDTH, 3, 1);
        struct sae *sae;
        struct sae_eval eval;
        mean[0] = bad[n];
        o.mean = mean;
        assert_int_equal(sae_new(&o, &sae), ERR_OK);
        assert_int_equal(sae_evaluate(sae, x, ROWS, &eval), ERR_OK);
        assert_int_equal(eval.no_fve, wanted[n]);
        assert_int_equal(isfinite(eval.fve), wanted[n] == SAE_HAS_FVE);
        x[3] = INFINITY;
        assert_int_equal(sae_evaluate(sae, x, ROWS, &eval), ERR_OK);
        assert_int_equal(eval.no_fve, SAE_BOUNDLESS_ROWS);
        assert_true(isnan(eval.fve));
        x[3] = 4;
        assert_int_equal(sae_evaluate(sae, x, 1, &eval), ERR_OK);
        assert_int_equal(eval.no_fve, SAE_EQUAL_ROWS);
        assert_true(isnan(eval.fve));
        sae_free(sae);
    }
}

/* What lifts features that never fire lowers thresholds; a JumpReLU is a ReLU first. */
static void thresholds_stop_at_zero(void **state)
{
    (void)state;
    enum { WIDTH = 16, FEATURES = 48 };
    struct sae_options o = options(SAE_JUMPRELU, WIDTH, FEATURES, 0);
    struct sae *sae;
    int at_zero = 0;
    o.lambda = 0;
    o.pre_act_coefficient = 10;
    o.learning_rate = 0.02;
    o.batch_rows = 333;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    train_some(sae, 30, 2);
    const float *threshold = sae_parameters(sae).threshold;
    for (int f = 0; f < FEATURES; f++) {
        assert_true(threshold[f] >= 0);
        at_zero += threshold[f] == 0;
    }
    assert_true(at_zero > 0);
    sae_free(sae);
}

static void the_start_is_the_recipes(void **state)
{
    (void)state;
    float mean[12];
    for (int i = 0; i < 12; i++) mean[i] = (float)i;
    for (int arch = SAE_L1; arch <= SAE_BATCHTOPK; arch++) {
        struct sae_options o = options((enum sae_arch)arch, 12, 30, 2);
        float share = arch == SAE_TOPK ? 0.1f : 1;
        o.mean = mean;
        struct sae *sae;
        assert_int_equal(sae_new(&o, &sae), ERR_OK);
        struct sae_parameters p = sae_parameters(sae);
        for (int i = 0; i < 12 * 30; i++) assert_true(p.w_enc[i] == share * p.w_dec[i]);
        for (int f = 0; f < 30; f++) {
            double square = 0;
            for (int i = 0; i < 12; i++) square += pow(p.w_dec[f * 12 + i], 2);
            assert_true(fabs(sqrt(square) - (arch == SAE_L1 ? 0.1 : 1)) < 1e-6);
            assert_true(p.b_enc[f] == 0);
        }
        for (int i = 0; i < 12; i++) assert_true(p.b_dec[i] == (arch == SAE_L1 ? 0 : mean[i]));
        sae_free(sae);
    }
}

static void options_out_of_range_are_named(void **state)
{
    (void)state;
    struct sae *sae;
    struct sae_options good = options(SAE_TOPK, 8, 16, 4), o;
#define REFUSED(change, word)                                                                      \
    o = good;                                                                                      \
    change;                                                                                        \
    assert_int_equal(sae_new(&o, &sae), ERR_USAGE);                                                \
    assert_non_null(strstr(err_text(), word))
    REFUSED(o.k = 0, "k is");
    REFUSED(o.k = 17, "k is");
    REFUSED(o.width = 0, "width");
    REFUSED(o.features = 0, "k is");
    REFUSED(o.batch_rows = 0, "batch_rows");
    REFUSED(o.threads = 0, "threads");
    REFUSED(o.learning_rate = -1, "learning_rate");
    REFUSED(o.learning_rate = NAN, "learning_rate");
    REFUSED(o.decoder_lr_factor = -1, "decoder_lr_factor");
    REFUSED(o.decay = 1.5, "decay");
    REFUSED(o.beta1 = 1, "beta1");
    REFUSED(o.epsilon = 0, "epsilon");
    REFUSED(o.clip_norm = -1, "clip_norm");
    REFUSED(o.lambda = -1, "lambda");
    REFUSED(o.dead_window_rows = 0, "dead_window_rows");
    REFUSED(o.arch = SAE_JUMPRELU; o.bandwidth = 0, "bandwidth");
    REFUSED(o.pre_act_coefficient = -1, "pre_act_coefficient");
    REFUSED(o.arch = SAE_MATRYOSHKA; o.levels = 0, "levels");
    REFUSED(o.arch = SAE_MATRYOSHKA; o.levels = 6, "levels"); /* 16 features halve four times */
    REFUSED(o.batch_rows = 1 << 20; o.features = 1 << 20; o.k = 1 << 20, "2^31");
#undef REFUSED
    assert_int_equal(sae_new(&good, &sae), ERR_OK);
    float x[8] = {0};
    struct sae_step step;
    assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, 0}, &step), ERR_LIMIT);
    assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, 4097}, &step), ERR_LIMIT);
    assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, 1}, &step), ERR_OK);
    sae_free(sae);
}

static void counters_count(void **state)
{
    (void)state;
    struct sae_options o = options(SAE_COUNT, 8, 0, 0);
    struct row_id ids[3000];
    struct sae *sae;
    struct sae_step step;
    float out[8];
    struct sae_eval eval;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    assert_int_equal(sae_count_of(sae, 0, 0), 0);
    for (int pass = 0; pass < 3; pass++) {
        for (uint32_t i = 0; i < 3000; i++) ids[i] = (struct row_id){i / 10, i % 10, 5};
        struct sae_batch batch = {NULL, ids, pass == 2 ? 1000 : 3000};
        assert_int_equal(sae_train(sae, &batch, &step), ERR_OK);
    }
    assert_int_equal(sae_count_of(sae, 0, 0), 3);
    assert_int_equal(sae_count_of(sae, 99, 9), 3);
    assert_int_equal(sae_count_of(sae, 100, 0), 2);
    assert_int_equal(sae_count_of(sae, 299, 9), 2);
    assert_int_equal(sae_count_of(sae, 300, 0), 0);
    assert_int_equal(sae_steps(sae), 3);
    assert_int_equal(sae_forward(sae, out, 1, out, NULL), ERR_STATE);
    assert_int_equal(sae_evaluate(sae, out, 1, &eval), ERR_STATE);
    assert_null(sae_parameters(sae).w_enc);
    sae_free(sae);
}

static size_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void bytes_are_foretold(void **state)
{
    (void)state;
    uint64_t bytes;
    struct sae_options o = options(SAE_TOPK, 576, 4608, 32);
    assert_int_equal(sae_bytes(&o, &bytes), ERR_OK);
    assert_true(bytes > 4ull * 2 * 576 * 4608 * 4 && bytes < 200e6);
    o.k = 0;
    assert_int_equal(sae_bytes(&o, &bytes), ERR_USAGE);
    o = options(SAE_MATRYOSHKA, 576, 4608, 32);
    assert_int_equal(sae_bytes(&o, &bytes), ERR_OK);
    assert_true(bytes < 250e6);
    if (!allocated()) return; /* a sanitizer's allocator does not tell */
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct sae *sae;
        o = kind_options(kind, 64);
        o.features = 1000;
        o.k = 8;
        o.threads = 2;
        o.batch_rows = 2000;
        assert_int_equal(sae_bytes(&o, &bytes), ERR_OK);
        size_t before = allocated();
        assert_int_equal(sae_new(&o, &sae), ERR_OK);
        double share = (double)(allocated() - before) / (double)bytes;
        if (!(share > 0.99 && share < 1.01)) fail_msg("%s: %.4f", sae_arch_name(o.arch), share);
        sae_free(sae);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topk_batchtopk_and_matryoshka_recover_the_true_features),
        cmocka_unit_test(jumprelu_and_gated_recover_the_true_features),
        cmocka_unit_test(l1_recovers_the_true_features),
        cmocka_unit_test(the_number_of_threads_changes_no_bit),
        cmocka_unit_test(lists_and_dense_products_agree),
        cmocka_unit_test(a_step_that_overflows_its_lists_goes_the_dense_way),
        cmocka_unit_test(rows_that_are_not_finite_change_nothing),
        cmocka_unit_test(a_clipped_gradient_moves_as_its_direction),
        cmocka_unit_test(features_without_gradient_move_as_adam_says),
        cmocka_unit_test(decoder_directions_of_topk_keep_norm_one),
        cmocka_unit_test(a_feature_is_dead_after_its_window_and_auxk_revives_it),
        cmocka_unit_test(evaluation_is_the_definition),
        cmocka_unit_test(the_mean_alone_explains_nothing),
        cmocka_unit_test(the_start_is_the_recipes),
        cmocka_unit_test(thresholds_stop_at_zero),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(equal_rows_have_no_fve),
        cmocka_unit_test(why_there_is_no_fve),
        cmocka_unit_test(counters_count),
        cmocka_unit_test(bytes_are_foretold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
