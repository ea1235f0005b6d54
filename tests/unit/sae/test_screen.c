/* Screening: bounds hold for each pair of a row and a feature, and what is selected is what the
 * kernel's dot products over all features select, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sae/dictionary.h"

#include "helper.h"
#include "laid.h"

enum { LARGE_DIMENSIONS = 3 };

/* A row or a feature's weights: even, or with a few dimensions that outweigh all others. */
static void fill(struct rng *rng, float *v, uint32_t width, float large)
{
    for (uint32_t i = 0; i < width; i++) v[i] = (float)rng_normal(rng);
    for (uint32_t i = 0; i < LARGE_DIMENSIONS && i < width; i++) v[i * 7 % width] *= large;
}

/* Of this processor's kernels, all that can be asked for. */
static const char *const modes[] = {"off", "plain", "vnni"};

/* 0: "vnni" on a processor without it. */
static int runs(const char *mode)
{
    const struct screen_kernels *kernels;
    return screen_by_name(mode, &kernels);
}

static struct sae *new_sae(enum sae_arch arch, uint32_t width, uint32_t features, uint32_t k,
                           uint32_t rows, const char *mode)
{
    setenv("SLUICE_SCREEN", mode, 1);
    struct sae *sae = small_sae(arch, width, features, k, rows);
    unsetenv("SLUICE_SCREEN");
    return sae;
}

/* A product in doubles, close enough to the true one to judge a bound by. */
static double true_dot(const float *x, const float *w, uint32_t width)
{
    double sum = 0;
    for (uint32_t i = 0; i < width; i++) sum += (double)x[i] * w[i];
    return sum;
}

/* Weights that a quantization errs most on: all but one lie half a step from a whole number, and
 * rows along that error. The rotation is undone, so that this is what is quantized. */
static void adversary(struct rng *rng, float *x, float *w, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++) {
        float sign = rng_below(rng, 2) ? 1.0f : -1.0f;
        w[i] = i ? sign * ((float)rng_below(rng, 20) + 0.499f) : 127;
        x[i] = i ? sign : 0;
    }
    float *both[] = {x, w};
    for (int b = 0; b < 2; b++)
        for (uint32_t i = 0; i + 16 <= width; i += 16)
            for (uint32_t h = 1; h < 16; h *= 2)
                for (uint32_t j = 0; j < 16; j++) {
                    if (j & h) continue;
                    float *v = both[b] + i + j, p = v[0], q = v[h];
                    v[0] = (p + q) * 0.70710678f;
                    v[h] = (p - q) * 0.70710678f;
                }
}

/* How much of their bounds the errors of all pairs use up, at most. */
static double worst_share(const struct screen_kernels *kernels, uint32_t width, uint32_t features,
                          uint32_t rows, float large, int adversarial)
{
    const struct kernels *floats = kernels_best();
    struct screen s;
    struct screen_rows x;
    struct collector c;
    struct pool *pool;
    struct rng rng;
    float *w = malloc((size_t)features * width * sizeof *w);
    float *input = malloc((size_t)rows * width * sizeof *input);
    float *bias = calloc(features, sizeof *bias);
    double worst = 0;
    rng_seed(&rng, width + features);
    for (uint32_t f = 0; f < features; f++) fill(&rng, w + (size_t)f * width, width, large);
    for (uint32_t r = 0; r < rows; r++) fill(&rng, input + (size_t)r * width, width, large);
    for (uint32_t f = 0; adversarial && f < features && f < rows; f++)
        adversary(&rng, input + (size_t)f * width, w + (size_t)f * width, width);
    struct arena of_s = {0}, of_x = {0}, of_c = {0};
    LAID(of_s, screen_lay(&s, width, features, kernels, &of_s));
    LAID(of_x, screen_rows_lay(&x, &s, &of_x));
    LAID(of_c, collector_lay(&c, 1, features, &of_c));
    assert_int_equal(pool_new(2, &pool), ERR_OK);
    s.quantized = 1;
    screen_weights(&s, floats, pool, w, bias);
    collector_begin(&c, rows, 0);
    screen_block(&s, floats, input, width, rows, 1, &x, c.slack);
    for (uint32_t r = 0; r < rows; r++) c.threshold[r] = -INFINITY; /* all are taken */
    for (uint32_t p = 0; p < s.padded / SCREEN_PANEL; p++) kernels->take(&s, &x, rows, p, &c);
    for (uint32_t r = 0; r < rows; r++) {
        assert_int_equal(c.count[r], features);
        for (uint32_t f = 0; f < features; f++) {
            size_t at = (size_t)r * c.stride + f;
            double dot = true_dot(input + (size_t)r * width, w + (size_t)f * width, width);
            assert_int_equal(c.index[at], f);
            assert_true(c.bound[at] <= c.slack[r] * 1.000001f);
            /* Where 0 stands for less, only how far it may lie above it is known. */
            double off = c.value[at] > 0 ? fabs(dot - c.value[at]) : dot;
            if (c.bound[at] > 0) worst = fmax(worst, off / c.bound[at]);
            if (c.bound[at] == 0) assert_true(off <= 0);
        }
    }
    pool_free(pool);
    arena_close(&of_c);
    arena_close(&of_x);
    arena_close(&of_s);
    free(w);
    free(input);
    free(bias);
    return worst;
}

static const struct screen_kernels *kernels_of(const char *mode)
{
    const struct screen_kernels *kernels;
    screen_by_name(mode, &kernels);
    return kernels;
}

static void no_pair_is_off_by_more_than_its_bound(void **state)
{
    (void)state;
    const uint32_t widths[] = {1, 5, 16, 17, 100, 576};
    for (int m = 1; m < 3; m++) {
        const struct screen_kernels *kernels = kernels_of(modes[m]);
        for (int i = 0; kernels && i < 6; i++) {
            assert_true(worst_share(kernels, widths[i], 100, 20, 1, 0) <= 1);
            assert_true(worst_share(kernels, widths[i], 49, 9, 30, 0) <= 1);
        }
    }
}

/* Where errors are as large and as much in line as can be, a bound half as wide would not hold. */
static void the_bound_is_no_wider_than_it_must_be(void **state)
{
    (void)state;
    for (int m = 1; m < 3; m++) {
        const struct screen_kernels *kernels = kernels_of(modes[m]);
        if (!kernels) continue;
        double worst = worst_share(kernels, 576, 50, 20, 1, 1);
        if (!(worst <= 1 && worst > 0.5)) fail_msg("%s: %g of the bound", modes[m], worst);
    }
}

static void all_kernels_quantize_alike(void **state)
{
    (void)state;
    const struct screen_kernels *vnni = kernels_of("vnni");
    static const uint32_t widths[] = {1, 15, 16, 33, 576};
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; vnni && i < 5; i++) {
        float v[576];
        int8_t p[2][576];
        struct screen_vector of[2];
        fill(&rng, v, widths[i], 10);
        screen_plain.quantize(v, widths[i], p[0], &of[0]);
        vnni->quantize(v, widths[i], p[1], &of[1]);
        assert_memory_equal(p[0], p[1], screen_lanes(widths[i]));
        assert_int_equal(of[0].sum, of[1].sum);
        assert_true(of[0].step == of[1].step);
        assert_true(fabsf(of[0].norm - of[1].norm) <= 1e-5f * of[0].norm);
        assert_true(fabsf(of[0].rest - of[1].rest) <= 1e-5f * of[0].norm);
    }
}

static void screens_by(uint32_t width, uint32_t features, uint32_t rows, const char *mode)
{
    struct sae *sae = new_sae(SAE_TOPK, width, features, 1, rows, "plain");
    assert_string_equal(sae_screen(sae), mode);
    sae_free(sae);
}

/* Rows too wide for the 8-bit product's memory take float32, and say so. */
static void too_wide_is_told(void **state)
{
    (void)state;
    screens_by(SCREEN_MAX_WIDTH + 1, 256, 64, "off");
    screens_by(SCREEN_MAX_WIDTH, 256, 64, "plain");
    screens_by(8, 256, 63, "off"); /* steps and dictionaries too small for it */
    screens_by(8, 255, 64, "off");
}

/* Candidates of a row are its features at most: a large K asks for no memory beyond them. */
static void lists_are_no_longer_than_all_features(void **state)
{
    (void)state;
    struct sae *sae = new_sae(SAE_TOPK, 16, 1000, 500, 10, "plain");
    const struct dictionary *d = sae->state;
    assert_true(d->e.scratch[0].active.limit <= 1000 + BLOCK_FEATURES);
    sae_free(sae);
}

/* What is hard about some rows and features. */
static void spoil(struct dictionary *d, float *x, struct rng *rng)
{
    uint32_t width = d->e.width, features = d->e.features;
    for (uint32_t i = 0; i < width; i++) {
        x[0 * width + i] = 0;
        x[1 * width + i] *= 1e-42f; /* subnormal */
        x[2 * width + i] *= 1e25f;
        x[3 * width + i] *= 1e-25f;
        x[4 * width + i] = x[5 * width + i];
    }
    x[6 * width] = INFINITY;
    x[7 * width + width / 2] = NAN;
    x[8 * width] = 3e38f;
    for (uint32_t f = 0; f + 1 < features; f += 9) /* ties */
        memcpy(d->e.w.w_enc + (size_t)(f + 1) * width, d->e.w.w_enc + (size_t)f * width,
               width * sizeof(float));
    for (uint32_t f = 5; f < features; f += 50)
        memset(d->e.w.w_enc + (size_t)f * width, 0, width * sizeof(float));
    for (uint32_t f = 7; f < features; f += 30) d->e.w.b_enc[f] = (float)rng_normal(rng);
}

/* Rows whose features lie so close to each other that no bound tells them apart. */
static void crowd(struct dictionary *d, uint32_t features)
{
    for (uint32_t f = 1; f < features; f++)
        for (uint32_t i = 0; i < d->e.width; i++)
            d->e.w.w_enc[(size_t)f * d->e.width + i] =
                d->e.w.w_enc[i] * (1 + 1e-7f * (float)(f * 7919 % 5));
}

/* Large terms that cancel out: float32 sums in another order give other values altogether. */
static void cancel(struct dictionary *d, float *x, uint32_t rows, struct rng *rng)
{
    uint32_t width = d->e.width;
    for (uint32_t r = 0; r < rows; r++) x[(size_t)r * width] = x[(size_t)r * width + 1] = 1000;
    for (uint32_t f = 0; f < d->e.features; f++) {
        float *w = d->e.w.w_enc + (size_t)f * width;
        w[0] = 300 * (float)rng_normal(rng);
        w[1] = -w[0];
    }
}

enum data { EVEN, OUTLIERS, SPOILT, INFINITE, CROWDED, CANCELLING };

static void check_topk(enum data data, uint32_t width, uint32_t features, uint32_t k, uint32_t rows,
                       const char *mode)
{
    struct sae *sae = new_sae(SAE_TOPK, width, features, k, rows, mode);
    struct dictionary *d = sae->state;
    float *x = malloc((size_t)rows * width * sizeof *x), *dots = malloc(features * sizeof *dots);
    float *out = malloc((size_t)rows * width * sizeof *x);
    float *f = malloc((size_t)rows * features * sizeof *f);
    struct candidate *list = malloc(features * sizeof *list);
    struct rng rng;
    rng_seed(&rng, width + features + k);
    for (uint32_t r = 0; r < rows; r++)
        fill(&rng, x + (size_t)r * width, width, data == EVEN ? 1 : 30);
    if (data == SPOILT || data == INFINITE) spoil(d, x, &rng);
    if (data == INFINITE) d->e.w.w_enc[0] = INFINITY;
    if (data == CANCELLING) cancel(d, x, rows, &rng);
    if (data == CROWDED) crowd(d, features);
    assert_int_equal(sae_forward(sae, x, rows, out, f), ERR_OK);
    for (uint32_t r = 0; r < rows; r++) {
        d->e.kernels->dots(dots, x + (size_t)r * width, width, d->e.w.w_enc, width, NULL, features);
        for (uint32_t i = 0; i < features; i++) {
            float value = dots[i] + d->e.w.b_enc[i];
            list[i] = (struct candidate){value > 0 ? value : 0, i}; /* NaN is never taken */
        }
        qsort(list, features, sizeof *list, best_first);
        for (uint32_t i = 0; i < features; i++) {
            float wanted = i < k ? list[i].value : 0, got = f[(size_t)r * features + list[i].index];
            if (memcmp(&wanted, &got, sizeof got) != 0)
                fail_msg(
                    "%s, data %d, D %u, F %u, K %u: row %u, place %u, feature %u: %.9g, not %.9g",
                    mode, data, width, features, k, r, i, list[i].index, got, wanted);
        }
    }
    free(x);
    free(dots);
    free(out);
    free(f);
    free(list);
    sae_free(sae);
}

static void topk_is_the_kernels_over_all_features(void **state)
{
    (void)state;
    for (int m = 0; m < 3; m++)
        for (enum data data = EVEN; data <= CANCELLING && runs(modes[m]); data++) {
            check_topk(data, 17, 300, 3, 65, modes[m]);
            check_topk(data, 100, 1000, 32, 70, modes[m]);
            check_topk(data, 64, 3000, 8, 300, modes[m]); /* lists are cut on the way */
            check_topk(data, 33, 257, 257, 64, modes[m]);
            check_topk(data, 20, 40, 5, 10, modes[m]); /* too small to quantize */
        }
}

/* AuxK's features are the dead ones alone, the largest of them, each under its own number. */
static void auxk_takes_the_largest_of_the_dead(void **state)
{
    (void)state;
    enum { WIDTH = 20, FEATURES = 900, ROWS = 70, K_AUX = 16 };
    struct sae_options o;
    struct sae *sae;
    struct sae_step step;
    struct rng rng;
    float x[ROWS * WIDTH], dot;
    sae_options_default(SAE_TOPK, &o);
    o.width = WIDTH;
    o.features = FEATURES;
    o.k = 4;
    o.k_aux = K_AUX;
    o.batch_rows = ROWS;
    o.learning_rate = 0;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    struct dictionary *d = sae->state;
    rng_seed(&rng, 1);
    for (int r = 0; r < ROWS; r++) fill(&rng, x + r * WIDTH, WIDTH, 3);
    for (uint32_t f = 0; f < FEATURES; f++) {
        d->e.w.b_enc[f] = 0.1f * (float)rng_normal(&rng);
        d->silent_rows[f] = f % 3 == 1 ? o.dead_window_rows : 0;
    }
    assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
    for (uint32_t r = 0; r < ROWS; r++) {
        uint32_t at = d->aux.start[r], larger = 0;
        float least = INFINITY;
        assert_int_equal(d->aux.count[r], K_AUX);
        for (uint32_t j = at; j < at + K_AUX; j++) {
            uint32_t f = d->aux.index[j];
            assert_int_equal(f % 3, 1);
            d->e.kernels->dots(&dot, x + r * WIDTH, WIDTH, d->e.w.w_enc + (size_t)f * WIDTH, 0,
                               NULL, 1);
            assert_true(fabsf(dot + d->e.w.b_enc[f] - d->aux.value[j]) < 1e-4f);
            least = fminf(least, d->aux.value[j]);
        }
        for (uint32_t f = 1; f < FEATURES; f += 3) {
            d->e.kernels->dots(&dot, x + r * WIDTH, WIDTH, d->e.w.w_enc + (size_t)f * WIDTH, 0,
                               NULL, 1);
            larger += dot + d->e.w.b_enc[f] > least + 1e-4f;
        }
        assert_true(larger < K_AUX);
    }
    sae_free(sae);
}

/* Trained side by side, what is screened in any way stays the same bit for bit. */
static void training_is_the_same_however_it_is_screened(void **state)
{
    (void)state;
    enum { WIDTH = 48, FEATURES = 512, ROWS = 256, STEPS = 12 };
    const enum sae_arch archs[] = {SAE_TOPK, SAE_BATCHTOPK, SAE_MATRYOSHKA};
    float *x = malloc((size_t)STEPS * ROWS * WIDTH * sizeof *x);
    struct rng rng;
    rng_seed(&rng, 3);
    for (uint32_t r = 0; r < STEPS * ROWS; r++) fill(&rng, x + (size_t)r * WIDTH, WIDTH, 20);
    for (int a = 0; a < 3; a++) {
        struct sae *first = NULL;
        for (int m = 0; m < 3 && runs(modes[m]); m++) {
            struct sae *sae = new_sae(archs[a], WIDTH, FEATURES, 8, ROWS, modes[m]);
            sae->options.dead_window_rows = 3 * ROWS; /* so that AuxK has something to do */
            struct sae_step step;
            for (uint32_t i = 0; i < STEPS; i++)
                assert_int_equal(
                    sae_train(sae, &(struct sae_batch){x + (size_t)i * ROWS * WIDTH, NULL, ROWS},
                              &step),
                    ERR_OK);
            assert_true(step.aux > 0);
            if (first) {
                struct dictionary *d = first->state, *e = sae->state;
                assert_memory_equal(d->e.w.all, e->e.w.all, d->e.w.count * sizeof(float));
                sae_free(sae);
            } else {
                first = sae;
            }
        }
        sae_free(first);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_pair_is_off_by_more_than_its_bound),
        cmocka_unit_test(the_bound_is_no_wider_than_it_must_be),
        cmocka_unit_test(all_kernels_quantize_alike),
        cmocka_unit_test(too_wide_is_told),
        cmocka_unit_test(lists_are_no_longer_than_all_features),
        cmocka_unit_test(topk_is_the_kernels_over_all_features),
        cmocka_unit_test(auxk_takes_the_largest_of_the_dead),
        cmocka_unit_test(training_is_the_same_however_it_is_screened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
