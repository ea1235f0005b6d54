/* The sums of an evaluation against straightforward ones, and what goes where. */
#include "inspect/fidelity.h"

#include "base/err.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 60, WIDTH = 8, FEATURES = 12, BATCH = 25, VOCABULARY = 300 };

static float x[ROWS][WIDTH], made[ROWS][WIDTH];

static void fill(void)
{
    struct rng rng;
    rng_seed(&rng, 3);
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < WIDTH; i++) {
            x[r][i] = 2 + (float)rng_normal(&rng);
            made[r][i] = x[r][i] + 0.3F * (float)rng_normal(&rng);
        }
}

static double square(const float *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < WIDTH; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

static void mean_of(int from, int to, double mean[WIDTH])
{
    for (int i = 0; i < WIDTH; i++) {
        mean[i] = 0;
        for (int r = from; r < to; r++) mean[i] += (double)x[r][i] / (to - from);
    }
}

static double error_of(int r)
{
    double of_x[WIDTH];
    for (int i = 0; i < WIDTH; i++) of_x[i] = (double)x[r][i];
    return square(made[r], of_x);
}

static void near(double is, double should)
{
    if (!(fabs(is - should) < 1e-9 * (1 + fabs(should)))) fail_msg("%.12g, not %.12g", is, should);
}

static void rows_give_what_they_should(void **state)
{
    struct fidelity f;
    const uint32_t active[] = {1, 5, 7};
    double mean[WIDTH], error = 0, around = 0, legacy = 0, norm = 0, cosine = 0, zero[WIDTH] = {0};
    (void)state;
    fill();
    assert_int_equal(fidelity_new(WIDTH, FEATURES, &f), ERR_OK);
    for (int r = 0; r < ROWS; r++) {
        assert_int_equal(fidelity_add_row(&f, (uint32_t)r, FIDELITY_WORD, x[r], made[r], active,
                                          (uint64_t)(1 + r % 3)),
                         ERR_OK);
        if (r % BATCH == BATCH - 1) fidelity_end_batch(&f);
    }
    fidelity_end_batch(&f);
    mean_of(0, ROWS, mean);
    double total = 0;
    for (int r = 0; r < ROWS; r++) {
        double dot = 0, a = square(x[r], zero), b = square(made[r], zero);
        for (int i = 0; i < WIDTH; i++) dot += (double)x[r][i] * (double)made[r][i];
        error += error_of(r);
        around += square(x[r], mean);
        total += a;
        norm += sqrt(b / a) / ROWS;
        cosine += dot / sqrt(a * b) / ROWS;
    }
    for (int from = 0; from < ROWS; from += BATCH) {
        int to = from + BATCH < ROWS ? from + BATCH : ROWS;
        mean_of(from, to, mean);
        for (int r = from; r < to; r++) legacy += (1 - error_of(r) / square(x[r], mean)) / ROWS;
    }
    near(fidelity_fve(&f), 1 - error / around);
    near(fidelity_legacy(&f), legacy);
    double s = total / ROWS;
    near(fidelity_saebench(&f), 1 - error / ROWS / (s - s / WIDTH * s / WIDTH));
    near(f.all.norm_ratio / ROWS, norm);
    near(f.all.cosine / ROWS, cosine);
    near(fidelity_l0(&f), 2);
    assert_int_equal(fidelity_dead(&f), FEATURES - 3);
    fidelity_free(&f);
}

/* KL is that of the two distributions, and none where they are one. */
static void predictions_give_what_they_should(void **state)
{
    static float model[VOCABULARY], changed[VOCABULARY];
    struct rng rng;
    double p_sum = 0, q_sum = 0, kl = 0, ce, is;
    (void)state;
    rng_seed(&rng, 8);
    for (int v = 0; v < VOCABULARY; v++) {
        model[v] = 30 + 4 * (float)rng_normal(&rng);
        changed[v] = model[v] + (float)rng_normal(&rng);
        p_sum += exp((double)model[v]);
        q_sum += exp((double)changed[v]);
    }
    for (int v = 0; v < VOCABULARY; v++) {
        double p = exp((double)model[v]) / p_sum, q = exp((double)changed[v]) / q_sum;
        kl += p * log(p / q);
    }
    double log_sum = fidelity_log_sum(model, VOCABULARY);
    assert_true(fabs(log_sum - log(p_sum)) < 1e-6);
    fidelity_compare(model, log_sum, changed, VOCABULARY, 17, &ce, &is);
    assert_true(fabs(is - kl) < 1e-6);
    assert_true(fabs(ce - (log(q_sum) - (double)changed[17])) < 1e-6);
    fidelity_compare(model, log_sum, model, VOCABULARY, 17, &ce, &is);
    assert_true(fabs(is) < 1e-9);
}

static void what_is_recovered(void **state)
{
    struct fidelity f;
    (void)state;
    assert_int_equal(fidelity_new(WIDTH, FEATURES, &f), ERR_OK);
    assert_true(isnan(fidelity_ce_recovered(&f.all)) && isnan(fidelity_fve(&f)));
    struct fidelity_prediction p = {1, {3, 4, 11}, {0, 0.5, 5}}, last = {0, {0}, {0, 2, 20}};
    fidelity_add_prediction(&f, 3, FIDELITY_MARK, &p);
    fidelity_add_prediction(&f, 4, FIDELITY_MARK, &p);
    near(fidelity_ce_recovered(&f.all), 7.0 / 8);
    near(fidelity_kl_recovered(&f.all), 0.9);
    fidelity_add_prediction(&f, 5, FIDELITY_MARK, &last);
    near(fidelity_kl(&f.all, FIDELITY_SPLICED), 1);
    near(fidelity_kl(&f.all, FIDELITY_ZERO), 10);
    near(fidelity_ce(&f.by_class[FIDELITY_MARK], FIDELITY_ZERO), 11);
    assert_int_equal(f.by_class[FIDELITY_WORD].predictions, 0);
    fidelity_free(&f);
}

/* Groups 0; 1, 2; 3 to 6; ... and all that is beyond the last is in it. */
static void positions_have_their_groups(void **state)
{
    static const struct {
        uint32_t position, group;
    } all[] = {{0, 0},   {1, 1},   {2, 1},
               {3, 2},   {6, 2},   {7, 3},
               {126, 6}, {127, 7}, {1U << 20, FIDELITY_POSITIONS - 1}};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct fidelity f;
        struct fidelity_prediction p = {1, {1, 1, 1}, {0, 0, 0}};
        assert_int_equal(fidelity_new(WIDTH, FEATURES, &f), ERR_OK);
        fidelity_add_prediction(&f, all[i].position, FIDELITY_MARK, &p);
        assert_int_equal(f.by_position[all[i].group].predictions, 1);
        fidelity_free(&f);
    }
}

static void tokens_have_their_class(void **state)
{
    static const struct {
        const char *text;
        enum fidelity_class class;
    } all[] = {{" the", FIDELITY_WORD},
               {"\nThe", FIDELITY_WORD},
               {"ing", FIDELITY_PART},
               {"\xc3\xa9", FIDELITY_PART},
               {" \xc3\xa9t", FIDELITY_WORD},
               {"7", FIDELITY_NUMBER},
               {" 1995", FIDELITY_NUMBER},
               {",", FIDELITY_MARK},
               {" (", FIDELITY_MARK},
               {"  ", FIDELITY_MARK},
               {"", FIDELITY_MARK}};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (fidelity_class_of(all[i].text, strlen(all[i].text)) != all[i].class)
            fail_msg("'%s' is of class %d", all[i].text,
                     (int)fidelity_class_of(all[i].text, strlen(all[i].text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_give_what_they_should),
        cmocka_unit_test(predictions_give_what_they_should),
        cmocka_unit_test(what_is_recovered),
        cmocka_unit_test(positions_have_their_groups),
        cmocka_unit_test(tokens_have_their_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
