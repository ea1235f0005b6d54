/* Measuring: medians, limits, scale and mean against numbers done by hand; what is filtered. */
#include "capture/filter.h"
#include "capture/measure.h"

#include "base/err.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 8, WIDTH = 3 };

/* Hook a has 1 value, hook b 2. Row 0 is first in its context, row 1 special, row 2 not finite, row
 * 7 an outlier of hook b. Rows 3 to 6 are kept. */
static float values[ROWS][WIDTH] = {
    {9000, 9000, 9000}, {500, 500, 500}, {0, NAN, 0}, {1, 3, 4},
    {3, 3, 4},          {5, 0, 10},      {7, 6, 8},   {1, 3000, 4000},
};
static const uint8_t flags[ROWS] = {ENGINE_ROW_FIRST, ENGINE_ROW_SPECIAL};

static struct engine_batch batch_of(uint64_t sequence)
{
    static struct row_id ids[ROWS];
    static struct cursor cursors[ROWS + 1];
    for (uint32_t i = 0; i < ROWS; i++) ids[i] = (struct row_id){sequence, i, 1};
    return (struct engine_batch){ROWS, ids, flags, cursors, &values[0][0], NULL};
}

static struct descriptor two_hooks(void)
{
    struct descriptor d = {.dtype = DTYPE_F32, .width = WIDTH, .hooks = 2, .max_norm_ratio = 10};
    strcpy(d.hook[0].name, "a");
    strcpy(d.hook[1].name, "b");
    d.hook[0].width = 1;
    d.hook[1].width = 2;
    return d;
}

static void by_hand(void **state)
{
    (void)state;
    struct measure *m;
    struct descriptor d = two_hooks();
    struct engine_batch batch = batch_of(0);
    assert_int_equal(measure_new(WIDTH, 1 << 20, &m), 0);
    assert_int_equal(measure_add(m, &batch), 0);
    assert_int_equal(measure_candidates(m, &d), 5);
    assert_int_equal(measure_finish(m, &d), 0);
    /* Candidates 3 to 7: norms of a 1 3 5 7 1, of b 5 5 10 10 5000. */
    assert_float_equal(d.hook[0].norm_median, 3, 1e-12);
    assert_float_equal(d.hook[1].norm_median, 10, 1e-12);
    assert_float_equal(d.hook[1].norm_limit, 100, 1e-12);
    assert_int_equal(d.measured_rows, 4);
    /* E||a||^2 = (1 + 9 + 25 + 49) / 4 = 21; E||b||^2 = (25 + 25 + 100 + 100) / 4 = 62.5. */
    assert_float_equal(d.hook[0].scale, sqrt(1 / 21.0), 1e-12);
    assert_float_equal(d.hook[1].scale, sqrt(2 / 62.5), 1e-12);
    assert_float_equal(d.mean[0], 4, 1e-6);
    assert_float_equal(d.mean[1], 3, 1e-6);
    assert_float_equal(d.mean[2], 6.5, 1e-6);
    assert_true(d.measured);
    descriptor_free(&d);
    measure_free(m);
}

static void verdicts(void **state)
{
    (void)state;
    struct descriptor d = two_hooks();
    d.hook[1].norm_limit = 100;
    assert_int_equal(filter_row(&d, flags[0], values[0]), FILTER_FIRST);
    assert_int_equal(filter_row(&d, flags[1], values[1]), FILTER_SPECIAL);
    assert_int_equal(filter_row(&d, 0, values[2]), FILTER_NOT_FINITE);
    assert_int_equal(filter_row(&d, 0, values[3]), FILTER_KEEP);
    assert_int_equal(filter_row(&d, 0, values[7]), FILTER_NORM);
    float large[WIDTH] = {1, 3.4e38f, 0}; /* finite, but not in bf16 */
    d.hook[1].norm_limit = 0;
    assert_int_equal(filter_row(&d, 0, large), FILTER_KEEP);
    d.dtype = DTYPE_BF16;
    assert_int_equal(filter_row(&d, 0, large), FILTER_NOT_FINITE);
    d.keep_special = d.keep_sinks = 1;
    assert_int_equal(filter_row(&d, flags[0], values[0]), FILTER_KEEP);
    assert_int_equal(filter_row(&d, flags[1], values[1]), FILTER_KEEP);
}

static void sinks_kept_means_no_limit(void **state)
{
    (void)state;
    struct measure *m;
    struct descriptor d = two_hooks();
    struct engine_batch batch = batch_of(0);
    d.keep_sinks = 1;
    assert_int_equal(measure_new(WIDTH, 1 << 20, &m), 0);
    assert_int_equal(measure_add(m, &batch), 0);
    assert_int_equal(measure_finish(m, &d), 0);
    assert_int_equal(d.measured_rows, 6);
    assert_float_equal(d.hook[1].norm_limit, 0, 0);
    descriptor_free(&d);
    measure_free(m);
}

static void nothing_to_measure(void **state)
{
    (void)state;
    struct measure *m;
    struct descriptor d = two_hooks();
    struct engine_batch batch = batch_of(0);
    batch.rows = 3;
    assert_int_equal(measure_new(WIDTH, 1 << 20, &m), 0);
    assert_int_equal(measure_add(m, &batch), 0);
    assert_int_equal(measure_finish(m, &d), ERR_USAGE);
    assert_false(d.measured);
    descriptor_free(&d);
    measure_free(m);
}

/* It wants so many contexts, but never more bytes than its limit, and always one batch. */
static void bounds(void **state)
{
    (void)state;
    struct measure *m;
    assert_int_equal(measure_new(WIDTH, 1000, &m), 0);
    assert_true(measure_wants(m, 2));
    struct engine_batch batch = batch_of(0);
    assert_int_equal(measure_add(m, &batch), 0);
    assert_true(measure_wants(m, 2) == 0); /* 8 rows with cursors and ids take over 500 bytes */
    assert_int_equal(measure_rows(m), ROWS);
    assert_int_equal(measure_batch(m, 0).rows, ROWS);
    assert_int_equal(measure_batch(m, 1).rows, 0);
    measure_free(m);
    assert_int_equal(measure_new(WIDTH, 1 << 20, &m), 0);
    for (uint64_t s = 0; s < 2; s++) {
        assert_true(measure_wants(m, 2));
        batch = batch_of(s);
        assert_int_equal(measure_add(m, &batch), 0);
    }
    assert_false(measure_wants(m, 2));
    measure_free(m);
}

static void too_many_rejected(void **state)
{
    (void)state;
    assert_int_equal(filter_rejected(5, 100, 0.01, 0), ERR_OK); /* too early to tell */
    assert_int_equal(filter_rejected(5, 100, 0.01, 1), ERR_USAGE);
    assert_int_equal(filter_rejected(10, 1024, 0.01, 0), ERR_OK);
    assert_int_equal(filter_rejected(11, 1024, 0.01, 0), ERR_USAGE);
    assert_int_equal(filter_rejected(0, 0, 0.01, 1), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(sinks_kept_means_no_limit),
        cmocka_unit_test(nothing_to_measure),
        cmocka_unit_test(bounds),
        cmocka_unit_test(too_many_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
