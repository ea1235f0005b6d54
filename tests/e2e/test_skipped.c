/*
 * A row so large that its loss is not finite: each step that draws it is skipped and counted, what
 * is checkpointed then is as if it had not been drawn, and a trainer that is killed after such a
 * step and taken up again ends with the same weights bit for bit as one that never stopped.
 */
#include "tests/e2e/harness.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 40000, WIDTH = 32, POISONED = 21000, REUSE = 8, SECONDS = 240 };

/* Rows by a fixed rule, one of which holds 1e30: finite, so nobody rejects it, but its square is
 * not. */
static void write_rows(const char *path)
{
    static float row[WIDTH];
    char header[128];
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    int n = snprintf(header, sizeof header,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", ROWS, WIDTH);
    fprintf(file, "\x93NUMPY\x01%c\x76%c%-117.*s\n", 0, 0, n, header);
    for (int r = 0; r < ROWS; r++) {
        for (int i = 0; i < WIDTH; i++) row[i] = (float)sin(r * 0.37 * (i + 1) + i * i);
        if (r == POISONED) row[5] = 1e30f;
        assert_int_equal(fwrite(row, sizeof row, 1, file), 1);
    }
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    char text[HARNESS_PATH_BYTES + 1024], path[HARNESS_PATH_BYTES + 16];
    if (run_set_up(state)) return -1;
    struct run *run = *state;
    snprintf(path, sizeof path, "%s/rows.npy", run->dir);
    write_rows(path);
    snprintf(text, sizeof text,
             "capture:\n"
             "  engine: files\n"
             "  files: [%s]\n"
             "  file_sequence_rows: 32\n"
             "  measure_contexts: 4\n"
             "  max_norm_ratio: 0\n"
             "sink: { size: 32MiB }\n"
             "trainer:\n"
             "  consumers: []\n"
             "  reuse: %d\n"
             "  batch_rows: 256\n"
             "  checkpoint_seconds: 1\n"
             "  eval_rows: 2000\n"
             "  saes: [ { name: one, arch: topk, features: 1536, k: 8, lr: 3e-3 },\n"
             "          { name: two, arch: l1, features: 512, lr: 1e-3 } ]\n",
             path, REUSE);
    run_configure(run, "dtype: f32", text);
    if (run_command(run, SECONDS, "sluice", "up", run->config, NULL) == 0) return 0;
    print_message("%s\n", run->err);
    return -1;
}

static pid_t replay(struct run *run, const char *consumer)
{
    char buffer[HARNESS_PATH_BYTES + 16];
    snprintf(buffer, sizeof buffer, "%s/buffer", run->state);
    return run_start(run, consumer, "sluice-trainer", run->config, "--replay", buffer, "--consumer",
                     consumer, "--set", "trainer.threads=2", NULL);
}

static int says(const struct run *run, const char *consumer, const char *first, const char *then)
{
    char file[64];
    snprintf(file, sizeof file, "../%s.out", consumer);
    char *text = run_text(run, file, NULL), *at = text ? strstr(text, first) : NULL;
    int found = at && strstr(at, then);
    free(text);
    return found;
}

static void assert_same_weights(const struct run *run, const char *sae)
{
    char *data[2];
    size_t bytes[2];
    static const char *const consumers[] = {"through", "killed"};
    for (int i = 0; i < 2; i++) {
        char below[128];
        snprintf(below, sizeof below, "%s/export/%s/saelens/sae_weights.safetensors", consumers[i],
                 sae);
        data[i] = run_text(run, below, &bytes[i]);
        assert_non_null(data[i]);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(data[0], data[1], bytes[0]);
    free(data[0]);
    free(data[1]);
}

static void assert_skipped(const struct run *run, const char *consumer)
{
    json_t *summary = run_summary(run, consumer), *sae;
    size_t i;
    assert_non_null(summary);
    json_array_foreach(json_object_get(summary, "saes"), i, sae)
    {
        assert_int_equal(json_integer_value(json_object_get(sae, "skipped_steps")), REUSE);
        assert_true(isfinite(json_number_value(json_object_get(sae, "fve"))));
    }
    json_decref(summary);
}

static void a_trainer_killed_after_a_skipped_step_goes_on_as_if_not(void **state)
{
    struct run *run = *state;
    pid_t through = replay(run, "through");
    assert_int_equal(run_wait(through, SECONDS), 0);
    pid_t killed = replay(run, "killed");
    double until = harness_seconds() + SECONDS;
    while (!says(run, "killed", "step left out", "msg=checkpoint ")) {
        if (harness_seconds() > until) fail_msg("no checkpoint after a skipped step");
        harness_sleep(0.01);
    }
    kill(killed, SIGKILL);
    assert_int_equal(run_wait(killed, 60), HARNESS_SIGNALLED);
    json_t *early = run_summary(run, "killed");
    assert_null(early); /* else it was through already, and nothing is shown */
    killed = replay(run, "killed");
    assert_int_equal(run_wait(killed, SECONDS), 0);
    assert_true(says(run, "killed", "msg=resumed ", "msg=checkpoint "));
    assert_skipped(run, "through");
    assert_skipped(run, "killed");
    assert_same_weights(run, "one");
    assert_same_weights(run, "two");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trainer_killed_after_a_skipped_step_goes_on_as_if_not),
    };
    return cmocka_run_group_tests_name("skipped", tests, set_up, run_tear_down);
}
