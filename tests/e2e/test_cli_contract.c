/* All five programs take the same options in the same words, answer on stdout, complain on stderr,
 * and end with 0, 1 or 2. */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const programs[] = {"sluice", "sluice-broker", "sluice-sink", "sluice-capture",
                                       "sluice-trainer"};
enum { PROGRAMS = sizeof programs / sizeof programs[0], SECONDS = 60 };

static const char pipeline[] = "capture: { engine: synthetic }\n"
                               "sink: { size: 8MiB }\n"
                               "trainer:\n"
                               "  batch_rows: 256\n"
                               "  saes: [ { arch: topk, features: 128, k: 4 } ]\n";

/* sluice takes options after a command. */
static int run_with(struct run *run, const char *program, const char *a, const char *b)
{
    if (strcmp(program, "sluice") == 0)
        return run_command(run, SECONDS, program, "check", a, b, NULL);
    return run_command(run, SECONDS, program, a, b, NULL);
}

static void help_and_version_go_to_stdout(void **state)
{
    struct run *run = *state;
    for (int i = 0; i < PROGRAMS; i++) {
        assert_int_equal(run_command(run, SECONDS, programs[i], "--help", NULL), 0);
        assert_non_null(strstr(run->out, programs[i]));
        assert_non_null(strstr(run->out, "--set"));
        assert_string_equal(run->err, "");
        assert_int_equal(run_command(run, SECONDS, programs[i], "--version", NULL), 0);
        assert_memory_equal(run->out, programs[i], strlen(programs[i]));
        assert_non_null(strstr(run->out, SLUICE_VERSION));
        assert_string_equal(run->err, "");
        assert_int_equal(run_command(run, SECONDS, programs[i], "--print-man", NULL), 0);
        assert_non_null(strstr(run->out, ".TH"));
    }
}

/* A full disk must not leave half a page and silence. */
static void output_that_is_lost_is_told(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES], command[3 * HARNESS_PATH_BYTES];
    for (int i = 0; i < PROGRAMS; i++) {
        run_program(programs[i], path);
        snprintf(command, sizeof command, "exec %s --help >/dev/full", path);
        assert_int_equal(run_command(run, SECONDS, "/bin/sh", "-c", command, NULL), 1);
        assert_non_null(strstr(run->err, programs[i]));
        assert_non_null(strstr(run->err, "not all of the output could be written; HINT"));
    }
    run_program("sluice", path);
    snprintf(command, sizeof command, "exec %s check %s >/dev/full", path, run->config);
    assert_int_equal(run_command(run, SECONDS, "/bin/sh", "-c", command, NULL), 1);
    assert_non_null(strstr(run->err, "not all of the output could be written; HINT"));
}

static void an_unknown_option_is_usage(void **state)
{
    struct run *run = *state;
    for (int i = 0; i < PROGRAMS; i++) {
        assert_int_equal(run_with(run, programs[i], "--chek", NULL), 2);
        assert_non_null(strstr(run->err, "unknown option --chek; did you mean --check?"));
        assert_string_equal(run->out, "");
        assert_int_equal(run_with(run, programs[i], "--zzzzzzzz", NULL), 2);
        assert_non_null(strstr(run->err, "HINT"));
        assert_int_equal(run_with(run, programs[i], "--set", NULL), 2);
        assert_non_null(strstr(run->err, "needs a value"));
        assert_int_equal(run_with(run, programs[i], "--log-level=loud", run->config), 2);
    }
}

static void a_missing_file_is_usage(void **state)
{
    struct run *run = *state;
    for (int i = 0; i < PROGRAMS; i++) {
        assert_int_equal(run_command(run, SECONDS, programs[i], NULL), 2);
        assert_true(run->err[0] != '\0');
        assert_int_equal(run_with(run, programs[i], NULL, NULL), 2);
        assert_non_null(strstr(run->err, "HINT"));
        assert_int_equal(run_with(run, programs[i], "/nonexistent/run.yaml", NULL), 2);
        assert_non_null(strstr(run->err, "/nonexistent/run.yaml"));
        assert_string_equal(run->out, "");
    }
}

static void check_validates(void **state)
{
    struct run *run = *state;
    for (int i = 0; i < PROGRAMS; i++) {
        if (run_with(run, programs[i], run->config, "--check") != 0) fail_msg("%s", run->err);
        assert_string_equal(run->err, "");
        assert_int_equal(run_with(run, programs[i], run->config, "--set=sink.sice=3"), 2);
        assert_non_null(strstr(run->err, "sink.sice"));
        assert_non_null(strstr(run->err, "size")); /* did you mean */
        assert_int_equal(run_with(run, programs[i], run->config, "--set=sink.size=3"), 2);
        assert_non_null(strstr(run->err, "sink.size"));
    }
}

static void print_config_loads_back(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/printed.yaml", run->dir);
    for (int i = 0; i < PROGRAMS; i++) {
        assert_int_equal(run_with(run, programs[i], "--print-config", NULL), 0);
        assert_non_null(strstr(run->out, "batch_rows"));
        assert_int_equal(run_with(run, programs[i], run->config, "--print-config"), 0);
        char *first = strdup(run->out);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(first, file);
        fclose(file);
        assert_int_equal(run_with(run, programs[i], path, "--print-config"), 0);
        assert_string_equal(run->out, first);
        free(first);
    }
}

static void an_unknown_command_names_the_nearest(void **state)
{
    struct run *run = *state;
    assert_int_equal(run_command(run, SECONDS, "sluice", "stats", run->config, NULL), 2);
    assert_non_null(strstr(run->err, "did you mean 'status'?"));
    assert_int_equal(run_command(run, SECONDS, "sluice", "buffer", run->config, NULL), 2);
    assert_non_null(strstr(run->err, "buffer "));
    assert_int_equal(run_command(run, SECONDS, "sluice", "frobnicate", NULL), 2);
    assert_non_null(strstr(run->err, "HINT"));
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", "--help", NULL), 0);
    assert_non_null(strstr(run->out, "--fresh"));
}

static void commands_on_a_run_that_never_was(void **state)
{
    struct run *run = *state;
    assert_int_equal(run_command(run, SECONDS, "sluice", "status", run->config, NULL), 1);
    assert_non_null(strstr(run->err, "is not running, and has stored nothing"));
    assert_non_null(strstr(run->err, "sluice up"));
    assert_int_equal(run_command(run, SECONDS, "sluice", "buffer", "info", run->config, NULL), 1);
    assert_non_null(strstr(run->err, "sluice up"));
    assert_int_equal(run_command(run, SECONDS, "sluice", "buffer", "verify", run->config, NULL), 1);
    assert_int_equal(run_command(run, SECONDS, "sluice", "consumer", "list", run->config, NULL), 0);
    assert_non_null(strstr(run->out, "of each consumer's last checkpoint"));
    assert_non_null(strstr(run->out, "main"));
    int code = run_command(run, SECONDS, "sluice", "consumer", "drop", run->config, "main", NULL);
    assert_int_equal(code, 2);
    assert_non_null(strstr(run->err, "trainer.consumers declares"));
    code = run_command(run, SECONDS, "sluice", "consumer", "drop", run->config, "gone", NULL);
    assert_int_equal(code, 2);
    assert_non_null(strstr(run->err, "consumer list"));
}

/* A broker that has heard of nobody yet. */
static void status_says_what_is_known(void **state)
{
    struct run *run = *state;
    pid_t broker = run_start(run, "broker", "sluice-broker", run->config, NULL);
    int code = 1;
    for (int i = 0; i < 500 && code != 0; i++) {
        code = run_command(run, SECONDS, "sluice", "status", run->config, NULL);
        harness_sleep(0.02);
    }
    assert_int_equal(code, 0);
    assert_memory_equal(run->out, "Stream test is running.\n", 24);
    kill(broker, SIGTERM);
    assert_int_equal(run_wait(broker, SECONDS), 0);
}

static int set_up(void **state)
{
    if (run_set_up(state)) return -1;
    run_configure(*state, "", pipeline);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version_go_to_stdout),
        cmocka_unit_test(output_that_is_lost_is_told),
        cmocka_unit_test(an_unknown_option_is_usage),
        cmocka_unit_test(a_missing_file_is_usage),
        cmocka_unit_test(check_validates),
        cmocka_unit_test(print_config_loads_back),
        cmocka_unit_test(an_unknown_command_names_the_nearest),
        cmocka_unit_test(commands_on_a_run_that_never_was),
        cmocka_unit_test(status_says_what_is_known),
    };
    return cmocka_run_group_tests_name("command lines", tests, set_up, run_tear_down);
}
