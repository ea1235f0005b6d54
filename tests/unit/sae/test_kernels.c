/* Every fast kernel against the plain one, on odd lengths and addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "sae/cpu/kernels.h"
#include "sae/sae.h"

enum { MOST = 700, VECTORS = 40 };

static const char *const names[] = {"avx2", "avx512"};
static const size_t lengths[] = {0,  1,  7,   8,   9,   15,  16,  17,  31,  33, 63,
                                 64, 65, 127, 128, 129, 192, 255, 300, 576, 577};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

static struct rng rng;
static float memory_a[MOST + 8], memory_b[MOST + 8], memory_c[MOST + 8], memory_d[MOST + 8];
static float matrix[VECTORS * MOST + 8];

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(&rng);
}

static void close_to(float a, float b, double scale)
{
    if (!(fabs((double)a - b) <= 2e-6 * scale)) fail_msg("%.9g is not %.9g", a, b);
}

/* Calls check(fast, length, offset) for every set that runs here. */
static void each(void (*check)(const struct kernels *fast, size_t n, size_t offset))
{
    rng_seed(&rng, 7);
    for (int s = 0; s < 2; s++) {
        const struct kernels *fast = kernels_by_name(names[s]);
        if (!fast) continue;
        for (size_t l = 0; l < LENGTHS; l++)
            for (size_t offset = 0; offset < 4; offset++) check(fast, lengths[l], offset);
    }
}

static void check_combine(const struct kernels *fast, size_t n, size_t offset)
{
    static const uint32_t index[] = {3, 0, 39, 3, 17};
    float a[5], *base = memory_a + offset, *fast_y = memory_b + 1, *plain_y = memory_c;
    fill(a, 5);
    fill(base, n);
    fill(matrix, sizeof matrix / sizeof matrix[0]);
    for (size_t count = 0; count <= 5; count += 5)
        for (int form = 0; form < 4; form++) {
            const float *from = form & 1 ? base : NULL;
            const uint32_t *which = form & 2 ? index : NULL;
            fast_y[n] = 42;
            fast->combine(fast_y, n, from, -1.5f, matrix + offset, MOST, which, a, count);
            kernels_plain.combine(plain_y, n, from, -1.5f, matrix + offset, MOST, which, a, count);
            for (size_t i = 0; i < n; i++) close_to(fast_y[i], plain_y[i], 20);
            assert_true(fast_y[n] == 42); /* nothing is written past the end */
        }
    memcpy(fast_y, base, n * sizeof *base); /* in place */
    fast->combine(fast_y, n, fast_y, 1, matrix, MOST, index, a, 5);
    kernels_plain.combine(plain_y, n, base, 1, matrix, MOST, index, a, 5);
    for (size_t i = 0; i < n; i++) close_to(fast_y[i], plain_y[i], 20);
}

static void check_dots(const struct kernels *fast, size_t n, size_t offset)
{
    static const uint32_t index[] = {39, 0, 5};
    float got[4] = {0, 0, 0, 42}, wanted[3], *y = memory_a + offset;
    fill(y, n);
    fill(matrix, sizeof matrix / sizeof matrix[0]);
    for (int with = 0; with < 2; with++) {
        fast->dots(got, y, n, matrix + offset, MOST, with ? index : NULL, 3);
        kernels_plain.dots(wanted, y, n, matrix + offset, MOST, with ? index : NULL, 3);
        for (int j = 0; j < 3; j++) close_to(got[j], wanted[j], 1 + 3 * sqrt((double)n));
        assert_true(got[3] == 42);
    }
}

static void check_subtract(const struct kernels *fast, size_t n, size_t offset)
{
    fill(memory_a, MOST);
    fill(memory_b, MOST);
    memory_c[offset + n] = 42;
    fast->subtract(memory_c + offset, memory_a, memory_b + offset, n);
    kernels_plain.subtract(memory_d, memory_a, memory_b + offset, n);
    assert_memory_equal(memory_c + offset, memory_d, n * sizeof(float));
    assert_true(memory_c[offset + n] == 42);
}

static void check_above(const struct kernels *fast, size_t n, size_t offset)
{
    static uint32_t got_index[MOST], index[MOST];
    float *v = memory_a + offset, *bias = memory_b, threshold = 0.25f;
    for (size_t i = 0; i < n; i++) {
        v[i] = (float)(int)rng_below(&rng, 5) / 4 - 0.5f;
        bias[i] = i % 9 ? 0.25f : -INFINITY;
    }
    if (n > 5) v[5] = NAN;
    size_t got = fast->above(v, bias, n, threshold, 1000, got_index, memory_c);
    size_t taken = kernels_plain.above(v, bias, n, threshold, 1000, index, memory_d);
    assert_int_equal(got, taken);
    assert_memory_equal(got_index, index, taken * sizeof index[0]);
    assert_memory_equal(memory_c, memory_d, taken * sizeof(float));
}

/* The k-th largest by its definition. */
static float kth_of(const float *value, size_t n, size_t k)
{
    for (size_t i = 0; i < n; i++) {
        size_t larger = 0, equal = 0;
        for (size_t j = 0; j < n; j++) {
            larger += value[j] > value[i];
            equal += value[j] == value[i];
        }
        if (larger < k && k <= larger + equal) return value[i];
    }
    fail();
    return 0;
}

static void check_kth(const struct kernels *fast, size_t n, size_t offset)
{
    float *v = memory_a + offset;
    for (size_t i = 0; i < n; i++)
        v[i] = offset & 1 ? (float)rng_below(&rng, 4) : (float)fabs(rng_normal(&rng));
    if (n > 20) v[20] = INFINITY;
    if (n > 21) v[21] = 1e-40f; /* subnormal */
    for (size_t k = 1; k <= n; k += 1 + n / 7) {
        float exact = kth_of(v, n, k), rough = exact;
        uint32_t bits;
        memcpy(&bits, &exact, sizeof bits);
        bits &= ~0x7fffu;
        memcpy(&rough, &bits, sizeof bits);
        assert_true(fast->kth(v, n, k, 0) == exact);
        assert_true(fast->kth(v, n, k, 15) == rough);
        assert_true(kernels_plain.kth(v, n, k, 0) == exact);
        assert_true(kernels_plain.kth(v, n, k, 15) == rough);
    }
}

static void check_adam(const struct kernels *fast, size_t n, size_t offset)
{
    const struct adam_rate rate = {0.5f, 0.9f, 0.999f, 1e-2f, 3.0f, 1e-8f};
    float w[MOST], m[MOST], v[MOST], *g = memory_d + offset;
    for (int with = 0; with < 2; with++) {
        fill(g, n);
        fill(w, n);
        fill(m, n);
        fill(v, n);
        for (size_t i = 0; i < n; i++) v[i] = i == 3 ? 0 : fabsf(v[i]);
        memcpy(memory_a + offset, w, n * sizeof *w);
        memcpy(memory_b + offset, m, n * sizeof *m);
        memcpy(memory_c + offset, v, n * sizeof *v);
        fast->adam(&rate, memory_a + offset, memory_b + offset, memory_c + offset, with ? g : NULL,
                   n);
        kernels_plain.adam(&rate, w, m, v, with ? g : NULL, n);
        for (size_t i = 0; i < n; i++) {
            close_to(memory_a[offset + i], w[i], fabs(w[i]) + 1);
            close_to(memory_b[offset + i], m[i], fabs(m[i]) + 1);
            close_to(memory_c[offset + i], v[i], fabs(v[i]) + 1e-3);
        }
    }
}

/* ---- zeros, subnormals, infinities and NaN ---- */

static const float least = 1.40129846e-45f; /* the smallest subnormal */

/* Zeros of both signs and subnormals: sums and differences of some hundred of them are exact. */
static void fill_tiny(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = ((float)rng_below(&rng, 2001) - 1000) * least;
    for (size_t i = 0; i < n; i += 3) x[i] = i % 2 ? 0.0f : -0.0f;
}

static void same_or_both_nan(const float *got, const float *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (got[i] != wanted[i] && !(isnan(got[i]) && isnan(wanted[i])))
            fail_msg("at %zu of %zu: %.9g is not %.9g", i, n, got[i], wanted[i]);
}

static void check_tiny(const struct kernels *fast, size_t n, size_t offset)
{
    const float one[3] = {1, 1, 1};
    float *y = memory_a + offset, *got = memory_b + 1, dots[3], plain_dots[3];
    static uint32_t got_index[MOST], index[MOST];
    fill_tiny(y, n);
    for (int v = 0; v < 3; v++) fill_tiny(matrix + v * MOST, MOST);
    fast->combine(got, n, y, 1, matrix + offset, MOST, NULL, one, 2);
    kernels_plain.combine(memory_c, n, y, 1, matrix + offset, MOST, NULL, one, 2);
    same_or_both_nan(got, memory_c, n);
    fast->subtract(got, y, matrix, n);
    kernels_plain.subtract(memory_c, y, matrix, n);
    same_or_both_nan(got, memory_c, n);
    size_t taken = fast->above(y, matrix, n, 0, 7, got_index, got);
    assert_int_equal(taken, kernels_plain.above(y, matrix, n, 0, 7, index, memory_c));
    assert_true(taken > 0 || n < 9); /* a subnormal is above zero */
    assert_memory_equal(got_index, index, taken * sizeof index[0]);
    same_or_both_nan(got, memory_c, taken);
    for (size_t i = 0; i < n; i++) y[i] = 1;
    fast->dots(dots, y, n, matrix + offset, MOST, NULL, 3);
    kernels_plain.dots(plain_dots, y, n, matrix + offset, MOST, NULL, 3);
    same_or_both_nan(dots, plain_dots, 3);
}

/* One value that is not finite at each place in turn: the same results as the plain kernels', and
 * none that is finite in their stead. */
static void check_not_finite(const struct kernels *fast, size_t n, size_t offset)
{
    const float poison[] = {NAN, INFINITY, -INFINITY}, a[2] = {1.5f, -2};
    float *y = memory_a + offset, *x = matrix + offset, *got = memory_b, *wanted = memory_c;
    for (size_t at = 0; at < n; at += 1 + n / 9)
        for (int p = 0; p < 3; p++) {
            for (size_t i = 0; i < n; i++) y[i] = (float)(i % 5) + 1, x[i] = x[MOST + i] = 1;
            x[at] = poison[p];
            fast->combine(got, n, y, 1, x, MOST, NULL, a, 2);
            kernels_plain.combine(wanted, n, y, 1, x, MOST, NULL, a, 2);
            same_or_both_nan(got, wanted, n);
            assert_false(isfinite(got[at]));
            fast->subtract(got, y, x, n);
            kernels_plain.subtract(wanted, y, x, n);
            same_or_both_nan(got, wanted, n);
            fast->dots(got, y, n, x, MOST, NULL, 2);
            kernels_plain.dots(wanted, y, n, x, MOST, NULL, 2);
            same_or_both_nan(got, wanted, 2); /* sums of small whole numbers are exact */
            assert_false(isfinite(got[0]));
        }
}

/* Moments and gradients that are zero, subnormal or not finite. */
static void check_adam_on_odd_values(const struct kernels *fast, size_t n, size_t offset)
{
    const struct adam_rate rate = {0.5f, 0.9f, 0.999f, 1e-2f, 3.0f, 1e-8f};
    const float values[] = {0, -0.0f, 1e-40f, -1e-45f, 1e-30f, 1e-20f, NAN, INFINITY};
    float w[MOST], m[MOST], v[MOST], *g = memory_d + offset;
    float *got_w = memory_a + offset, *got_m = memory_b + offset, *got_v = memory_c + offset;
    for (size_t i = 0; i < n; i++) {
        w[i] = got_w[i] = values[rng_below(&rng, 6)];
        m[i] = got_m[i] = values[rng_below(&rng, 6)];
        v[i] = got_v[i] = fabsf(values[rng_below(&rng, 6)]);
        g[i] = values[rng_below(&rng, 8)];
    }
    fast->adam(&rate, got_w, got_m, got_v, g, n);
    kernels_plain.adam(&rate, w, m, v, g, n);
    const float *got[] = {got_w, got_m, got_v}, *wanted[] = {w, m, v};
    for (int part = 0; part < 3; part++)
        for (size_t i = 0; i < n; i++) {
            float a = got[part][i], b = wanted[part][i];
            if (a == b || (isnan(a) && isnan(b))) continue;
            /* Rounded once more or less; below the normal numbers that is an absolute error. */
            if (!(fabs((double)a - b) <= 2e-6 * fabs((double)b) + 3 * (double)least))
                fail_msg("part %d at %zu of %zu: %.9g is not %.9g", part, i, n, a, b);
        }
}

static void subnormals_are_not_flushed(void **state)
{
    (void)state;
    each(check_tiny);
}

static void what_is_not_finite_comes_through(void **state)
{
    (void)state;
    each(check_not_finite);
}

static void adam_is_the_plain_one_on_odd_values(void **state)
{
    (void)state;
    each(check_adam_on_odd_values);
}

static void combine_is_the_plain_one(void **state)
{
    (void)state;
    each(check_combine);
}

static void dots_are_the_plain_ones(void **state)
{
    (void)state;
    each(check_dots);
}

static void subtract_is_the_plain_one(void **state)
{
    (void)state;
    each(check_subtract);
}

static void above_takes_what_the_plain_one_takes(void **state)
{
    (void)state;
    each(check_above);
}

static void kth_is_the_plain_one(void **state)
{
    (void)state;
    each(check_kth);
}

static void adam_is_the_plain_one(void **state)
{
    (void)state;
    each(check_adam);
}

static void plain_adam_is_the_papers(void **state)
{
    (void)state;
    double w = 0.3, m = 0, v = 0;
    float wf = 0.3f, mf = 0, vf = 0;
    for (int t = 1; t <= 20; t++) {
        double g = sin(t), rate = 1e-2;
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        double m_hat = m / (1 - pow(0.9, t)), v_hat = v / (1 - pow(0.999, t));
        w -= rate * m_hat / (sqrt(v_hat) + 1e-8);
        struct adam_rate step = {1,
                                 0.9f,
                                 0.999f,
                                 (float)(rate / (1 - pow(0.9, t))),
                                 (float)(1 / sqrt(1 - pow(0.999, t))),
                                 1e-8f};
        float gf = (float)g;
        kernels_plain.adam(&step, &wf, &mf, &vf, &gf, 1);
    }
    assert_true(fabs(wf - w) < 1e-5);
}

static void the_environment_chooses_a_set(void **state)
{
    (void)state;
    setenv("SLUICE_KERNELS", "plain", 1);
    assert_string_equal(kernels_best()->name, "plain");
    setenv("SLUICE_KERNELS", "nonsense", 1);
    const struct kernels *best = kernels_best();
    unsetenv("SLUICE_KERNELS");
    assert_ptr_equal(best, kernels_best());
}

static int made_with(const char *variable, const char *value)
{
    struct sae_options o;
    struct sae *sae = NULL;
    sae_options_default(SAE_L1, &o);
    o.width = o.features = 4;
    o.batch_rows = 2;
    setenv(variable, value, 1);
    int code = sae_new(&o, &sae);
    unsetenv(variable);
    sae_free(sae);
    return code;
}

/* A name that nobody knows is not taken for another one in silence. */
static void unknown_names_in_the_environment_are_refused(void **state)
{
    (void)state;
    const char *const variables[] = {"SLUICE_KERNELS", "SLUICE_SCREEN"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(made_with(variables[i], "plain"), ERR_OK);
        assert_int_equal(made_with(variables[i], ""), ERR_OK);
        assert_int_equal(made_with(variables[i], "avx2048"), ERR_USAGE);
        assert_non_null(strstr(err_text(), variables[i]));
        assert_non_null(strstr(err_text(), "'avx2048'"));
        assert_non_null(strstr(err_text(), "plain"));
    }
}

static void blas_is_as_wide_as_the_processor(void **state)
{
    (void)state;
    assert_true(sae_blas_is_wide());
}

int main(int argc, char **argv)
{
    (void)argc;
    sae_blas_wide(argv); /* begins this program again, with the setting */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combine_is_the_plain_one),
        cmocka_unit_test(dots_are_the_plain_ones),
        cmocka_unit_test(subtract_is_the_plain_one),
        cmocka_unit_test(above_takes_what_the_plain_one_takes),
        cmocka_unit_test(kth_is_the_plain_one),
        cmocka_unit_test(adam_is_the_plain_one),
        cmocka_unit_test(subnormals_are_not_flushed),
        cmocka_unit_test(what_is_not_finite_comes_through),
        cmocka_unit_test(adam_is_the_plain_one_on_odd_values),
        cmocka_unit_test(plain_adam_is_the_papers),
        cmocka_unit_test(the_environment_chooses_a_set),
        cmocka_unit_test(unknown_names_in_the_environment_are_refused),
        cmocka_unit_test(blas_is_as_wide_as_the_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
