/*
 * Streams of two hooks by `sluice up`: a transcoder that tells the second hook from the first, and
 * a crosscoder of both.
 *
 * Setting: 80,000 rows, each of 3 of 64 features, which point along directions of their own in each
 * hook of 32 values; from a safetensors file, so that what is there to be found is known.
 */
#include "base/rng.h"
#include "base/safetensors.h"
#include "tests/e2e/harness.h"
#include "tests/truth.h"
#include "tests/unit/sae/helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 80000, WIDTH = 32, TRUE = 64, FEATURES = 96, ACTIVE = 3 };

static float before[TRUE * WIDTH], after[TRUE * WIDTH];

static void write_rows(const char *path)
{
    struct rng rng;
    rng_seed(&rng, 9);
    random_directions(&rng, before, TRUE, WIDTH);
    random_directions(&rng, after, TRUE, WIDTH);
    float *x = calloc((size_t)ROWS * 2 * WIDTH, sizeof *x);
    assert_non_null(x);
    for (size_t r = 0; r < ROWS; r++)
        for (int a = 0; a < ACTIVE; a++) {
            size_t f = rng_below(&rng, TRUE) * WIDTH;
            float weight = 1 + (float)rng_unit(&rng), *row = x + r * 2 * WIDTH;
            for (size_t i = 0; i < WIDTH; i++) {
                row[i] += weight * before[f + i];
                row[WIDTH + i] += 3 * weight * after[f + i];
            }
        }
    struct safetensors_tensor tensor = {
        "rows", SAFETENSORS_F32, 2, {ROWS, 2 * WIDTH}, x, (uint64_t)ROWS * 2 * WIDTH * 4};
    assert_int_equal(safetensors_write(path, &tensor, 1, NULL, 0), 0);
    free(x);
}

/* MMCS of the true directions in an exported decoder. */
static double found(const struct run *run, const char *sae, const char *file, const char *tensor,
                    const float *truth)
{
    char path[2 * HARNESS_PATH_BYTES];
    static float w_dec[FEATURES * WIDTH];
    struct safetensors *weights;
    double mmcs = -1;
    snprintf(path, sizeof path, "%s/main/export/%s/%s", run->state, sae, file);
    if (safetensors_open(path, &weights) != 0) fail_msg("cannot open %s", path);
    const struct safetensors_tensor *t = safetensors_find(weights, tensor);
    assert_non_null(t);
    assert_int_equal(safetensors_values(t), FEATURES * WIDTH);
    assert_int_equal(safetensors_to_f32(t, 0, FEATURES * WIDTH, w_dec), 0);
    safetensors_close(weights);
    assert_int_equal(truth_mmcs(truth, TRUE, w_dec, FEATURES, WIDTH, &mmcs), 0);
    return mmcs;
}

static void configure(struct run *run, const char *hooks, const char *saes)
{
    char rest[1024 + HARNESS_PATH_BYTES];
    snprintf(rest, sizeof rest,
             "capture: { engine: files, files: [%s/rows.safetensors], file_sequence_rows: 64,\n"
             "           max_norm_ratio: 0 }\n"
             "sink: { size: 32MiB }\n"
             "trainer: { reuse: 4, batch_rows: 1024,\n  saes: [%s] }\n",
             run->dir, saes);
    run_configure(run, hooks, rest);
}

static void transcoders_and_crosscoders_find_the_true_features(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/rows.safetensors", run->dir);
    write_rows(path);
    configure(
        run, "dtype: f32, hooks: [before, after]",
        "{ name: one, arch: transcoder, features: 96, k: 3, lr: 5e-3 },"
        "{ name: two, arch: transcoder, activation: batchtopk, features: 96, k: 3, lr: 5e-3 },"
        "{ name: three, arch: crosscoder, features: 96, lr: 3e-3, lambda: 2 },"
        "{ name: four, arch: crosscoder, activation: topk, features: 96, k: 3, lr: 3e-3 },"
        "{ name: five, arch: transcoder, skip: true, features: 96, k: 3, lr: 5e-3 }");
    if (run_command(run, 120, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    json_t *summary = run_summary(run, "main");
    assert_non_null(summary);
    for (size_t i = 0; i < 5; i++) {
        json_t *sae = json_array_get(json_object_get(summary, "saes"), i);
        double fve = json_number_value(json_object_get(sae, "fve"));
        print_message("%s: FVE %.4f, L0 %.2f\n", json_string_value(json_object_get(sae, "name")),
                      fve, json_number_value(json_object_get(sae, "l0")));
        assert_true(fve > 0.85);
    }
    json_decref(summary);
    const struct {
        const char *sae, *file, *tensor;
        const float *truth;
    } wanted[] = {
        {"one", "sparsify/before/sae.safetensors", "W_dec", after},
        {"one", "hooks/weights.safetensors", "W_dec.0", after},
        {"two", "saelens/sae_weights.safetensors", "W_dec", after},
        {"three", "hooks/weights.safetensors", "W_dec.0", before},
        {"three", "hooks/weights.safetensors", "W_dec.1", after},
        {"four", "hooks/weights.safetensors", "W_dec.0", before},
        {"four", "hooks/weights.safetensors", "W_dec.1", after},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        double mmcs = found(run, wanted[i].sae, wanted[i].file, wanted[i].tensor, wanted[i].truth);
        print_message("%s %s: MMCS %.3f\n", wanted[i].sae, wanted[i].tensor, mmcs);
        assert_true(mmcs > 0.9);
    }
    assert_non_null(strstr(run->out, "export/three/hooks"));
}

static void other_numbers_of_hooks_are_named(void **state)
{
    struct run *run = *state;
    configure(run, "hooks: [before]", "{ arch: transcoder, features: 96, k: 3 }");
    assert_int_equal(run_command(run, 20, "sluice", "check", run->config, NULL), 2);
    assert_non_null(strstr(run->err, "a transcoder needs two stream.hooks"));
    configure(run, "hooks: [before]", "{ arch: crosscoder, features: 96 }");
    assert_int_equal(run_command(run, 20, "sluice", "check", run->config, NULL), 2);
    assert_non_null(strstr(run->err, "a crosscoder needs two stream.hooks or more"));
    configure(run, "hooks: [before, after]", "{ arch: topk, skip: true, features: 96, k: 3 }");
    assert_int_equal(run_command(run, 20, "sluice", "check", run->config, NULL), 2);
    assert_non_null(strstr(run->err, "skip: means nothing to topk"));
    configure(run, "hooks: [before, after]", "{ arch: l1, activation: topk, features: 96, k: 3 }");
    assert_int_equal(run_command(run, 20, "sluice", "check", run->config, NULL), 2);
    assert_non_null(strstr(run->err, "activation: means nothing to l1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transcoders_and_crosscoders_find_the_true_features),
        cmocka_unit_test(other_numbers_of_hooks_are_named),
    };
    return cmocka_run_group_tests_name("hooks", tests, run_set_up, run_tear_down);
}
