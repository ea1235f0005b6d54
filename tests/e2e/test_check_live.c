/*
 * What a monitoring system is told of a run, by `sluice check --live` and by the broker's /readyz:
 * well while it is, and by name who is not: a trainer or a sink that is stopped, a stream that
 * stands still, one that is not there. And what `sluice status` lists without a FILE.
 */
#include "tests/e2e/harness.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 120 };

static const char pipeline[] =
    "stream: { name: watched }\n" /* where runs lie by themselves */
    "capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 1000000000 } }\n"
    "sink: { size: 8MiB }\n"
    "trainer: { batch_rows: 256, eval_rows: 4000, reuse: 1,\n"
    "  saes: [ { arch: topk, features: 32, k: 4 } ] }\n";

static int check(struct run *run)
{
    /* Features of so small a dictionary die; what is tested here are processes. */
    return run_command(run, SECONDS, "sluice", "check", "--live", run->config, "--warning",
                       "dead=off", "--critical", "silent=7", NULL);
}

/* Until the verdict is this one, and says so. */
static void await(struct run *run, int code, const char *words)
{
    double end = harness_seconds() + SECONDS;
    while (harness_seconds() < end) {
        int its = check(run);
        if (its == code && strstr(run->out, words)) return;
        harness_sleep(0.2);
    }
    fail_msg("no %d with '%s' after %d s: %s%s", code, words, SECONDS, run->out, run->err);
}

/* Until the broker's page has these words, whatever its status. */
static void await_page(struct run *run, const char *path, const char *words)
{
    char command[2 * HARNESS_PATH_BYTES];
    double end = harness_seconds() + SECONDS;
    snprintf(command, sizeof command, "exec curl -s -m 5 \"http://$(cat '%s/http/broker')%s\"",
             run->state, path);
    while (harness_seconds() < end) {
        int code = run_command(run, SECONDS, "/bin/sh", "-c", command, NULL);
        if (code == 0 && strstr(run->out, words)) return;
        harness_sleep(0.3);
    }
    fail_msg("%s does not say '%s': %s", path, words, run->out);
}

static void what_cannot_be_told_is_unknown(void **state)
{
    struct run *run = *state;
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", "--live", NULL), 3);
    assert_memory_equal(run->out, "SLUICE UNKNOWN - ", 17);
    assert_int_equal(
        run_command(run, SECONDS, "sluice", "check", "/nonexistent.yaml", "--live", NULL), 3);
    assert_memory_equal(run->out, "SLUICE UNKNOWN - ", 17);
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", "--live", run->config,
                                 "--critical", "nonsense=1", NULL),
                     3);
    harness_has(run->out, "HINT: NAME=NUMBER");
    assert_int_equal(
        run_command(run, SECONDS, "sluice", "check", "--live", run->config, "--bogus", NULL), 3);
    assert_int_equal(check(run), 2);
    harness_has(run->out, "SLUICE CRITICAL - stream watched: not running");
    assert_string_equal(run->err, "");
}

/* Who may not ask knows nothing of the stream, which may be well. */
static void who_may_not_ask_knows_nothing(void **state)
{
    struct run *run = *state;
    char loop[2 * HARNESS_PATH_BYTES], key[3 * HARNESS_PATH_BYTES];
    snprintf(loop, sizeof loop, "%s/loop", run->dir);
    assert_int_equal(symlink(loop, loop), 0); /* closed to root too */
    snprintf(key, sizeof key, "stream.run_dir=%s/run", loop);
    assert_int_equal(
        run_command(run, SECONDS, "sluice", "check", "--live", run->config, "--set", key, NULL), 3);
    harness_has(run->out, "SLUICE UNKNOWN - cannot reach the broker's socket ");
    assert_int_equal(
        run_command(run, SECONDS, "sluice", "status", run->config, "--json", "--set", key, NULL),
        1);
    assert_string_equal(run->out, "");
    harness_has(run->err, "cannot reach the broker's socket ");
    snprintf(key, sizeof key, "broker.keys=%s", loop);
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", "--live", run->config, "--set",
                                 "broker.front=tcp://127.0.0.1:9", "--set", key, NULL),
                     3);
    harness_has(run->out, "SLUICE UNKNOWN - cannot read the key file ");
}

static void a_list_names_the_stream(struct run *run, const char *state, const char *page)
{
    assert_int_equal(run_command(run, SECONDS, "sluice", "status", NULL), 0);
    harness_has(run->out, "\nwatched");
    harness_has(run->out, state);
    harness_has(run->out, page);
    harness_has(run->out, run->state);
    assert_int_equal(run_command(run, SECONDS, "sluice", "status", "--json", NULL), 0);
    json_t *list = json_loads(run->out, 0, NULL);
    json_t *one = json_array_get(json_object_get(list, "streams"), 0);
    assert_string_equal(json_string_value(json_object_get(one, "name")), "watched");
    assert_string_equal(json_string_value(json_object_get(one, "state")), state);
    assert_string_equal(json_string_value(json_object_get(one, "folder")), run->state);
    json_decref(list);
}

/* `sluice status FILE --json` is JSON of a run that does not run, too. */
static void status_says(struct run *run, int code, const char *state)
{
    assert_int_equal(run_command(run, SECONDS, "sluice", "status", run->config, "--json", NULL),
                     code);
    json_t *status = json_loads(run->out, 0, NULL);
    if (!status) fail_msg("no JSON: %s", run->out);
    assert_string_equal(json_string_value(json_object_get(status, "state")), state);
    json_decref(status);
}

static void the_truth_is_told(void **state)
{
    struct run *run = *state;
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    await(run, 0, " trained_rows_per_second=");
    harness_has(run->out, "SLUICE OK - stream watched: captured ");
    a_list_names_the_stream(run, "running", "http://127.0.0.1:");
    assert_int_equal(run_command(run, SECONDS, "sluice", "status", run->config, NULL), 0);
    harness_has(run->out, "http://127.0.0.1:");
    assert_int_equal(run_command(run, SECONDS, "sluice", "top", NULL), 2); /* the one, and then */
    harness_has(run->err, "draws on a terminal");
    await_page(run, "/readyz", "ok");

    run_hold(run, "trainer-main");
    await(run, 2, "trainer-main is silent for ");
    await_page(run, "/readyz", "trainer-main was last heard of ");
    harness_has(run->out, "the stream stands still: ");
    await(run, 2, "broker says for ");
    run_let_go(run, "trainer-main");
    await_page(run, "/readyz", "ok");
    await(run, 0, "SLUICE OK");

    run_hold(run, "sink");
    await(run, 2, "sink is silent for ");
    await_page(run, "/readyz", "no sink of the stream");
    run_let_go(run, "sink");
    await(run, 0, "SLUICE OK");

    run_hold(run, "broker");
    assert_int_equal(check(run), 2);
    harness_has(run->out, "its broker does not answer");
    status_says(run, 1, "no answer");
    run_let_go(run, "broker");
    await(run, 0, "SLUICE OK");

    kill(up, SIGTERM);
    run_wait(up, SECONDS);
    assert_int_equal(check(run), 2);
    harness_has(run->out, "not running");
    a_list_names_the_stream(run, "stopped", "-");
    status_says(run, 1, "stopped");
    assert_int_equal(run_command(run, SECONDS, "sluice", "top", NULL), 1);
    harness_has(run->err, "no stream runs here");
}

static void an_end_is_no_fault(void **state)
{
    struct run *run = *state;
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, "--fresh", "--set",
                                 "capture.synthetic.rows=60000", NULL),
                     0);
    /* Nobody is waited for: the quickest of three, since a machine may be busy. */
    double quickest = INFINITY;
    for (int i = 0; i < 3; i++) {
        double begun = harness_seconds();
        assert_int_equal(check(run), 0);
        harness_has(run->out, "SLUICE OK - stream watched: finished");
        quickest = fmin(quickest, harness_seconds() - begun);
    }
    if (quickest > 4.5) fail_msg("it takes %.1f s each time", quickest);
    a_list_names_the_stream(run, "finished", "-");
    status_says(run, 0, "finished");
}

/* Processes that end one after another, under a broker that stays: their last reports say that they
 * were through, so nobody misses them. */
static void who_is_through_is_not_missed(void **state)
{
    struct run *run = *state;
    /* Few: a process that lives for less than a second is heard to its end, too (guard.h). */
    static const char rows[] = "capture.synthetic.rows=20000";
    run_configure(run, "", strstr(pipeline, "capture:"));
    pid_t broker = run_start(run, "broker", "sluice-broker", run->config, "--set", rows, NULL);
    pid_t sink = run_start(run, "sink", "sluice-sink", run->config, "--set", rows, NULL);
    pid_t capture = run_start(run, "capture", "sluice-capture", run->config, "--set", rows, NULL);
    pid_t trainer = run_start(run, "trainer", "sluice-trainer", run->config, "--set", rows, NULL);
    assert_int_equal(run_wait(capture, SECONDS), 0);
    assert_int_equal(run_wait(trainer, SECONDS), 0);
    assert_int_equal(run_wait(sink, SECONDS), 0);
    harness_sleep(7); /* silent for longer than 5 s, when a process is missed */
    if (check(run) != 0) fail_msg("%s", run->out);
    harness_has(run->out, "SLUICE OK - stream test: ");
    kill(broker, SIGTERM);
    assert_int_equal(run_wait(broker, SECONDS), 0);
}

static int set_up(void **state)
{
    if (run_set_up(state)) return -1;
    struct run *run = *state;
    run_write(run, "run.yaml", pipeline);
    snprintf(run->state, sizeof run->state, "%s/sluice/watched", getenv("XDG_STATE_HOME"));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_told_is_unknown),
        cmocka_unit_test(who_may_not_ask_knows_nothing),
        cmocka_unit_test(the_truth_is_told),
        cmocka_unit_test(an_end_is_no_fault),
        cmocka_unit_test_setup_teardown(who_is_through_is_not_missed, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("check --live", tests, set_up, run_tear_down);
}
