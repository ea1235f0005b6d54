/* Which features TopK and BatchTopK take, against a sort: also where values tie, which the lower
 * index wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sae/cpu/encode.h"
#include "sae/cpu/train.h"

#include "helper.h"

/* Small ones, so that every product is exact and many are equal. */
static void whole_numbers(struct rng *rng, float *v, size_t n, uint32_t values)
{
    for (size_t i = 0; i < n; i++) v[i] = (float)rng_below(rng, values) - 1;
}

static void check(uint32_t width, uint32_t features, uint32_t k, uint32_t rows, uint32_t values)
{
    struct sae *sae = small_sae(SAE_TOPK, width, features, k, rows);
    struct rng rng;
    struct dictionary *d = sae->state;
    float *x = malloc((size_t)rows * width * sizeof *x);
    float *out = malloc((size_t)rows * width * sizeof *x);
    float *f = malloc((size_t)rows * features * sizeof *f);
    struct candidate *list = malloc(features * sizeof *list);
    rng_seed(&rng, width + features + k);
    whole_numbers(&rng, d->e.w.w_enc, (size_t)features * width, values);
    whole_numbers(&rng, d->e.w.b_enc, features, values);
    whole_numbers(&rng, x, (size_t)rows * width, values);
    assert_int_equal(sae_forward(sae, x, rows, out, f), ERR_OK);
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t i = 0; i < features; i++) {
            list[i] = (struct candidate){d->e.w.b_enc[i], i};
            for (uint32_t j = 0; j < width; j++)
                list[i].value += d->e.w.w_enc[(size_t)i * width + j] * x[(size_t)r * width + j];
        }
        qsort(list, features, sizeof *list, best_first);
        for (uint32_t i = 0; i < features; i++) {
            float wanted = i < k && list[i].value > 0 ? list[i].value : 0;
            float got = f[(size_t)r * features + list[i].index];
            if (got != wanted)
                fail_msg("F %u, K %u, row %u, place %u, feature %u: %g, not %g", features, k, r, i,
                         list[i].index, got, wanted);
        }
    }
    free(x);
    free(out);
    free(f);
    free(list);
    sae_free(sae);
}

static void topk_is_the_sorts(void **state)
{
    (void)state;
    const uint32_t features[] = {1, 5, 31, 255, 256, 257, 700, 1600},
                   ks[] = {1, 2, 7, 32, 100, 256};
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 6; j++) {
            if (ks[j] > features[i]) continue;
            check(9, features[i], ks[j], 70, 5); /* many ties */
            check(33, features[i], ks[j], 35, 100);
        }
    check(9, 40, 40, 10, 4);   /* all of them */
    check(2, 2000, 32, 20, 2); /* little but zeros and ties */
}

/* What batch_topk.c leaves in the lists, against a sort of the whole batch. `floor` is what an
 * earlier step would have left as its guess. */
static void check_batch(uint32_t features, uint32_t k, uint32_t rows, uint32_t values, float floor)
{
    enum { WIDTH = 9 };
    struct sae *sae = small_sae(SAE_BATCHTOPK, WIDTH, features, k, rows);
    struct rng rng;
    struct dictionary *d = sae->state;
    size_t pairs = (size_t)rows * features, taken = 0;
    float *x = malloc((size_t)rows * WIDTH * sizeof *x);
    struct candidate *list = malloc(pairs * sizeof *list);
    uint8_t *wanted = calloc(pairs, 1);
    rng_seed(&rng, features + k + rows);
    whole_numbers(&rng, d->e.w.w_enc, (size_t)features * WIDTH, values);
    whole_numbers(&rng, x, (size_t)rows * WIDTH, values);
    for (size_t p = 0; p < pairs; p++) {
        list[p] = (struct candidate){0, (uint32_t)p};
        for (uint32_t j = 0; j < WIDTH; j++)
            list[p].value += d->e.w.w_enc[p % features * WIDTH + j] * x[p / features * WIDTH + j];
    }
    qsort(list, pairs, sizeof *list, best_first);
    for (size_t p = 0; p < pairs && p < (size_t)k * rows; p++)
        if (list[p].value > 0) wanted[list[p].index] = 1;
    encoder_take(&d->e, x, rows);
    rows_centre(d);
    encode_begin(&d->e);
    d->floor = floor;
    batch_topk_encode(d);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t j = 0; j < d->e.active.count[r]; j++, taken++)
            if (!wanted[(size_t)r * features + d->e.active.index[d->e.active.start[r] + j]])
                fail_msg("F %u, K %u: row %u, place %u should not be there", features, k, r, j);
    for (size_t p = 0; p < pairs; p++) taken -= wanted[p];
    assert_int_equal(taken, 0); /* none is missing */
    free(x);
    free(list);
    free(wanted);
    sae_free(sae);
}

static void batchtopk_is_the_sorts(void **state)
{
    (void)state;
    const float floors[] = {0, 3, 20, 1e9f}; /* none, too low, about right, too high */
    for (int i = 0; i < 4; i++) {
        check_batch(700, 3, 70, 100, floors[i]);
        check_batch(257, 32, 90, 100, floors[i]);
        check_batch(30, 2, 300, 5, floors[i]);
        check_batch(5, 5, 40, 100, floors[i]); /* all that are above zero */
        check_batch(1, 1, 1, 100, floors[i]);
    }
}

/* All rows and features alike: no floor tells K B of them from the rest, and none is taken
 * twice. */
static void batchtopk_of_equal_values_takes_no_more_than_there_is_room_for(void **state)
{
    (void)state;
    struct sae *sae = small_sae(SAE_BATCHTOPK, 3, 500, 4, 64);
    static float x[64 * 3];
    struct sae_step step;
    struct dictionary *d = sae->state;
    for (int i = 0; i < 500 * 3; i++) d->e.w.w_enc[i] = 1;
    for (int i = 0; i < 64 * 3; i++) x[i] = 1;
    assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, 64}, &step), ERR_OK);
    assert_true(step.l0 <= 4);
    assert_int_equal(step.skipped, 0);
    assert_int_equal(d->dense, 0);
    assert_int_equal(atomic_load(&d->e.active.overflow), 0);
    sae_free(sae);
}

/* So wide that a product is off by most of a pre-activation's deviation: the counts alone tell no
 * floor. K B pairs are found all the same. */
static void batchtopk_of_wide_rows_takes_all_its_places(void **state)
{
    (void)state;
    enum { ROWS = 64, WIDTH = 16384, FEATURES = 128, K = 2 };
    struct sae *sae = small_sae(SAE_BATCHTOPK, WIDTH, FEATURES, K, ROWS);
    struct sae_step step;
    struct rng rng;
    float *x = malloc((size_t)ROWS * WIDTH * sizeof *x);
    rng_seed(&rng, 5);
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)rng_normal(&rng);
    const struct dictionary *d = sae->state;
    assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
    assert_int_equal(d->dense, 0);
    assert_int_equal(atomic_load(&d->e.active.overflow), 0);
    assert_true(step.l0 == K);
    sae_free(sae);
    free(x);
}

/* A row in which more features are active than it may keep: its places are left empty for this one
 * step, whose least value is learnt all the same, and filled by others in the next. */
static void batchtopk_of_a_row_beyond_its_bound_learns_a_threshold(void **state)
{
    (void)state;
    enum { ROWS = 128, FEATURES = 144, LARGE = 140, K = 2 }; /* 64 K are 128 */
    struct sae_options o;
    struct sae *sae;
    struct sae_step step;
    static float x[ROWS * 2] = {10, 0};
    sae_options_default(SAE_BATCHTOPK, &o);
    o.width = 2;
    o.features = FEATURES;
    o.k = K;
    o.batch_rows = ROWS;
    o.learning_rate = 0;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    struct dictionary *d = sae->state;
    for (int f = 0; f < FEATURES; f++) {
        float *w = d->e.w.w_enc + (size_t)f * 2;
        w[0] = f < LARGE ? 1 + 0.001f * (float)f : -1;
        w[1] = f < LARGE ? -1 : 1 + 0.1f * (float)(f - LARGE);
    }
    for (int r = 1; r < ROWS; r++) x[r * 2 + 1] = 1 + 0.001f * (float)r;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
        assert_int_equal(d->e.active.count[0], 64 * K);
        assert_true(d->e.threshold[0] > 1);
    }
    assert_true(step.l0 == K);
    sae_free(sae);
}

static void every_set_of_kernels_takes_the_same(void **state)
{
    (void)state;
    const char *const names[] = {"plain", "avx2", "avx512"};
    for (int i = 0; i < 3; i++) {
        if (!kernels_by_name(names[i])) continue;
        setenv("SLUICE_KERNELS", names[i], 1);
        check(9, 700, 32, 70, 5);
        check_batch(700, 3, 70, 100, 0);
    }
    unsetenv("SLUICE_KERNELS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topk_is_the_sorts),
        cmocka_unit_test(batchtopk_is_the_sorts),
        cmocka_unit_test(batchtopk_of_equal_values_takes_no_more_than_there_is_room_for),
        cmocka_unit_test(batchtopk_of_wide_rows_takes_all_its_places),
        cmocka_unit_test(batchtopk_of_a_row_beyond_its_bound_learns_a_threshold),
        cmocka_unit_test(every_set_of_kernels_takes_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
