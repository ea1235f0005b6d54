/* The pool, the schedule, the lists, and the measures of recovery. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sae/cpu/lists.h"
#include "sae/cpu/pool.h"
#include "sae/schedule.h"
#include "tests/truth.h"

#include "helper.h"
#include "laid.h"

struct visits {
    atomic_uint item[1000];
    atomic_uint in_use[8];
    atomic_uint clashes;
};

static void visit(void *arg, uint32_t item, uint32_t thread)
{
    struct visits *v = arg;
    if (atomic_fetch_add(&v->in_use[thread], 1) != 0) atomic_fetch_add(&v->clashes, 1);
    atomic_fetch_add(&v->item[item], 1);
    atomic_fetch_sub(&v->in_use[thread], 1);
}

static void every_item_is_done_once(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 8; threads += 3) {
        struct pool *pool;
        assert_int_equal(pool_new(threads, &pool), ERR_OK);
        assert_int_equal(pool_threads(pool), threads);
        for (int round = 0; round < 200; round++) {
            struct visits v;
            memset(&v, 0, sizeof v);
            uint32_t items = (uint32_t)round * 5;
            pool_run(pool, visit, &v, items);
            for (uint32_t i = 0; i < 1000; i++) assert_int_equal(v.item[i], i < items);
            assert_int_equal(v.clashes, 0);
        }
        pool_free(pool);
    }
}

static void the_rate_warms_up_stays_and_decays(void **state)
{
    (void)state;
    struct sae_options o = {.learning_rate = 2, .warmup = 0.1, .decay = 0.2, .planned_steps = 100};
    assert_true(fabs(schedule_rate(&o, 0) - 0.2) < 1e-12);
    assert_true(fabs(schedule_rate(&o, 8) - 1.8) < 1e-12);
    assert_true(schedule_rate(&o, 9) == 2 && schedule_rate(&o, 80) == 2);
    assert_true(fabs(schedule_rate(&o, 90) - 1) < 1e-12);
    assert_true(fabs(schedule_rate(&o, 99) - 0.1) < 1e-12);
    assert_true(schedule_rate(&o, 100) == schedule_rate(&o, 99)); /* past the plan it stays */
    assert_true(schedule_rate(&o, 1000000) == schedule_rate(&o, 99));
    o.planned_steps = 0; /* no plan: no decay, and the warm-up by the assumed length */
    assert_true(schedule_rate(&o, 1u << 30) == 2);
    assert_true(fabs(schedule_rate(&o, 999) - 1) < 1e-12);
    o = (struct sae_options){.learning_rate = 2, .planned_steps = 100};
    assert_true(schedule_rate(&o, 0) == 2 && schedule_rate(&o, 99) == 2);
}

static void lambda_rises_and_stays(void **state)
{
    (void)state;
    struct sae_options o = {.lambda = 5, .lambda_ramp = 0.05, .planned_steps = 100};
    assert_true(fabs(schedule_lambda(&o, 0) - 1) < 1e-12);
    assert_true(schedule_lambda(&o, 4) == 5 && schedule_lambda(&o, 1000) == 5);
    o.lambda_ramp = 0;
    assert_true(schedule_lambda(&o, 0) == 5);
}

static void pairs_are_grouped_in_order(void **state)
{
    (void)state;
    enum { ROWS = 101, FEATURES = 17, CAPACITY = ROWS * 5 };
    struct row_lists rows;
    struct feature_lists features;
    struct pool *pool;
    struct rng rng;
    rng_seed(&rng, 3);
    assert_int_equal(pool_new(3, &pool), ERR_OK);
    struct arena of_rows = {0}, of_features = {0};
    LAID(of_rows, row_lists_lay(&rows, ROWS, CAPACITY, &of_rows));
    LAID(of_features, feature_lists_lay(&features, FEATURES, CAPACITY, &of_features));
    for (int round = 0; round < 3; round++) {
        uint32_t total = 0, seen = 0;
        row_lists_clear(&rows);
        for (uint32_t i = 0; i < ROWS; i++) {
            uint32_t r = (i * 37) % ROWS, count = (uint32_t)rng_below(&rng, 6);
            int64_t at = row_lists_reserve(&rows, r, count);
            assert_true(at >= 0);
            for (uint32_t j = 0; j < count; j++) {
                rows.index[at + j] = j * 3 + (uint32_t)rng_below(&rng, 3);
                rows.value[at + j] = (float)(r * 100 + rows.index[at + j]);
                rows.gradient[at + j] = -rows.value[at + j];
            }
            total += count;
        }
        feature_lists_group(&features, &rows, ROWS, pool);
        assert_int_equal(features.start[FEATURES], total);
        for (uint32_t f = 0; f < FEATURES; f++)
            for (uint32_t j = features.start[f]; j < features.start[f + 1]; j++, seen++) {
                assert_true(features.value[j] == (float)(features.row[j] * 100 + f));
                assert_true(features.gradient[j] == -features.value[j]);
                if (j > features.start[f]) assert_true(features.row[j] > features.row[j - 1]);
            }
        assert_int_equal(seen, total);
    }
    arena_close(&of_rows);
    arena_close(&of_features);
    pool_free(pool);
}

static void lists_say_when_they_are_full(void **state)
{
    (void)state;
    struct row_lists rows;
    struct arena arena = {0};
    LAID(arena, row_lists_lay(&rows, 4, 10, &arena));
    row_lists_clear(&rows);
    assert_int_equal(row_lists_reserve(&rows, 0, 6), 0);
    assert_int_equal(row_lists_reserve(&rows, 1, 5), -1);
    assert_int_equal(rows.count[1], 0);
    assert_int_equal(row_lists_reserve(&rows, 2, UINT32_MAX - 3), -1);
    assert_int_equal(row_lists_reserve(&rows, 3, 4), 6);
    assert_int_equal(atomic_load(&rows.overflow), 1);
    row_lists_clear(&rows);
    assert_int_equal(atomic_load(&rows.overflow), 0);
    arena_close(&arena);
}

enum { RESERVING_ITEMS = 8, RESERVING_ROWS = 500, RESERVING_ROOM = 30000 };

/* Many rows at once, most of which find no room. */
static void reserve_rows(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    for (uint32_t i = 0; i < RESERVING_ROWS; i++)
        row_lists_reserve(arg, item * RESERVING_ROWS + i, 1 + i * 7 % 40);
}

/* Rows that find no room give nothing back that another has meanwhile got. */
static void no_two_rows_get_one_place(void **state)
{
    (void)state;
    struct row_lists rows;
    struct pool *pool;
    uint8_t *taken = malloc(RESERVING_ROOM);
    assert_int_equal(pool_new(4, &pool), ERR_OK);
    struct arena arena = {0};
    LAID(arena, row_lists_lay(&rows, RESERVING_ITEMS * RESERVING_ROWS, RESERVING_ROOM, &arena));
    for (int round = 0; round < 2000; round++) {
        uint32_t used = 0;
        row_lists_clear(&rows);
        memset(taken, 0, RESERVING_ROOM);
        pool_run(pool, reserve_rows, &rows, RESERVING_ITEMS);
        for (uint32_t r = 0; r < RESERVING_ITEMS * RESERVING_ROWS; r++) {
            used += rows.count[r];
            for (uint32_t j = 0; j < rows.count[r]; j++)
                if (taken[rows.start[r] + j]++) fail_msg("round %d: row %u", round, r);
        }
        assert_int_equal(used, atomic_load(&rows.used));
        assert_int_equal(atomic_load(&rows.overflow), 1);
    }
    arena_close(&arena);
    pool_free(pool);
    free(taken);
}

static void recovery_of_the_same_directions_is_one(void **state)
{
    (void)state;
    enum { TRUE = 20, WIDTH = 9, FOUND = 31 };
    float truth[TRUE * WIDTH], found[FOUND * WIDTH];
    struct rng rng;
    double mmcs = -1, mcc = -1;
    rng_seed(&rng, 4);
    random_directions(&rng, truth, TRUE, WIDTH);
    random_directions(&rng, found, FOUND, WIDTH);
    for (int i = 0; i < TRUE; i++) /* in another order, scaled, every other one turned round */
        for (int j = 0; j < WIDTH; j++)
            found[(FOUND - 1 - i) * WIDTH + j] = truth[i * WIDTH + j] * (i % 2 ? -3.0f : 2.0f);
    assert_int_equal(truth_mcc(truth, TRUE, found, FOUND, WIDTH, &mcc), ERR_OK);
    assert_true(fabs(mcc - 1) < 1e-6);
    assert_int_equal(truth_mcc(found, FOUND, truth, TRUE, WIDTH, &mcc), ERR_OK);
    assert_true(fabs(mcc - 1) < 1e-6);
    assert_int_equal(truth_mmcs(truth, TRUE, found, FOUND, WIDTH, &mmcs), ERR_OK);
    assert_true(mmcs > 0.6 && mmcs < 0.95); /* a turned direction is not the same to MMCS */
    assert_int_equal(truth_mmcs(truth, 0, found, FOUND, WIDTH, &mmcs), ERR_LIMIT);
    assert_int_equal(truth_mcc(truth, TRUE, found, 0, WIDTH, &mcc), ERR_LIMIT);
}

/* Best sum over all one-to-one matchings of n rows, by trying them all. */
static double by_trial(const float *gain, int n, int m, int row, unsigned taken)
{
    double best = -1;
    if (row == n) return 0;
    for (int j = 0; j < m; j++)
        if (!(taken >> j & 1)) {
            double sum = fabs(gain[row * m + j]) + by_trial(gain, n, m, row + 1, taken | 1u << j);
            if (sum > best) best = sum;
        }
    return best;
}

static void the_matching_is_the_best_of_all(void **state)
{
    (void)state;
    enum { N = 6, M = 7, WIDTH = 3 };
    struct rng rng;
    rng_seed(&rng, 5);
    for (int trial = 0; trial < 50; trial++) {
        float a[N * WIDTH], b[M * WIDTH], gain[N * M];
        double mcc = -1;
        random_directions(&rng, a, N, WIDTH);
        random_directions(&rng, b, M, WIDTH);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < M; j++) {
                gain[i * M + j] = 0;
                for (int k = 0; k < WIDTH; k++)
                    gain[i * M + j] += a[i * WIDTH + k] * b[j * WIDTH + k];
            }
        assert_int_equal(truth_mcc(a, N, b, M, WIDTH, &mcc), ERR_OK);
        assert_true(fabs(mcc - by_trial(gain, N, M, 0, 0) / N) < 1e-5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_done_once),
        cmocka_unit_test(the_rate_warms_up_stays_and_decays),
        cmocka_unit_test(lambda_rises_and_stays),
        cmocka_unit_test(pairs_are_grouped_in_order),
        cmocka_unit_test(lists_say_when_they_are_full),
        cmocka_unit_test(no_two_rows_get_one_place),
        cmocka_unit_test(recovery_of_the_same_directions_is_one),
        cmocka_unit_test(the_matching_is_the_best_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
