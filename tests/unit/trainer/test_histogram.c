/* Every value is in one bucket, the one whose limits enclose it. */
#include "trainer/histogram.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { VALUES = 5000 };

/* Against counting by comparison alone. */
static void is_right(const struct histogram *h, const float *values, uint32_t n, double low)
{
    double sum = 0;
    for (uint32_t b = 0; b < h->buckets; b++) {
        uint32_t count = 0;
        double above = b ? h->limit[b - 1] : low;
        for (uint32_t i = 0; i < n; i++)
            count +=
                values[i] <= h->limit[b] && (values[i] > above || (b == 0 && values[i] >= low));
        if (b) assert_true(h->limit[b] > h->limit[b - 1]);
        assert_true(h->count[b] == count);
        sum += h->count[b];
    }
    assert_true(sum == n);
    assert_true(h->num == n);
}

static void buckets_hold_what_they_say(void **state)
{
    (void)state;
    static float values[VALUES];
    struct rng rng;
    struct histogram h;
    double sum = 0, squares = 0;
    rng_seed(&rng, 3);
    for (int i = 0; i < VALUES; i++) {
        values[i] =
            i % 7 ? (float)(-10 * rng_unit(&rng)) : (float)-(i % 65) * 10 / 64; /* on limits */
        sum += values[i];
        squares += (double)values[i] * values[i];
    }
    histogram_make(values, VALUES, -10, 0, &h);
    assert_int_equal(h.buckets, HISTOGRAM_BUCKETS);
    assert_true(h.limit[HISTOGRAM_BUCKETS - 1] == 0);
    is_right(&h, values, VALUES, -10);
    assert_true(fabs(h.sum - sum) < 1e-6 && fabs(h.sum_squares - squares) < 1e-5);
    histogram_make_about(values, VALUES, &h);
    assert_true(h.min == -10 && h.limit[HISTOGRAM_BUCKETS - 1] == h.max);
    is_right(&h, values, VALUES, h.min);
}

static void equal_values_have_one_bucket(void **state)
{
    (void)state;
    const float values[] = {1, 1, 1};
    struct histogram h;
    histogram_make_about(values, 3, &h);
    assert_int_equal(h.buckets, 1);
    assert_true(h.limit[0] == 1 && h.count[0] == 3 && h.min == 1 && h.max == 1 && h.sum == 3);
}

/* Some 1e-7 apart, as norms are that are kept at 1. */
static void values_that_hardly_differ(void **state)
{
    (void)state;
    static float values[VALUES];
    struct histogram h;
    for (int i = 0; i < VALUES; i++) values[i] = i % 3 ? 1 : nextafterf(1, i % 2 ? 2 : 0);
    histogram_make_about(values, VALUES, &h);
    is_right(&h, values, VALUES, h.min);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_hold_what_they_say),
        cmocka_unit_test(equal_values_have_one_bucket),
        cmocka_unit_test(values_that_hardly_differ),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
