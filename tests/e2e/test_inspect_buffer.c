/*
 * `sluice inspect --from-buffer` beside a run that goes on: the stream's counts close to the row, as
 * they do without it, also where it is killed while it reads; and of a run that was stopped.
 */
#include "tests/e2e/harness.h"

#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    SECONDS = 180,
    ROWS = 200000,
    MANY_ROWS = 300000,
    REUSE = 2,
    FEATURES = 64,
    LEFT_ROWS = 40000
};

static void configure(struct run *run, int rows)
{
    char text[1024];
    snprintf(text, sizeof text,
             "capture:\n"
             "  engine: synthetic\n"
             "  synthetic: { features: 64, width: 32, l0: 4, rows: %d, sequence_rows: 64 }\n"
             "sink: { size: 4MiB }\n"
             "trainer: { batch_rows: 256, reuse: %d, checkpoint_seconds: 1, saes: [\n"
             "  { name: count, arch: count },\n"
             "  { name: dictionary, arch: topk, features: %d, k: 4, lr: 1e-3 } ] }\n",
             rows, REUSE, FEATURES);
    run_configure(run, "dtype: bf16", text);
}

static int inspect(struct run *run, const char *to, const char *tokens)
{
    char index[HARNESS_PATH_BYTES + 32];
    snprintf(index, sizeof index, "%s/%s", run->dir, to);
    return run_command(run, SECONDS, "sluice", "inspect", run->config, index, "--from-buffer",
                       "--sae", "dictionary", tokens ? "--tokens" : NULL, tokens, NULL);
}

/* Its answer, and an index that opens. */
static void is_index(struct run *run, int code, const char *to)
{
    char index[HARNESS_PATH_BYTES + 32];
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    harness_has(run->out, "64 features of dictionary");
    harness_has(run->err, "slabs of the buffer");
    snprintf(index, sizeof index, "%s/%s", run->dir, to);
    code = run_command(run, SECONDS, "sluice", "features", "list", index, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

static void has_checkpoint(const struct run *run)
{
    char pattern[HARNESS_PATH_BYTES + 64];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s/main/checkpoint-*.sluice", run->state);
    for (double end = harness_seconds() + 60; glob(pattern, 0, NULL, &found) != 0;) {
        globfree(&found);
        if (harness_seconds() > end) fail_msg("no checkpoint");
        harness_sleep(0.02);
    }
    globfree(&found);
}

/* Nobody reads the buffer by its name afterwards. */
static void is_no_consumer(const struct run *run)
{
    char command[HARNESS_PATH_BYTES + 64], text[256] = "";
    snprintf(command, sizeof command, "ls %s/buffer/CONSUMERS", run->state);
    FILE *pipe = popen(command, "r");
    size_t n = fread(text, 1, sizeof text - 1, pipe);
    pclose(pipe);
    text[n] = '\0';
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, "main.", 5) != 0) fail_msg("%s is there", line);
}

static int has_rows_left(const struct run *run)
{
    return REUSE * run_metric(run, "sink", "sluice_stream_rows") >=
           (double)run_drawn(run, "main") + LEFT_ROWS;
}

/* The trainer is held, with a checkpoint, and the buffer has rows that it has not drawn. One that is
 * stopped while it reads keeps the pages of slabs that are freed, and the sink waits for it: then it is
 * stopped anew. */
static void hold_with_rows_left(const struct run *run)
{
    run_await_drawn(run, "main", 2000, SECONDS);
    run_hold(run, "capture-0"); /* so that the trainer is not through before its first checkpoint */
    has_checkpoint(run);
    for (int tries = 0; tries < 10; tries++) {
        run_hold(run, "trainer-main");
        run_let_go(run, "capture-0");
        for (double end = harness_seconds() + 3; harness_seconds() < end; harness_sleep(0.05))
            if (has_rows_left(run)) return;
        run_let_go(run, "trainer-main");
        harness_sleep(0.05);
    }
    fail_msg("no rows come while the trainer is stopped");
}

static void a_run_is_not_disturbed(void **state)
{
    struct run *run = *state;
    char index[HARNESS_PATH_BYTES + 32], name[16];
    configure(run, ROWS);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    hold_with_rows_left(run);
    int code = inspect(run, "index", NULL);
    run_let_go(run, "trainer-main");
    is_index(run, code, "index");
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "killed-%d", i);
        snprintf(index, sizeof index, "%s/%s", run->dir, name);
        pid_t pid = run_start(run, name, "sluice", "inspect", run->config, index, "--from-buffer",
                              "--sae", "dictionary", "--tokens", "4000000", NULL);
        harness_sleep(0.1 + 0.1 * i);
        kill(pid, SIGKILL);
        run_wait(pid, 10);
    }
    assert_int_equal(run_wait(up, SECONDS), 0);
    assert_int_equal(run_counts_are(run, "main", ROWS, REUSE), 1);
    is_no_consumer(run);
}

static void a_stopped_run_is_looked_at(void **state)
{
    struct run *run = *state;
    configure(run, MANY_ROWS); /* it is stopped long before its end */
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    hold_with_rows_left(run);
    kill(up, SIGINT);
    run_await_said(run, "up.out", "sluice: stopping", 1);
    harness_sleep(0.3); /* it has been told to end before it goes on */
    run_let_go(run, "trainer-main");
    assert_int_equal(run_wait(up, SECONDS), 0);
    char *said = run_text(run, "../up.out", NULL);
    harness_has(said, "stopped; run the same command again to go on");
    free(said);
    is_index(run, inspect(run, "index", NULL), "index");
    int code = inspect(run, "index", "2000"); /* refused before any row is waited for */
    assert_int_equal(code, 2);
    harness_has(run->err, "other options");
    code = run_command(run, SECONDS, "sluice", "up", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    assert_int_equal(run_counts_are(run, "main", MANY_ROWS, REUSE), 1);
    code = inspect(run, "late", NULL);
    assert_int_equal(code, 2);
    harness_has(run->err, "the buffer is empty; HINT");
}

static void what_has_no_buffer_is_refused(void **state)
{
    struct run *run = *state;
    configure(run, ROWS);
    int code = inspect(run, "index", NULL);
    assert_int_equal(code, 2);
    harness_has(run->err, "HINT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_is_not_disturbed, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_stopped_run_is_looked_at, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_buffer_is_refused, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
