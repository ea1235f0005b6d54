/*
 * Autoencoders that see some of a stream's hooks: in one run, of a stream whose first and third hook
 * are the same rows, those that see the one are those that see the other, bit for bit; exports say
 * which hook it was; a resume with other hooks is refused.
 */
#include "tests/e2e/harness.h"

#include "base/err.h"
#include "base/rng.h"
#include "base/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECONDS = 120, ROWS = 40000, WIDTH = 8, LAYERS = 4 };

/* (rows, 4, 8): layers 0 and 2 are the same, of mean 2; so are 1 and 3, louder, of mean -32. */
static void write_rows(const char *path)
{
    static float values[ROWS * LAYERS * WIDTH];
    char header[128];
    struct rng rng;
    int n =
        sprintf(header + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d), }\n",
                ROWS, LAYERS, WIDTH);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)n;
    header[9] = 0;
    rng_seed(&rng, 4);
    for (int r = 0; r < ROWS; r++)
        for (int l = 0; l < LAYERS; l++)
            for (int i = 0; i < WIDTH; i++) {
                float *at = values + ((size_t)r * LAYERS + l) * WIDTH + i;
                float x = (float)(rng_normal(&rng) * (1 + i)) + 2;
                *at = l < 2 ? (l ? 9 * x - 50 : x) : at[-2 * WIDTH];
            }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(header, 1, (size_t)n + 10, file), (size_t)n + 10);
    assert_int_equal(fwrite(values, sizeof *values, ROWS * LAYERS * WIDTH, file),
                     ROWS * LAYERS * WIDTH);
    assert_int_equal(fclose(file), 0);
}

static const char saes[] =
    "{ arch: topk, features: 16, k: 2, hooks: [a, b, c, \"b, a\", \"b, c\", \"d, c\"] },\n"
    "{ arch: transcoder, features: 16, k: 2, hooks: [\"a, b\", \"c, b\", \"c, d\"] },\n"
    "{ name: clt, arch: clt, features: 16, lambda: 0.1, hooks: \"a, b, c, d\" },\n"
    "{ name: other, arch: clt, features: 16, lambda: 0.1, hooks: \"c, d, a, b\" },\n"
    "{ name: whole, arch: topk, features: 16, k: 2 }";

static void configure_as(struct run *run, const char *hooks, const char *more, const char *of)
{
    char path[HARNESS_PATH_BYTES + 16], text[HARNESS_PATH_BYTES + 1536], stream[256];
    snprintf(path, sizeof path, "%s/rows.npy", run->dir);
    write_rows(path);
    snprintf(text, sizeof text,
             "capture: { engine: files, files: [\"%s\"], file_axes: layers }\n"
             "sink: { size: 64MiB }\n"
             "trainer: { batch_rows: 256, checkpoint_seconds: 1, %s saes: [\n%s ] }\n",
             path, more, of);
    snprintf(stream, sizeof stream, "dtype: f32, hooks: [%s]", hooks);
    run_configure(run, stream, text);
}

static void configure(struct run *run, const char *more, const char *of)
{
    configure_as(run, "a, b, c, d", more, of);
}

/* The file of an export; `at` gives place and size of what is behind its header. */
static char *weights_of(const struct run *run, const char *sae, const char *file, size_t *from,
                        size_t *bytes)
{
    char name[256];
    uint64_t header;
    snprintf(name, sizeof name, "main/export/%s/%s", sae, file);
    char *text = run_text(run, name, bytes);
    if (!text) fail_msg("there is no %s", name);
    memcpy(&header, text, sizeof header);
    *from = 8 + header;
    return text;
}

static int are_equal(const struct run *run, const char *a, const char *b, const char *file)
{
    size_t from_a, from_b, bytes_a, bytes_b;
    char *one = weights_of(run, a, file, &from_a, &bytes_a);
    char *other = weights_of(run, b, file, &from_b, &bytes_b);
    assert_int_equal(bytes_a, bytes_b);
    int equal = memcmp(one + from_a, other + from_b, bytes_a - from_a) == 0;
    free(one);
    free(other);
    return equal;
}

static void has(const struct run *run, const char *file, const char *words)
{
    char name[256];
    snprintf(name, sizeof name, "main/export/%s", file);
    char *text = run_text(run, name, NULL);
    if (!text) fail_msg("there is no %s", name);
    harness_has(text, words);
    free(text);
}

static double fve_of(const struct run *run, const char *name)
{
    json_t *summary = run_summary(run, "main"), *sae;
    double fve = -1;
    size_t i;
    json_array_foreach(json_object_get(summary, "saes"), i, sae)
    {
        if (strcmp(json_string_value(json_object_get(sae, "name")), name) == 0)
            fve = json_number_value(json_object_get(sae, "fve"));
    }
    json_decref(summary);
    return fve;
}

static void equal_hooks_give_equal_weights(struct run *run, const char *more)
{
    static const char weights[] = "saelens/sae_weights.safetensors";
    static const char crossing[] = "hooks/weights.safetensors";
    configure(run, more, saes);
    int code = run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    assert_true(are_equal(run, "topk-16-k2-a", "topk-16-k2-c", weights));
    assert_false(are_equal(run, "topk-16-k2-a", "topk-16-k2-b", weights));
    assert_true(are_equal(run, "topk-16-k2-b-a", "topk-16-k2-b-c", weights));
    assert_true(are_equal(run, "topk-16-k2-b-a", "topk-16-k2-d-c", weights));
    assert_true(are_equal(run, "transcoder-16-k2-a-b", "transcoder-16-k2-c-b", crossing));
    assert_true(are_equal(run, "transcoder-16-k2-a-b", "transcoder-16-k2-c-d", crossing));
    assert_true(fve_of(run, "topk-16-k2-a") > 0.1);
    assert_true(fve_of(run, "topk-16-k2-a") == fve_of(run, "topk-16-k2-c"));
    assert_true(fve_of(run, "clt") == fve_of(run, "other"));
    has(run, "topk-16-k2-b/saelens/cfg.json", "\"hook_name\": \"b\"");
    has(run, "topk-16-k2-b/sparsify/b/cfg.json", "\"d_in\": 8");
    has(run, "transcoder-16-k2-c-b/hooks/cfg.json", "\"name\": \"c\"");
    has(run, "whole/saelens/cfg.json", "\"d_in\": 32");
}

static void by_scale(void **state)
{
    equal_hooks_give_equal_weights(*state, "");
}

static void by_whitening(void **state)
{
    equal_hooks_give_equal_weights(*state, "whiten: true,");
}

/* Of one that does not learn, b_dec is where it began, in the hook's own units: about its mean. */
static void biases_begin_at_the_hooks_own_mean(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES + 96];
    struct safetensors *file;
    float b_dec[WIDTH];
    configure(run, "stop_rows: 512,",
              "{ name: one, arch: topk, features: 16, k: 2, hooks: d, lr: 1e-12 }");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 0);
    snprintf(path, sizeof path, "%s/main/export/one/saelens/sae_weights.safetensors", run->state);
    assert_int_equal(safetensors_open(path, &file), ERR_OK);
    const struct safetensors_tensor *t = safetensors_find(file, "b_dec");
    assert_int_equal(safetensors_to_f32(t, 0, WIDTH, b_dec), ERR_OK);
    for (int i = 0; i < WIDTH; i++)
        if (!(fabsf(b_dec[i] + 32) < 10)) fail_msg("b_dec is %g, the mean -32", (double)b_dec[i]);
    safetensors_close(file);
}

/* `sluice export` writes what the trainer wrote, of some hooks, too. */
static void exports_are_the_trainers(void **state)
{
    struct run *run = *state;
    char dir[HARNESS_PATH_BYTES + 16];
    configure(run, "whiten: true, stop_rows: 2000,",
              "{ name: one, arch: topk, features: 16, k: 2, hooks: \"d, a\" },\n"
              "{ name: two, arch: topk, features: 16, k: 2, hooks: b }");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 0);
    snprintf(dir, sizeof dir, "%s/out", run->dir);
    int code =
        run_command(run, SECONDS, "sluice", "export", run->config, dir, "--to", "saelens", NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    for (int i = 0; i < 2; i++) {
        char from[96], to[96];
        snprintf(from, sizeof from, "main/export/%s/saelens/sae_weights.safetensors",
                 i ? "two" : "one");
        snprintf(to, sizeof to, "../out/%s/sae_weights.safetensors", i ? "two" : "one");
        run_same_files(run, from, to);
    }
    char *cfg = run_text(run, "../out/two/cfg.json", NULL);
    assert_non_null(strstr(cfg, "\"hook_name\": \"b\""));
    assert_null(strstr(cfg, "\"name\": \"a\"")); /* of what it does not see nothing is told */
    free(cfg);
}

static void a_resume_sees_what_it_saw(void **state)
{
    struct run *run = *state;
    configure(run, "reuse: 64,", "{ name: one, arch: topk, features: 16, k: 2, hooks: b }");
    pid_t up =
        run_start(run, "up", "sluice", "up", run->config, "--set", "trainer.batch_rows=16", NULL);
    run_await_drawn(run, "main", 50000, SECONDS);
    assert_int_equal(kill(up, SIGTERM), 0);
    assert_int_equal(run_wait(up, SECONDS), 0);
    int code = run_command(run, SECONDS, "sluice", "up", run->config, "--set",
                           "trainer.saes.0.hooks=d", NULL);
    if (code != 2) fail_msg("exit code %d: %s%s", code, run->out, run->err);
    harness_has(run->err, "saw the hooks b when this run began and would see d now");
    code = run_command(run, SECONDS, "sluice", "up", run->config, "--set",
                       "trainer.saes.0.hooks= b ", NULL);
    if (code != 0) fail_msg("exit code %d: %s%s", code, run->out, run->err);
}

static void refuses(struct run *run, const char *set, const char *words)
{
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, "--set", set, NULL),
                     2);
    harness_has(run->err, words);
}

static void what_is_no_hook_is_told_before_anything_runs(void **state)
{
    struct run *run = *state;
    configure(run, "", "{ name: one, arch: topk, features: 16, k: 2, hooks: b }");
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 0);
    refuses(run, "trainer.saes.0.hooks=e",
            "'e' is none of the stream's hooks; HINT: it has a, b, c, d");
    refuses(run, "trainer.saes.0.hooks=a,a", "'a' is there twice");
    refuses(run, "trainer.saes=[{arch: transcoder, features: 16, k: 2, hooks: a}]", "there is 1");
    refuses(run, "trainer.saes=[{arch: clt, features: 16, hooks: 'a,b,c'}]", "there are 3");
    refuses(run, "trainer.saes=[{arch: clt, features: 15}]", "multiple");
}

static const char layers[] =
    "blocks.0.hook_resid_mid, blocks.0.hook_mlp_out, resid_mid.1, mlp_out.1";
static const char of_layers[] =
    "{ name: first, arch: transcoder, activation: l1, features: 16,\n"
    "  hooks: \"blocks.0.hook_resid_mid, blocks.0.hook_mlp_out\" },\n"
    "{ name: second, arch: transcoder, activation: l1, features: 16,\n"
    "  hooks: \"resid_mid.1, mlp_out.1\" },\n"
    "{ name: wider, arch: transcoder, activation: l1, features: 24,\n"
    "  hooks: \"resid_mid.1, mlp_out.1\" },\n"
    "{ name: crossed, arch: transcoder, activation: l1, features: 16,\n"
    "  hooks: \"blocks.0.hook_resid_mid, mlp_out.1\" },\n"
    "{ name: largest, arch: transcoder, features: 16, k: 2,\n"
    "  hooks: \"resid_mid.1, mlp_out.1\" },\n"
    "{ name: clt, arch: clt, features: 32, lambda: 0.1 },\n"
    "{ name: later, arch: clt, features: 16, hooks: \"resid_mid.1, mlp_out.1\" }";

/* Runs `sluice export CONFIG DIR --to circuit-tracer --sae NAMES`; its exit code. */
static int trace(struct run *run, const char *dir, const char *names)
{
    char place[HARNESS_PATH_BYTES + 64];
    snprintf(place, sizeof place, "%s/%s", run->dir, dir);
    return run_command(run, SECONDS, "sluice", "export", run->config, place, "--to",
                       "circuit-tracer", "--sae", names, NULL);
}

static void traces(struct run *run, const char *dir, const char *names)
{
    int code = trace(run, dir, names);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

static void traces_not(struct run *run, const char *names, const char *words)
{
    assert_int_equal(trace(run, "no", names), 2);
    harness_has(run->err, words);
}

static void layers_become_one_folder_for_circuit_tracer(void **state)
{
    struct run *run = *state;
    configure_as(run, layers, "stop_rows: 2000,", of_layers);
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 0);
    traces(run, "set", "second,first");
    char *text = run_text(run, "../set/config.yaml", NULL);
    assert_non_null(text);
    assert_non_null(strstr(text, "model_kind: \"transcoder_set\""));
    assert_non_null(strstr(text, "feature_input_hook: \"hook_resid_mid\""));
    assert_non_null(strstr(text, "feature_output_hook: \"hook_mlp_out\""));
    free(text);
    for (int layer = 0; layer < 2; layer++) {
        char path[HARNESS_PATH_BYTES + 64];
        struct safetensors *file;
        snprintf(path, sizeof path, "%s/set/layer_%d.safetensors", run->dir, layer);
        if (safetensors_open(path, &file) != ERR_OK) fail_msg("%s", err_text());
        assert_int_equal(safetensors_find(file, "W_enc")->shape[0], 16);
        safetensors_close(file);
    }
    traces(run, "clt", "clt");
    run_same_files(run, "../clt/W_enc_1.safetensors",
                   "main/export/clt/circuit-tracer/W_enc_1.safetensors");
    run_same_files(run, "../clt/W_dec_0.safetensors",
                   "main/export/clt/circuit-tracer/W_dec_0.safetensors");
    run_same_files(run, "../clt/config.yaml", "main/export/clt/circuit-tracer/config.yaml");
    traces(run, "all", "clt,first,second");
    run_same_files(run, "../all/clt/W_dec_0.safetensors", "../clt/W_dec_0.safetensors");
    run_same_files(run, "../all/layer_1.safetensors", "../set/layer_1.safetensors");
    has(run, "later/hooks/cfg.json", "\"architecture\": \"clt\"");
    assert_null(run_text(run, "main/export/later/circuit-tracer/config.yaml", NULL));
    traces(run, "pattern", "[fs]*d,fir?t"); /* second, and first */
    run_same_files(run, "../pattern/layer_0.safetensors", "../set/layer_0.safetensors");
    run_same_files(run, "../pattern/layer_1.safetensors", "../set/layer_1.safetensors");
    traces_not(run, "first,x*", "--sae x*: ");
    traces_not(run, "second", "there is none of layer 0");
    traces_not(run, "first,second,wider", "wider is another transcoder of layer 1");
    traces_not(
        run, "first,wider",
        "wider, of layer 1 (hook_resid_mid to hook_mlp_out, 24 features, 16 values), is not");
    traces_not(run, "crossed", "are of different layers");
    traces_not(run, "first,largest", "largest (transcoder) cannot be told in circuit-tracer's");
    traces_not(run, "later", "numbers layers from 0 on");
    traces_not(run, "first,third", "--sae third: ");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, NULL), 0);
    if (strstr(run->err, "left alone")) fail_msg("%s", run->err); /* each export is known */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_scale, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(by_whitening, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(biases_begin_at_the_hooks_own_mean, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(exports_are_the_trainers, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(layers_become_one_folder_for_circuit_tracer, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(a_resume_sees_what_it_saw, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_hook_is_told_before_anything_runs, run_set_up,
                                        run_tear_down),
    };
    return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
