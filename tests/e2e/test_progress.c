/*
 * The line of `sluice up`: its numbers are those of now each second, and where the broker gives no
 * new ones it says so. Before a row is trained it says why there is none, and on a terminal it fits.
 */
#include "cli/line.h"
#include "tests/e2e/harness.h"

#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* ---- before the first row ---- */

static const char *const named[] = {
    "starting the processes",    "opening the engine",
    "measuring the rows' norms", "waits for",
    "opening the autoencoders",  "filling the buffer: ",
    "counting the corpus's",     "the first training step",
    "evaluating held-out rows",  "writing a checkpoint",
};

static int names_a_reason(const char *line)
{
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strstr(line, named[i])) return 1;
    return 0;
}

/* Half of the rows, which are too few to begin with: more are awaited, until another host has
 * them. */
static const char half_is_too_few[] = "capture: { engine: synthetic, producers: 2, rows: 200000, "
                                      "synthetic: { features: 32, width: 16, "
                                      "rows: 300000 } }\n"
                                      "sink: { size: 64MiB }\n"
                                      "trainer: { batch_rows: 256, min_rows: 120000, saes: [ { "
                                      "arch: topk, features: 4096, k: 4 } ] }\n";

/* Each line tells of rows that were trained, or why there is none. */
static void each_line_before_training_has_its_reason(void **state)
{
    struct run *run = *state;
    run_configure(run, "dtype: f32", half_is_too_few);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, "--set", "up.progress=true",
                         "--only", "broker,sink,trainer,capture-0", NULL);
    run_await_said(run, "up.out", "filling the buffer: 7", 1);
    assert_true(run_metric(run, "trainer-main", "sluice_trainer_phase{phase=\"loading\"}") == 0);
    pid_t other = run_start(run, "other", "sluice-capture", run->config, "--producer", "1", NULL);
    run_await_said(run, "up.out", "| trained ", 1);
    kill(up, SIGTERM);
    run_wait(up, SECONDS);
    run_wait(other, SECONDS);
    char *text = run_text(run, "../up.out", NULL), *rest = text;
    assert_non_null(text);
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '\033'));
    harness_has_not(text, "trained 0 ");
    harness_has(text, "live page: http://127.0.0.1:");
    harness_has(text, "| training begins with 120,000 rows (trainer.min_rows)");
    for (char *line; (line = strsep(&rest, "\n"));)
        if (line[0] >= '0' && line[0] <= '9' && trained_rows(line) <= 0 && !names_a_reason(line) &&
            !strstr(line, "ending, "))
            fail_msg("no row is trained, and nobody knows why: '%s'", line);
    assert_int_equal(run_says(run, "up.out", "live page: "), 1);
    free(text);
}

/* ---- on a terminal ---- */

static const char live[] = "capture: { engine: ring }\n"
                           "trainer: { saes: [ { arch: topk, features: 64, k: 4 } ] }\n";

struct terminal { /* that a run has */
    pid_t pid;
    int master;
    char text[1 << 20]; /* all that was written to it */
    size_t used;
};

static struct terminal terminal;

/* Start `sluice up` in one of so many columns, with a variable (NAME=VALUE; NULL: none). */
static void terminal_open(const struct run *run, int columns, const char *variable)
{
    char path[HARNESS_PATH_BYTES];
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    run_program("sluice", path);
    terminal.used = 0;
    terminal.pid = forkpty(&terminal.master, NULL, NULL, &size);
    assert_true(terminal.pid >= 0);
    if (terminal.pid == 0) {
        unsetenv("NO_COLOR");
        unsetenv("SLUICE_PLAIN");
        setenv("TERM", "xterm", 1);
        if (variable) putenv((char *)variable);
        execl(path, path, "up", run->config, (char *)NULL);
        _exit(127);
    }
    fcntl(terminal.master, F_SETFL, O_NONBLOCK);
}

static void terminal_read(void)
{
    ssize_t n;
    while ((n = read(terminal.master, terminal.text + terminal.used,
                     sizeof terminal.text - 1 - terminal.used)) > 0)
        terminal.used += (size_t)n;
    terminal.text[terminal.used] = '\0';
}

static void terminal_close(void)
{
    kill(terminal.pid, SIGTERM);
    for (double end = harness_seconds() + SECONDS; harness_seconds() < end; harness_sleep(0.05)) {
        terminal_read(); /* whoever writes to it must not wait */
        if (waitpid(terminal.pid, NULL, WNOHANG) == terminal.pid) break;
    }
    close(terminal.master);
}

/* Until the words stand in what was written from `from` on: where. */
static size_t terminal_await(size_t from, const char *words)
{
    for (double end = harness_seconds() + SECONDS; harness_seconds() < end; harness_sleep(0.02)) {
        terminal_read();
        char *at = strstr(terminal.text + from, words);
        if (at) return (size_t)(at - terminal.text);
    }
    fail_msg("no '%s' in '%s'", words, terminal.text + from);
    return 0;
}

/* Without escape sequences, in place. */
static void strip(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (at[0] == '\033' && at[1] == '[') {
            at += 1 + strcspn(at + 2, "mKJABH") + 1;
            continue;
        }
        *to++ = *at;
    }
    *to = '\0';
}

/* Each line that was written from `from` up to `end` leaves the last of so many columns free. */
static void lines_fit(size_t from, size_t end, int columns)
{
    char copy[1 << 16], *rest = copy;
    snprintf(copy, sizeof copy, "%.*s", (int)(end - from), terminal.text + from);
    strip(copy);
    for (char *line; (line = strsep(&rest, "\r\n"));) {
        if (!strncmp(line, "live page", 9) || !strncmp(line, "sluice: ", 8)) continue;
        if (line_width(line) >= columns) fail_msg("more than %d columns: '%s'", columns, line);
    }
}

static void a_line_fits_its_terminal(void **state)
{
    struct run *run = *state;
    run_configure(run, "policy: shed, hooks: [resid_post.1]", live);
    for (int columns = 40; columns <= 200; columns += columns == 40 ? 40 : 120) {
        terminal_open(run, columns, NULL);
        size_t at = terminal_await(0, "\033[1mwaits for a program's rows\033[0m");
        terminal_await(at, "\r\033[2m0:");
        lines_fit(0, terminal.used, columns);
        assert_non_null(strstr(terminal.text, "\033[K"));
        assert_int_equal(columns == 200, strstr(terminal.text, " -- PROGRAM") != NULL);
        harness_has(terminal.text, "live page: http://127.0.0.1:");
        terminal_close();
    }
}

/* As soon as it is another, and not with the next line, which comes a second after the last: most of
 * many changes are answered sooner than that. Not all of them where the machine is busy. */
static void a_terminal_that_changes_is_followed(void **state)
{
    enum { CHANGES = 40 };
    int late = 0;
    struct run *run = *state;
    run_configure(run, "policy: shed, hooks: [resid_post.1]", live);
    terminal_open(run, 200, NULL);
    terminal_await(terminal_await(0, "waits for a program's rows"), " -- PROGRAM");
    for (int i = 0; i < CHANGES; i++) {
        double begin = harness_seconds();
        int columns = i % 2 ? 200 : 40;
        struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
        terminal_read();
        size_t from = terminal.used;
        ioctl(terminal.master, TIOCSWINSZ, &size);
        size_t line = terminal_await(from, columns == 40 ? "rows\033[0m\033[K" : " -- PROGRAM");
        late += harness_seconds() - begin > 0.7;
        if (columns == 40) lines_fit(from, line + strlen("rows"), columns);
    }
    terminal_close();
    if (late > CHANGES / 2) fail_msg("%d of %d changes took most of a second", late, CHANGES);
}

static void who_wants_no_colour_gets_none(void **state)
{
    struct run *run = *state;
    static char no_colour[] = "NO_COLOR=1", plain[] = "SLUICE_PLAIN=1", dumb[] = "TERM=dumb";
    run_configure(run, "policy: shed, hooks: [resid_post.1]", live);
    terminal_open(run, 120, no_colour);
    terminal_await(0, "waits for a program's rows | sluice tap ");
    assert_null(strstr(terminal.text, "m0:"));
    terminal_close();
    for (int i = 0; i < 2; i++) {
        run_configure(run, "policy: shed, hooks: [resid_post.1]",
                      "broker: { http: off }\nup: { progress: true }\n"
                      "capture: { engine: ring }\n"
                      "trainer: { saes: [ { arch: topk, features: 64, k: 4 } ] }\n");
        terminal_open(run, 120, i ? dumb : plain);
        terminal_await(terminal_await(0, "waits for a program's rows"), "\r\n0:0");
        assert_null(strchr(terminal.text, '\033'));
        harness_has_not(terminal.text, "live page");
        terminal_close();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_line_is_of_now, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(silence_is_told, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(each_line_before_training_has_its_reason, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(a_line_fits_its_terminal, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_terminal_that_changes_is_followed, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(who_wants_no_colour_gets_none, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
