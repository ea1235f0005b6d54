/*
 * The whole pipeline by `sluice up` on rows whose directions are known, and whether they were
 * found.
 *
 * Setting: 128 directions in 64 dimensions, 4 of them a row on average, firing rates by Zipf 0.5,
 * no noise, 300,000 rows with reuse 2 through a buffer of 32 MiB; topk, batchtopk and matryoshka
 * with 192 features, K 8, rate 3e-3, and jumprelu and gated.
 */
#include "base/safetensors.h"
#include "tests/e2e/harness.h"
#include "tests/truth.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 300000, REUSE = 2 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  synthetic: { features: 128, width: 64, l0: 4, rows: 300000, sequence_rows: 64,\n"
    "               truth_file: truth.safetensors }\n"
    "sink: { size: 32MiB }\n"
    "trainer:\n"
    "  reuse: 2\n"
    "  batch_rows: 1024\n"
    "  eval_seconds: 1\n"
    "  saes: [ { name: one, arch: topk, features: 192, k: 8, lr: 3e-3 },\n"
    "          { name: two, arch: l1, features: 192, lr: 1e-3, lambda: 2,\n"
    "            dead_window_steps: 90 },\n"
    "          { name: three, arch: batchtopk, features: 192, k: 8, lr: 3e-3 },\n"
    "          { name: four, arch: matryoshka, features: 192, k: 8, levels: 2, lr: 3e-3 },\n"
    "          { name: five, arch: jumprelu, features: 192, lambda: 0.5, lr: 3e-3 },\n"
    "          { name: six, arch: gated, features: 192, lambda: 4, lr: 3e-3 } ]\n";

static float *load(const char *path, const char *name, uint32_t *count, uint32_t *width)
{
    struct safetensors *file;
    if (safetensors_open(path, &file) != 0) fail_msg("cannot open %s", path);
    const struct safetensors_tensor *t =
        name ? safetensors_find(file, name) : safetensors_tensor(file, 0);
    assert_non_null(t);
    assert_int_equal(t->dims, 2);
    uint64_t values = safetensors_values(t);
    float *data = malloc(values * sizeof *data);
    assert_non_null(data);
    assert_int_equal(safetensors_to_f32(t, 0, values, data), 0);
    *count = (uint32_t)t->shape[0];
    *width = (uint32_t)t->shape[1];
    safetensors_close(file);
    return data;
}

static double found_share(const struct run *run, const char *sae)
{
    char path[2 * HARNESS_PATH_BYTES];
    uint32_t true_count, found_count, width;
    double mmcs = -1;
    snprintf(path, sizeof path, "%s/truth.safetensors", run->state);
    float *truth = load(path, "directions", &true_count, &width);
    snprintf(path, sizeof path, "%s/main/export/%s/saelens/sae_weights.safetensors", run->state,
             sae);
    float *found = load(path, "W_dec", &found_count, &width);
    assert_int_equal(truth_mmcs(truth, true_count, found, found_count, width, &mmcs), 0);
    free(truth);
    free(found);
    return mmcs;
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void finds_the_true_features(void **state)
{
    struct run *run = *state;
    run_configure(run, "dtype: f32", pipeline);
    assert_int_equal(run_command(run, 20, "sluice", "check", run->config, NULL), 0);
    assert_int_not_equal(access(run->state, F_OK), 0); /* which writes nothing */
    if (run_command(run, 120, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    json_t *summary = run_summary(run, "main");
    assert_non_null(summary);
    json_t *one = json_array_get(json_object_get(summary, "saes"), 0);
    double held = number(summary, "held_out_rows"), mmcs = found_share(run, "one");
    print_message("MMCS %.3f, FVE %.4f, entropy %.3f of the ideal\n", mmcs, number(one, "fve"),
                  number(json_object_get(summary, "shuffle"), "entropy_ratio"));
    assert_true(mmcs >= 0.9);
    assert_true(number(one, "fve") > 0.9);
    static const char *const kin[] = {"three", "four", "five", "six"};
    for (size_t i = 0; i < 4; i++) { /* a threshold in place of the batch: as sparse as trained */
        json_t *sae = json_array_get(json_object_get(summary, "saes"), 2 + i);
        double found = found_share(run, kin[i]);
        print_message("%s: MMCS %.3f, FVE %.4f, L0 %.2f\n", kin[i], found, number(sae, "fve"),
                      number(sae, "l0"));
        assert_true(found >= 0.9);
        assert_true(number(sae, "fve") > 0.9);
        assert_true(number(sae, "l0") > 4 && number(sae, "l0") < 10);
    }
    assert_true(held >= 16384);
    assert_true(number(summary, "rows") == (ROWS - held) * REUSE);
    assert_true(number(json_object_get(summary, "shuffle"), "entropy_ratio") > 0.98);
    json_t *two = json_array_get(json_object_get(summary, "saes"), 1);
    assert_true(number(one, "dead_window_rows") == floor(number(summary, "planned_rows") / 10));
    assert_true(number(two, "dead_window_rows") == 90 * 1024);
    json_decref(summary);
    char *log = run_text(run, "log/trainer-main.log", NULL);
    assert_non_null(log ? strstr(log, "sae=two arch=l1 dead_window_rows=92160") : NULL);
    free(log);
    /* What a person sees. */
    assert_non_null(strstr(run->out, " to 92,160 rows"));
    assert_non_null(strstr(run->out, "is finished"));
    assert_non_null(strstr(run->out, "export/one/saelens"));
    assert_non_null(strstr(run->out, "load_from_disk"));
}

static void run_again_says_that_it_is_finished(void **state)
{
    struct run *run = *state;
    double begin = harness_seconds();
    assert_int_equal(run_command(run, 20, "sluice", "up", run->config, NULL), 0);
    assert_true(harness_seconds() - begin < 5);
    assert_non_null(strstr(run->out, "finished already"));
    assert_int_equal(run_command(run, 20, "sluice", "status", run->config, NULL), 0);
    assert_non_null(strstr(run->out, "is finished"));
}

static void stop_rows_ends_it_early(void **state)
{
    struct run *run = *state;
    int code =
        run_command(run, 60, "sluice", "up", run->config, "--fresh", "--set",
                    "trainer.stop_rows=100000", "--set", "capture.synthetic.rows=100000000", NULL);
    if (code != 0) fail_msg("%s", run->err);
    json_t *summary = run_summary(run, "main");
    assert_non_null(summary);
    assert_true(number(summary, "rows") == 100000);
    assert_true(number(summary, "planned_rows") == 100000);
    assert_true(number(summary, "skipped_rows") > 0); /* what the buffer had left */
    json_decref(summary);
}

static void a_changed_key_is_an_error(void **state)
{
    struct run *run = *state;
    int code =
        run_command(run, 20, "sluice-trainer", run->config, "--set", "trainer.reuse=3", NULL);
    assert_int_equal(code, 2);
    assert_non_null(strstr(run->err, "trainer.reuse was 2"));
    assert_non_null(strstr(run->err, "is 3 now"));
    assert_non_null(strstr(run->err, "--fresh"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_true_features),
        cmocka_unit_test(run_again_says_that_it_is_finished),
        cmocka_unit_test(a_changed_key_is_an_error),
        cmocka_unit_test(stop_rows_ends_it_early),
    };
    return cmocka_run_group_tests_name("quick synthetic", tests, run_set_up, run_tear_down);
}
