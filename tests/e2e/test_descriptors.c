/*
 * Programs whose standard descriptors were closed before they began: no file of a run gets their
 * numbers, input that is not there is told, and so is output that nobody got.
 */
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

static const char pipeline[] =
    "capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 8000 } }\n"
    "sink: { size: 16MiB }\n"
    "trainer: { batch_rows: 256, saes: [ { name: rows, arch: count } ] }\n";

static const char *const programs[] = {"sluice-broker", "sluice-sink", "sluice-capture",
                                       "sluice-trainer"};
enum { PROGRAMS = sizeof programs / sizeof programs[0] };
static const char *const pages[PROGRAMS] = {"http/broker", "http/sink", "http/capture-0",
                                            "http/trainer-main"};

static const char *const closings[] = {"<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"};
enum { CLOSINGS = sizeof closings / sizeof closings[0] };

/* "exec PROGRAM ARGUMENTS CLOSING" by a shell; its pid is the program's. */
static void command_of(const char *program, const char *arguments, const char *closing, char *out)
{
    char path[HARNESS_PATH_BYTES];
    run_program(program, path);
    snprintf(out, 4 * HARNESS_PATH_BYTES, "exec %s %s %s", path, arguments, closing);
}

static int closed(struct run *run, const char *program, const char *arguments, const char *closing)
{
    char command[4 * HARNESS_PATH_BYTES];
    command_of(program, arguments, closing, command);
    return run_command(run, SECONDS, "/bin/sh", "-c", command, NULL);
}

/* What a process has as descriptor `fd`. */
static void target_of(pid_t pid, int fd, char *out)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    ssize_t n = readlink(path, out, HARNESS_PATH_BYTES - 1);
    out[n > 0 ? n : 0] = '\0';
}

/* Until a process has written where its page is: then its files are open, and it heeds signals. */
static void await_page(const struct run *run, const char *page)
{
    char path[2 * HARNESS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", run->state, page);
    for (double until = harness_seconds() + SECONDS; access(path, F_OK) != 0; harness_sleep(0.02))
        if (harness_seconds() > until) fail_msg("there is no %s within %d s", path, SECONDS);
}

static void no_file_gets_their_numbers(void **state)
{
    struct run *run = *state;
    char command[4 * HARNESS_PATH_BYTES], target[HARNESS_PATH_BYTES];
    run_configure(run, "", pipeline);
    for (int p = 0; p < PROGRAMS; p++) {
        command_of(programs[p], run->config, "<&- >&- 2>&-", command);
        pid_t pid = run_start(run, programs[p], "/bin/sh", "-c", command, NULL);
        await_page(run, pages[p]);
        for (int fd = 0; fd < 3; fd++) {
            target_of(pid, fd, target);
            if (strcmp(target, "/dev/null") != 0)
                fail_msg("%s has %s as descriptor %d", programs[p], target, fd);
        }
        kill(pid, SIGTERM);
        assert_int_equal(run_wait(pid, SECONDS), 0);
    }
}

static void a_run_is_the_same(void **state)
{
    struct run *run = *state;
    char arguments[2 * HARNESS_PATH_BYTES];
    run_configure(run, "", pipeline);
    snprintf(arguments, sizeof arguments, "up --fresh %s", run->config);
    for (int i = 0; i < CLOSINGS; i++) {
        int lost = strstr(closings[i], ">&-") == closings[i] || strstr(closings[i], " >&-") != NULL;
        int code = closed(run, "sluice", arguments, closings[i]);
        if (code != lost) fail_msg("%s: exit code %d: %s", closings[i], code, run->err);
        if (lost && !strstr(closings[i], "2>&-"))
            harness_has(run->err, "not all of the output could be written");
        assert_true(run_counts_are(run, "main", 8000, 1));
        char *lock = run_text(run, "lock", NULL);
        assert_non_null(lock);
        if (strspn(lock, "0123456789\n") != strlen(lock)) fail_msg("the lock says: %s", lock);
        free(lock);
    }
}

static void output_that_nobody_got_is_told(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    for (int p = 0; p <= PROGRAMS; p++) {
        const char *program = p < PROGRAMS ? programs[p] : "sluice";
        assert_int_equal(closed(run, program, "--version", ">&-"), 1);
        harness_has(run->err, "not all of the output could be written");
        assert_int_equal(closed(run, program, "--version", "<&- 2>&-"), 0);
        harness_has(run->out, "sluice");
    }
}

static void input_that_is_closed_is_told(void **state)
{
    struct run *run = *state;
    char arguments[2 * HARNESS_PATH_BYTES];
    static const char *const commands[][2] = {
        {"sluice", "up"}, {"sluice", "check"}, {"sluice-capture", ""}};
    run_configure(run, "model: smollm2, hooks: [resid_post.15]",
                  "capture: { corpus: [\"-\"], resumable: false }\n"
                  "trainer: { saes: [ { arch: topk, features: 64, k: 4 } ] }\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        snprintf(arguments, sizeof arguments, "%s %s", commands[i][1], run->config);
        assert_int_equal(closed(run, commands[i][0], arguments, "<&-"), 2);
        harness_has(run->err, "standard input is closed");
        harness_has(run->err, "HINT");
        assert_int_equal(closed(run, commands[i][0], arguments, "0>/dev/null"), 2);
        harness_has(run->err, "standard input is closed");
    }
}

#define CLOSED(name) cmocka_unit_test_setup_teardown(name, run_set_up, run_tear_down)

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        CLOSED(no_file_gets_their_numbers),
        CLOSED(a_run_is_the_same),
        CLOSED(output_that_nobody_got_is_told),
        CLOSED(input_that_is_closed_is_told),
    };
    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
