/* Exact values of candidates, however many fit at once. */
#include "base/err.h"
#include "base/rng.h"
#include "sae/cpu/exact.h"

#include "laid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

enum { WIDTH = 37, STRIDE = 40, FEATURES = 700 };

static float x[BLOCK_ROWS * STRIDE], w[FEATURES * WIDTH], bias[FEATURES];

static void fill(struct rng *rng, float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) v[i] = (float)rng_normal(rng);
}

/* Each row lists about `share` of the features, ascending; some rows none. */
static uint32_t list(struct collector *c, struct rng *rng, uint32_t n, double share)
{
    uint32_t all = 0;
    for (uint32_t r = 0; r < n; r++) {
        c->count[r] = 0;
        for (uint32_t f = 0; f < FEATURES && r % 7 != 3; f++) {
            if (rng_unit(rng) >= share) continue;
            size_t at = (size_t)r * c->stride + c->count[r]++;
            c->index[at] = f;
            c->value[at] = -1;
        }
        all += c->count[r];
    }
    return all;
}

static void check(const struct kernels *kernels, uint32_t n, double share, int fits)
{
    struct collector c;
    struct exact e;
    struct rng rng;
    rng_seed(&rng, n);
    fill(&rng, x, sizeof x / sizeof *x);
    fill(&rng, w, sizeof w / sizeof *w);
    fill(&rng, bias, FEATURES);
    struct arena of_c = {0}, of_e = {0};
    LAID(of_c, collector_lay(&c, 32, FEATURES, &of_c));
    LAID(of_e, exact_lay(&e, FEATURES, FEATURES, c.stride, &of_e));
    assert_true(e.capacity >= c.stride); /* a row's list is never longer */
    assert_int_equal(list(&c, &rng, n, share) <= e.capacity, fits);
    exact_values(&e, kernels, &c, x, STRIDE, n, w, WIDTH, bias);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t j = 0; j < c.count[r]; j++) {
            size_t at = (size_t)r * c.stride + j;
            float dot;
            kernels->dots(&dot, x + (size_t)r * STRIDE, WIDTH, w + (size_t)c.index[at] * WIDTH, 0,
                          NULL, 1);
            assert_true(c.value[at] == dot + bias[c.index[at]]);
        }
    arena_close(&of_e);
    arena_close(&of_c);
}

static void values_are_those_of_each_pair_alone(void **state)
{
    (void)state;
    const char *const names[] = {"plain", "avx2", "avx512"};
    for (int i = 0; i < 3; i++) {
        const struct kernels *kernels = kernels_by_name(names[i]);
        if (!kernels) continue;
        check(kernels, 1, 0.1, 1);
        check(kernels, 200, 0.05, 1);
        check(kernels, BLOCK_ROWS, 0.4, 0); /* more than there is room for at once */
    }
}

/* One list that is longer than what is usual of a block finds room. */
static void there_is_room_for_the_longest_list(void **state)
{
    (void)state;
    struct exact e;
    struct arena arena = {0};
    LAID(arena, exact_lay(&e, 10, 10, 1 << 20, &arena));
    assert_true(e.capacity >= 1 << 20);
    arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_each_pair_alone),
        cmocka_unit_test(there_is_room_for_the_longest_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
