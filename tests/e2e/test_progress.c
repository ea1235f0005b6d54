/*
 * The line of `sluice up`: its numbers are those of now each second, and where the broker gives no
 * new ones it says so.
 */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

enum { SECONDS = 60, LINES = 8 };

static const char pipeline[] =
    "capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 1000000000 } }\n"
    "sink: { size: 16MiB }\n"
    "trainer: { batch_rows: 256, reuse: 1, saes: [ { arch: topk, features: 64, k: 4 } ] }\n";

static const char silence[] = "no answer from the broker for ";

static void await_training(const struct run *run)
{
    run_await_drawn(run, "main", 10000, SECONDS);
}

/* The lines told so far, `last` of the end; the caller frees what they lie in. */
static char *lines_of(const struct run *run, char *last[], int count)
{
    char *text = run_text(run, "../up.out", NULL);
    assert_non_null(text);
    for (int i = count - 1; i >= 0; i--) {
        char *end = strrchr(text, '\n');
        if (!end) fail_msg("no %d lines: %s", count, text);
        *end = '\0';
        char *begin = strrchr(text, '\n');
        last[i] = begin ? begin + 1 : text;
    }
    return text;
}

static double trained_rows(const char *line)
{
    double rows = 0;
    const char *at = strstr(line, "| trained ");
    if (!at) return -1;
    for (at += strlen("| trained "); *at && *at != ' '; at++)
        if (*at >= '0' && *at <= '9') rows = 10 * rows + (*at - '0');
    return rows;
}

static void await_line(const struct run *run, const char *words, int is_there)
{
    for (double end = harness_seconds() + SECONDS; harness_seconds() < end; harness_sleep(0.2)) {
        char *line[1], *text = lines_of(run, line, 1);
        int has = strstr(line[0], words) != NULL;
        free(text);
        if (has == is_there) return;
    }
    fail_msg("the line %s '%s' after %d s", is_there ? "has no" : "still has", words, SECONDS);
}

static void each_line_is_of_now(void **state)
{
    struct run *run = *state;
    char *line[LINES];
    run_configure(run, "dtype: f32", pipeline);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, "--set", "up.progress=true", NULL);
    await_training(run);
    harness_sleep(LINES + 4);
    char *text = lines_of(run, line, LINES);
    int same = 0;
    for (int i = 1; i < LINES; i++) same += trained_rows(line[i]) <= trained_rows(line[i - 1]);
    /* A report may come just after one line and just before the next. */
    if (same > LINES / 2)
        fail_msg("%d of %d lines tell nothing new, the last of them '%s'", same, LINES - 1,
                 line[LINES - 1]);
    free(text);
    kill(up, SIGTERM);
    run_wait(up, SECONDS);
}

static void silence_is_told(void **state)
{
    struct run *run = *state;
    run_configure(run, "dtype: f32", pipeline);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, "--set", "up.progress=true", NULL);
    await_training(run);
    await_line(run, silence, 0);
    pid_t broker = run_process(run, "broker");
    assert_true(broker > 0);
    kill(broker, SIGSTOP);
    await_line(run, silence, 1);
    kill(broker, SIGCONT);
    await_line(run, silence, 0);
    kill(up, SIGTERM);
    run_wait(up, SECONDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_line_is_of_now, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(silence_is_told, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
