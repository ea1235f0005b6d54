/*
 * Whitened runs: the same rows trained on with and without, killed in the middle, resumed, refused
 * where the key changed or the stream is too short, and told by exports and `check`.
 */
#include "sae/checkpoint.h"
#include "tests/e2e/harness.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 32, TRUE_FEATURES = 64, SECONDS = 120, ROWS = 120000 };

/* Rows of sparse features, seen through axes of which each is louder than the next: 100 to 1. */
static void write_rows(const struct run *run, uint32_t rows)
{
    char path[HARNESS_PATH_BYTES + 32], header[129];
    static float row[WIDTH], direction[TRUE_FEATURES][WIDTH];
    uint64_t seed = 88172645463325252u;
    snprintf(path, sizeof path, "%s/rows.npy", run->dir);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    memset(header, ' ', 128);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf(header + 10, 119,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%u, %d), }", rows, WIDTH);
    header[10 + n] = ' ';
    header[127] = '\n';
    fwrite(header, 1, 128, file);
#define NEXT()                                                                                     \
    (seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17,                                    \
     (double)(seed >> 11) / 9007199254740992.0)
    for (int f = 0; f < TRUE_FEATURES; f++)
        for (int i = 0; i < WIDTH; i++) direction[f][i] = (float)(NEXT() - 0.5);
    for (uint32_t r = 0; r < rows; r++) {
        memset(row, 0, sizeof row);
        for (int k = 0; k < 3; k++) {
            int f = (int)(NEXT() * TRUE_FEATURES);
            double strength = 0.5 + NEXT();
            for (int i = 0; i < WIDTH; i++) row[i] += (float)strength * direction[f][i];
        }
        for (int i = 0; i < WIDTH; i++) row[i] = row[i] * (float)pow(0.01, i / 31.0) + 0.2f;
        fwrite(row, sizeof *row, WIDTH, file);
    }
    assert_int_equal(fclose(file), 0);
}

static void configure(struct run *run, uint32_t rows, const char *size, const char *consumers)
{
    char text[2048];
    write_rows(run, rows);
    snprintf(text, sizeof text,
             "capture: { engine: files, files: [\"%s/rows.npy\"], file_sequence_rows: 16 }\n"
             "sink: { size: %s }\n"
             "trainer:\n"
             "  batch_rows: 256\n"
             "  threads: 2\n"
             "  reuse: 3\n"
             "  consumers: [%s]\n"
             "  checkpoint_seconds: 1\n"
             "  eval_rows: 2500\n"
             "  saes: [ { name: one, arch: topk, features: 128, k: 3, lr: 1e-3 },\n"
             "          { name: two, arch: batchtopk, features: 128, k: 3, lr: 1e-3 } ]\n",
             run->dir, size, consumers);
    run_configure(run, "dtype: f32", text);
}

static double of_sae(const json_t *summary, size_t i, const char *key)
{
    const json_t *saes = json_object_get(summary, "saes");
    return json_number_value(json_object_get(json_array_get(saes, i), key));
}

/* The transform in the newest checkpoint, all of it; the caller frees it. */
static char *transform(const struct run *run, const char *consumer, size_t *bytes)
{
    char dir[HARNESS_PATH_BYTES + 32];
    struct checkpoint *c;
    unsigned damaged;
    static const char *const names[] = {"whiten", "whiten.mean", "whiten.to", "whiten.back"};
    char *all = NULL;
    snprintf(dir, sizeof dir, "%s/%s", run->state, consumer);
    double until = harness_seconds() + SECONDS;
    while (checkpoint_newest(dir, &c, &damaged) != 0) {
        assert_true(harness_seconds() < until);
        harness_sleep(0.02);
    }
    *bytes = 0;
    for (int i = 0; i < 4; i++) {
        const void *data;
        size_t count;
        assert_int_equal(checkpoint_find(c, names[i], &data, &count), 0);
        all = realloc(all, *bytes + count);
        assert_non_null(all);
        memcpy(all + *bytes, data, count);
        *bytes += count;
    }
    checkpoint_close(c);
    return all;
}

static pid_t up(struct run *run, const char *whiten)
{
    return run_start(run, "up", "sluice", "up", run->config, "--set", whiten, NULL);
}

/* A trainer is stopped until its first checkpoint is due: it writes it as soon as it goes on, with most
 * of the rows before it, however fast it is. */
static void wait_for_checkpoint_time(pid_t trainer)
{
    assert_int_equal(kill(trainer, SIGSTOP), 0);
    harness_sleep(1.1);
    assert_int_equal(kill(trainer, SIGCONT), 0);
}

static double plain_fve[2];

/* Both FVE are of the same rows in the same units. */
static void a_whitened_run_survives_a_kill(void **state)
{
    struct run *run = *state;
    size_t bytes, bytes_after;
    configure(run, ROWS, "4MiB", "main");
    pid_t pid = up(run, "trainer.whiten=true");
    run_await_drawn(run, "main", 20000, SECONDS);
    wait_for_checkpoint_time(run_await_process(run, "trainer-main", SECONDS));
    char *before = transform(run, "main", &bytes);
    assert_int_equal(run_kill(run, "trainer-main"), 1);
    run_await_drawn(run, "main", 100000, SECONDS);
    assert_int_equal(kill(pid, SIGINT), 0);
    assert_int_equal(run_wait(pid, SECONDS), 0);
    /* Back to unwhitened: refused, by name. */
    assert_int_equal(run_command(run, SECONDS, "sluice-trainer", run->config, NULL), 2);
    assert_non_null(strstr(run->err, "trainer.whiten was true when this run began and is false"));
    assert_int_equal(run_wait(up(run, "trainer.whiten=true"), SECONDS), 0);
    char *after = transform(run, "main", &bytes_after);
    assert_int_equal(bytes, bytes_after);
    assert_memory_equal(before, after, bytes);
    free(before);
    free(after);
    json_t *summary = run_summary(run, "main");
    const json_t *whitening = json_object_get(summary, "whitening");
    assert_string_equal(json_string_value(json_object_get(whitening, "method")), "zca");
    assert_true(json_integer_value(json_object_get(whitening, "rows")) >= 4 * WIDTH);
    printf("whitened: FVE %.4f, %.4f\n", of_sae(summary, 0, "fve"), of_sae(summary, 1, "fve"));
    for (size_t i = 0; i < 2; i++) assert_true(of_sae(summary, i, "fve") > plain_fve[i] + 0.03);
    json_decref(summary);
    char *cfg = run_text(run, "main/export/one/saelens/cfg.json", NULL);
    assert_non_null(cfg);
    assert_non_null(strstr(cfg, "\"whitening\""));
    assert_non_null(strstr(cfg, "\"floored_directions\""));
    free(cfg);
}

static void a_run_without_is_as_ever(void **state)
{
    struct run *run = *state;
    configure(run, ROWS, "4MiB", "main");
    assert_int_equal(run_wait(up(run, "trainer.whiten=false"), SECONDS), 0);
    json_t *summary = run_summary(run, "main");
    assert_null(json_object_get(summary, "whitening"));
    printf("plain: FVE %.4f, %.4f\n", of_sae(summary, 0, "fve"), of_sae(summary, 1, "fve"));
    for (size_t i = 0; i < 2; i++) plain_fve[i] = of_sae(summary, i, "fve");
    json_decref(summary);
    char *cfg = run_text(run, "main/export/one/saelens/cfg.json", NULL);
    assert_non_null(cfg);
    assert_null(strstr(cfg, "whitening"));
    free(cfg);
}

static pid_t replay(struct run *run, const char *consumer)
{
    char buffer[HARNESS_PATH_BYTES + 16];
    snprintf(buffer, sizeof buffer, "%s/buffer", run->state);
    return run_start(run, consumer, "sluice-trainer", run->config, "--replay", buffer, "--consumer",
                     consumer, "--set", "trainer.whiten=true", NULL);
}

static void killed_or_not_the_weights_are_the_same(void **state)
{
    struct run *run = *state;
    size_t bytes[2];
    configure(run, ROWS, "64MiB", "");
    assert_int_equal(run_wait(up(run, "trainer.reuse=3"), SECONDS), 0);
    assert_int_equal(run_wait(replay(run, "whole"), SECONDS), 0);
    pid_t pid = replay(run, "killed");
    run_await_metric(run, "trainer-killed", "sluice_trainer_rows_total", 1);
    wait_for_checkpoint_time(pid);
    free(transform(run, "killed", bytes)); /* waits for a checkpoint */
    assert_null(run_summary(run, "killed"));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(run_wait(pid, SECONDS), HARNESS_SIGNALLED);
    assert_int_equal(run_wait(replay(run, "killed"), SECONDS), 0);
    char *a = run_text(run, "whole/export/one/saelens/sae_weights.safetensors", &bytes[0]);
    char *b = run_text(run, "killed/export/one/saelens/sae_weights.safetensors", &bytes[1]);
    assert_true(a && b && bytes[0] == bytes[1]);
    assert_memory_equal(a, b, bytes[0]);
    free(a);
    free(b);
}

static void a_short_stream_is_refused(void **state)
{
    struct run *run = *state;
    configure(run, 120, "4MiB", "main");
    assert_true(run_wait(up(run, "trainer.whiten=true"), SECONDS) > 0);
    char *said = NULL, path[HARNESS_PATH_BYTES + 16];
    size_t room = 0;
    snprintf(path, sizeof path, "%s/up.out", run->dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(getdelim(&said, &room, '\0', file) > 0);
    fclose(file);
    if (!strstr(said, "too few to whiten 32 values by: 128 are needed")) fail_msg("%s", said);
    free(said);
}

static void check_foretells_the_memory(void **state)
{
    struct run *run = *state;
    configure(run, 4000, "4MiB", "main");
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, "--set",
                                 "trainer.whiten=true", NULL),
                     0);
    assert_non_null(strstr(run->out, "of it to whiten, about"));
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 0);
    assert_null(strstr(run->out, "whiten"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_without_is_as_ever, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_whitened_run_survives_a_kill, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(killed_or_not_the_weights_are_the_same, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(a_short_stream_is_refused, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(check_foretells_the_memory, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
