/* One life per role: who comes second is refused, and what the first has written stays. */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 60 };

static void a_second_one_leaves_the_first_alone(void **state)
{
    static const struct {
        const char *program, *page, *words;
    } roles[] = {
        {"sluice-broker", "http/broker", "front"},
        {"sluice-sink", "http/sink", "buffer"},
        {"sluice-trainer", "http/trainer-main", "another trainer is at work as consumer 'main'"}};
    struct run *run = *state;
    run_configure(run, "dtype: f32",
                  "capture: { engine: synthetic,\n"
                  "           synthetic: { features: 64, width: 16, rows: 100000000, seed: 1 } }\n"
                  "sink: { size: 32MiB }\n"
                  "trainer: { batch_rows: 256, checkpoint_seconds: 1,\n"
                  "           saes: [ { name: rows, arch: count } ] }\n");
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "main", 20000, SECONDS);
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        char *before = run_text(run, roles[i].page, NULL);
        assert_non_null(before);
        int code = run_command(run, SECONDS, roles[i].program, run->config, NULL);
        if (code == 0) fail_msg("%s: a second one came to its end", roles[i].program);
        harness_has(run->err, roles[i].words);
        char *after = run_text(run, roles[i].page, NULL);
        if (!after) fail_msg("%s took away %s", roles[i].program, roles[i].page);
        assert_string_equal(before, after);
        free(before);
        free(after);
    }
    assert_int_equal(kill(up, SIGINT), 0);
    assert_int_equal(run_wait(up, SECONDS), 0);
}

/* Nothing of it is started: its sink would take the first one's stream, till its broker has
 * failed. */
static void a_second_pipeline_of_the_same_addresses_starts_nothing(void **state)
{
    struct run *run = *state;
    char rest[512], folder[HARNESS_PATH_BYTES + 64];
    snprintf(rest, sizeof rest,
             "broker: { insecure_tcp: true, front: tcp://127.0.0.1:%d, back: tcp://127.0.0.1:%d }\n"
             "capture: { engine: synthetic,\n"
             "           synthetic: { features: 64, width: 16, rows: 2000000, seed: 1 } }\n"
             "sink: { size: 32MiB }\n"
             "trainer: { batch_rows: 256, saes: [ { name: rows, arch: count } ] }\n",
             harness_free_port(), harness_free_port());
    run_configure(run, "dtype: f32", rest);
    snprintf(folder, sizeof folder, "stream.run_dir=%s/second", run->dir);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "main", 20000, SECONDS);
    run_hold(run, "trainer-main"); /* so that the first one is there when the second comes */
    int code = run_command(run, SECONDS, "sluice", "up", run->config, "--set", folder, NULL);
    run_let_go(run, "trainer-main");
    if (code != 1) fail_msg("exit code %d: %s", code, run->err);
    harness_has(run->err, "is in use by another program");
    char *log = run_text(run, "../second/log/sink.log", NULL);
    if (log) fail_msg("its sink was started: %s", log);
    assert_int_equal(run_wait(up, 240), 0);
    assert_true(run_counts_are(run, "main", 2000000, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_second_one_leaves_the_first_alone, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(a_second_pipeline_of_the_same_addresses_starts_nothing,
                                        run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("roles", tests, NULL, NULL);
}
