/* Which features TopK takes, against a sort: also where values tie, which the lower index wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sae/dictionary.h"

#include "helper.h"

struct candidate {
    float value;
    uint32_t index;
};

static int best_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* Weights and rows of small whole numbers, so that every product is exact and many are equal. */
static void check(uint32_t width, uint32_t features, uint32_t k, uint32_t rows, uint32_t values)
{
    struct sae_options o;
    struct sae *sae;
    struct rng rng;
    sae_options_default(SAE_TOPK, &o);
    o.width = width;
    o.features = features;
    o.k = k;
    o.batch_rows = rows;
    o.threads = 2;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    struct dictionary *d = sae->state;
    float *x = malloc((size_t)rows * width * sizeof *x);
    float *out = malloc((size_t)rows * width * sizeof *x);
    float *f = malloc((size_t)rows * features * sizeof *f);
    struct candidate *list = malloc(features * sizeof *list);
    rng_seed(&rng, width + features + k);
    for (size_t i = 0; i < (size_t)features * width; i++)
        d->w.w_enc[i] = (float)rng_below(&rng, values) - 1;
    for (uint32_t i = 0; i < features; i++) d->w.b_enc[i] = (float)rng_below(&rng, values) - 1;
    for (size_t i = 0; i < (size_t)rows * width; i++) x[i] = (float)rng_below(&rng, values) - 1;
    assert_int_equal(sae_forward(sae, x, rows, out, f), ERR_OK);
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t i = 0; i < features; i++) {
            list[i] = (struct candidate){d->w.b_enc[i], i};
            for (uint32_t j = 0; j < width; j++)
                list[i].value += d->w.w_enc[(size_t)i * width + j] * x[(size_t)r * width + j];
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

static void every_set_of_kernels_takes_the_same(void **state)
{
    (void)state;
    const char *const names[] = {"plain", "avx2", "avx512"};
    for (int i = 0; i < 3; i++) {
        if (!kernels_by_name(names[i])) continue;
        setenv("SLUICE_KERNELS", names[i], 1);
        check(9, 700, 32, 70, 5);
    }
    unsetenv("SLUICE_KERNELS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topk_is_the_sorts),
        cmocka_unit_test(every_set_of_kernels_takes_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
