/*
 * `sluice top` in a real terminal (tmux): what it shows fits 80 x 24 and uses 200 x 50, agrees with
 * what the broker says, says when that is silent, and leaves the terminal as it was.
 */
#include "tests/e2e/harness.h"

#include "base/err.h"
#include "base/fileio.h"
#include "tests/e2e/fetch.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECONDS = 60, ANSWER_MS = 10000 };

static const char pipeline[] = "capture: { engine: synthetic, producers: 2,\n"
                               "  synthetic: { features: 32, width: 16, rows: 1000000000 } }\n"
                               "sink: { size: 64MiB }\n"
                               "trainer: { batch_rows: 256, eval_rows: 4000, reuse: 1,\n"
                               "  saes: [ { name: narrow, arch: topk, features: 32, k: 4 },\n"
                               "          { name: wide, arch: topk, features: 64, k: 4 } ] }\n";

static pid_t up;
static int terminals; /* each has a server of its own: one that ends may still be there */

/* tmux with these arguments on a server of the test's own; its exit code. */
static int tmux(struct run *run, const char *arguments)
{
    char command[6 * HARNESS_PATH_BYTES];
    snprintf(command, sizeof command,
             "unset TMUX NO_COLOR; LC_ALL=C.UTF-8 exec tmux -f /dev/null -S '%s/tmux%d' %s",
             run->dir, terminals, arguments);
    return run_command(run, SECONDS, "/bin/sh", "-c", command, NULL);
}

/* A shell in a terminal of so many columns and rows: `sluice top` in an environment, then how it
 * ended. The shell stays, so that what it left can be seen. */
static void open_top(struct run *run, int columns, int rows, const char *environment)
{
    char program[HARNESS_PATH_BYTES], arguments[4 * HARNESS_PATH_BYTES];
    run_program("sluice", program);
    tmux(run, "kill-server"); /* the last one; none at first */
    terminals++;
    snprintf(arguments, sizeof arguments,
             "new-session -d -x %d -y %d \"echo before; env %s '%s' top '%s'; echo ended \\$?; "
             "exec sleep 1000\"",
             columns, rows, environment, program, run->config);
    if (tmux(run, arguments) != 0) fail_msg("tmux: %s", run->err);
}

static const char *screen(struct run *run, const char *options)
{
    char arguments[64];
    snprintf(arguments, sizeof arguments, "capture-pane -p %s", options);
    if (tmux(run, arguments) != 0) fail_msg("tmux: %s", run->err);
    return run->out;
}

/* Until the screen has these words, or has them no more. */
static const char *await(struct run *run, const char *words, int is_there)
{
    double end = harness_seconds() + SECONDS;
    while (harness_seconds() < end) {
        if ((strstr(screen(run, ""), words) != NULL) == is_there) return run->out;
        harness_sleep(0.1);
    }
    fail_msg("the screen %s '%s' after %d s:\n%s", is_there ? "has no" : "still has", words,
             SECONDS, run->out);
    return NULL;
}

static void keys(struct run *run, const char *which)
{
    char arguments[64];
    snprintf(arguments, sizeof arguments, "send-keys %s", which);
    assert_int_equal(tmux(run, arguments), 0);
}

/* The one that runs in the terminal. */
static pid_t top_process(struct run *run)
{
    char command[2 * HARNESS_PATH_BYTES];
    snprintf(command, sizeof command, "pgrep -f 'sluice top %s$'", run->config);
    if (run_command(run, SECONDS, "/bin/sh", "-c", command, NULL) != 0) fail_msg("no sluice top");
    return (pid_t)strtol(run->out, NULL, 10);
}

static int lines_of(const char *text)
{
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

/* The overview of /api/status; the caller decrefs. */
static json_t *overview(const struct run *run)
{
    char file[2 * HARNESS_PATH_BYTES], *address, *body;
    size_t bytes;
    snprintf(file, sizeof file, "%s/http/broker", run->state);
    if (file_read(file, 256, &address, &bytes)) fail_msg("%s", err_text());
    address[strcspn(address, "\r\n")] = '\0';
    if (fetch(address, "/api/status", ANSWER_MS, &body, &bytes)) fail_msg("no /api/status");
    json_t *status = json_loads(body, 0, NULL), *its = json_object_get(status, "overview");
    json_incref(its);
    json_decref(status);
    free(address);
    free(body);
    return its;
}

/* "1.23 M", "12,345" behind `what` on the screen, as a number; NAN: there is none. */
static double shown(const char *text, const char *what)
{
    const char *at = strstr(text, what);
    char digits[32] = "";
    size_t used = 0;
    if (!at) return NAN;
    for (at += strlen(what); *at == ' '; at++) continue;
    for (; (*at >= '0' && *at <= '9') || *at == '.' || *at == ','; at++)
        if (*at != ',' && used + 1 < sizeof digits) digits[used++] = *at;
    static const char units[] = " kMG";
    const char *unit = *at == ' ' && at[1] ? strchr(units + 1, at[1]) : NULL;
    double number = strtod(digits, NULL);
    for (long i = unit ? unit - units : 0; i > 0; i--) number *= 1000;
    return number;
}

static double number_of(const json_t *its, const char *name)
{
    return json_number_value(json_object_get(its, name));
}

struct totals {
    double stored, trained, capacity;
};

static struct totals totals_shown(struct run *run)
{
    const char *text = screen(run, ""), *line = strstr(text, "  trained ");
    const char *slabs = strstr(text, " slabs");
    struct totals t = {NAN, NAN, NAN};
    if (!line || !slabs) return t;
    t.trained = shown(line, "trained ");
    while (slabs > text && *slabs != '\n') slabs--;
    t.capacity = shown(slabs, " of ");
    while (line > text && *line != '\n') line--; /* rates are above */
    t.stored = shown(line, "stored ");
    return t;
}

static int is_between(double shown, double before, double after)
{
    return shown >= 0.99 * before && shown <= 1.01 * after; /* three digits are shown */
}

/* What is shown lies between what the broker said before and what it says after. Looked at again
 * where it does not: a terminal can be read in the middle of what is written to it. */
static void numbers_are_the_brokers(struct run *run)
{
    double end = harness_seconds() + SECONDS;
    int is_same = 0;
    while (!is_same && harness_seconds() < end) {
        json_t *before = overview(run);
        harness_sleep(2); /* the screen is drawn each second */
        struct totals t = totals_shown(run);
        json_t *after = overview(run);
        is_same = t.capacity == number_of(after, "buffer_capacity_slabs") &&
                  is_between(t.stored, number_of(before, "stream_rows"),
                             number_of(after, "stream_rows")) &&
                  is_between(t.trained, number_of(before, "trained_rows"),
                             number_of(after, "trained_rows"));
        json_decref(before);
        json_decref(after);
    }
    if (!is_same) fail_msg("these are not the broker's numbers:\n%s", screen(run, ""));
}

static void shows_all_of_it(void **state)
{
    struct run *run = *state;
    open_top(run, 80, 24, "TERM=screen-256color");
    await(run, "main/wide", 1);
    await(run, "capture-1", 1);
    const char *text = await(run, "trainer-main        ok", 1);
    assert_int_equal(lines_of(text), 24);
    harness_has(text, " sluice top  test");
    harness_has(text, "RESTARTS\n");
    harness_has(text, "broker              ok");
    harness_has(text, "LAST ERRORS");
    harness_has(text, "\n q quit");
    harness_has(text, "\xe2\x96");              /* a block character */
    harness_has(screen(run, "-e"), "\033[32m"); /* a colour */
    numbers_are_the_brokers(run);
    assert_int_equal(tmux(run, "resize-window -x 200 -y 50"), 0);
    await(run, "RESTARTS ", 1); /* more stands behind it */
    text = await(run, "LOSS CURVE", 1);
    assert_int_equal(lines_of(text), 50);
    keys(run, "h");
    await(run, "so does Ctrl-C", 1);
    keys(run, "x");
    await(run, "trainer-main", 1);
    assert_int_equal(tmux(run, "resize-window -x 60 -y 16"), 0);
    await(run, "processes 1-", 1); /* it knows of the new size */
    keys(run, "End");
    await(run, "trainer-main", 1);
    keys(run, "Home");
    await(run, "capture-0", 1);
    keys(run, "p");
    await(run, "paused", 1);
    keys(run, "p");
    await(run, "paused", 0);
    keys(run, "q");
    text = await(run, "ended 0", 1);
    harness_has(text, "before"); /* the screen of before is back */
}

static void a_broker_that_is_silent_is_told(void **state)
{
    static const char silent[] = "no answer from the broker for ";
    struct run *run = *state;
    open_top(run, 80, 24, "TERM=screen");
    await(run, "main/wide", 1);
    run_hold(run, "broker");
    double first = shown(await(run, silent, 1), silent);
    double end = harness_seconds() + SECONDS;
    while (!(shown(screen(run, ""), silent) >= first + 2)) { /* each second is one more */
        if (harness_seconds() > end) fail_msg("it stays at %g s:\n%s", first, run->out);
        harness_sleep(0.1);
    }
    run_let_go(run, "broker");
    await(run, "no answer", 0);
    assert_true(run_kill(run, "broker")); /* its next life */
    run_await_process(run, "broker", SECONDS);
    const char *text = await(run, "trainer-main        ok", 1);
    for (int i = 0; i < 600 && !(shown(text, "captured") > 0); i++) {
        harness_sleep(0.1);
        text = screen(run, "");
    }
    assert_true(shown(text, "captured") > 0);
    kill(top_process(run), SIGTERM);
    harness_has(await(run, "ended 0", 1), "before");
}

static void plain_where_that_is_wanted(void **state)
{
    struct run *run = *state;
    open_top(run, 80, 24, "TERM=screen-256color NO_COLOR=1 LC_ALL=C");
    await(run, "main/wide", 1);
    await(run, "trainer-main        ok", 1);
    harness_has_not(screen(run, "-e"), "\033[32m");
    for (const char *p = screen(run, ""); *p; p++)
        if ((unsigned char)*p >= 0x80) fail_msg("not ASCII:\n%s", run->out);
    keys(run, "C-c");
    harness_has(await(run, "ended 0", 1), "before");
}

static void refuses_what_is_no_terminal(void **state)
{
    struct run *run = *state;
    assert_int_equal(run_command(run, SECONDS, "sluice", "top", run->config, NULL), 2);
    harness_has(run->err, "HINT: `sluice status FILE`");
    assert_string_equal(run->out, "");
    open_top(run, 80, 24, "TERM=nonsense");
    harness_has(await(run, "ended 2", 1), "knows no terminal 'nonsense'");
    open_top(run, 80, 24, "TERM=dumb");
    harness_has(await(run, "ended 2", 1), "HINT");
    open_top(run, 80, 24, "-u TERM");
    harness_has(await(run, "ended 2", 1), "TERM is not set");
}

static int begin(void **state)
{
    if (run_set_up(state)) return -1;
    struct run *run = *state;
    run_configure(run, "", pipeline);
    up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "main", 5000, SECONDS);
    return 0;
}

static int end(void **state)
{
    tmux(*state, "kill-server");
    kill(up, SIGTERM);
    run_wait(up, SECONDS);
    return run_tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_all_of_it),
        cmocka_unit_test(a_broker_that_is_silent_is_told),
        cmocka_unit_test(plain_where_that_is_wanted),
        cmocka_unit_test(refuses_what_is_no_terminal),
    };
    return cmocka_run_group_tests_name("sluice top", tests, begin, end);
}
