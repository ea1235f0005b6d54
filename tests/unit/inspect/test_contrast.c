/* Which features tell groups apart: against straightforward sums, and a test that is right about
 * chance. */
#include "inspect/contrast.h"

#include "base/err.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXTS = 24, FEATURES = 200 };

static float values[TEXTS * FEATURES];
static uint8_t group[TEXTS];

static void fill(uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (int i = 0; i < TEXTS * FEATURES; i++) values[i] = (float)fabs(rng_normal(&rng));
    for (int i = 0; i < TEXTS; i++) group[i] = (uint8_t)(i % 2);
    for (int i = 0; i < TEXTS; i++) values[i * FEATURES + 3] = 0;
}

static const struct contrast *find(const struct contrast *all, size_t count, uint32_t feature)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].feature == feature) return &all[i];
    return NULL;
}

static double cohen(uint32_t feature, double mean[2])
{
    double n = TEXTS / 2.0, square = 0;
    mean[0] = mean[1] = 0;
    for (int i = 0; i < TEXTS; i++) mean[group[i]] += (double)values[i * FEATURES + feature] / n;
    for (int i = 0; i < TEXTS; i++) {
        double d = (double)values[i * FEATURES + feature] - mean[group[i]];
        square += d * d;
    }
    return (mean[0] - mean[1]) / sqrt(square / (TEXTS - 2));
}

static void effects_are_cohens(void **state)
{
    struct contrast *all;
    size_t count;
    (void)state;
    fill(1);
    for (int i = 0; i < TEXTS; i++) values[i * FEATURES + 7] += group[i] ? 0 : 5;
    assert_int_equal(contrast_rank(values, group, TEXTS, FEATURES, 200, 9, &all, &count), ERR_OK);
    assert_int_equal(count, FEATURES - 1);
    assert_null(find(all, count, 3));
    assert_int_equal(all[0].feature, 7);
    assert_true(all[0].effect > 2);
    assert_true(all[0].p <= 1.0 / 201 + 1e-12);
    for (size_t i = 0; i < count; i++) {
        double mean[2], effect = cohen(all[i].feature, mean);
        assert_true(fabs(effect - all[i].effect) < 1e-6 * (1 + fabs(effect)));
        assert_true(fabs(mean[0] - all[i].mean[0]) < 1e-6 && fabs(mean[1] - all[i].mean[1]) < 1e-6);
        if (i) assert_true(fabs(all[i].effect) <= fabs(all[i - 1].effect));
    }
    free(all);
}

/* Of many tables of chance alone about one in twenty has a feature with p < 0.05, though each has
 * 200 features: the looking is paid for. */
static void chance_is_not_taken_for_a_find(void **state)
{
    int found = 0;
    (void)state;
    for (uint64_t seed = 100; seed < 140; seed++) {
        struct contrast *all;
        size_t count;
        fill(seed);
        assert_int_equal(contrast_rank(values, group, TEXTS, FEATURES, 99, seed, &all, &count),
                         ERR_OK);
        found += all[0].p <= 0.05;
        free(all);
    }
    if (found > 7) fail_msg("%d of 40 tables of noise have a find", found);
}

static void what_never_varies_is_infinite(void **state)
{
    struct contrast *all;
    size_t count;
    (void)state;
    fill(2);
    for (int i = 0; i < TEXTS; i++) values[i * FEATURES + 11] = group[i] ? 0 : 2;
    assert_int_equal(contrast_rank(values, group, TEXTS, FEATURES, 50, 1, &all, &count), ERR_OK);
    assert_int_equal(all[0].feature, 11);
    assert_true(isinf(all[0].effect) && all[0].effect > 0);
    free(all);
}

static void the_same_seed_gives_the_same(void **state)
{
    struct contrast *a, *b;
    size_t count;
    (void)state;
    fill(3);
    assert_int_equal(contrast_rank(values, group, TEXTS, FEATURES, 50, 4, &a, &count), ERR_OK);
    assert_int_equal(contrast_rank(values, group, TEXTS, FEATURES, 50, 4, &b, &count), ERR_OK);
    for (size_t i = 0; i < count; i++) assert_true(a[i].p == b[i].p);
    free(a);
    free(b);
}

static void a_group_of_one_is_refused(void **state)
{
    struct contrast *all;
    size_t count;
    (void)state;
    fill(1);
    memset(group, 0, sizeof group);
    group[5] = 1;
    assert_int_equal(contrast_rank(values, group, TEXTS, FEATURES, 50, 4, &all, &count), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effects_are_cohens),
        cmocka_unit_test(chance_is_not_taken_for_a_find),
        cmocka_unit_test(what_never_varies_is_infinite),
        cmocka_unit_test(the_same_seed_gives_the_same),
        cmocka_unit_test(a_group_of_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
