/*
 * With little address space: every program ends, by itself and with an error that names the limit,
 * or does its work. None hangs, and none is ended by a signal that it raised itself. SIGTERM ends
 * all of them.
 */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* their shadow takes terabytes of address space */
#else
enum { SANITIZED = 0 };
#endif

enum { ONE_SECONDS = 60, RUN_SECONDS = 60, CANNOT_LOAD = 127, COMMAND_BYTES = 4096 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  synthetic: { features: 32, width: 16, rows: 8000, seed: 1 }\n"
    "sink: { size: 16MiB }\n"
    "trainer: { batch_rows: 256, saes: [ { arch: topk, features: 32, k: 4, lr: 1e-3 } ] }\n"
    "up: { restart: false }\n";

/* A program below `ulimit OPTION VALUE`, with these words behind; its exit code, or HARNESS_*. */
static int limited(struct run *run, double seconds, const char *limit, const char *program,
                   const char *words)
{
    char path[HARNESS_PATH_BYTES], command[COMMAND_BYTES];
    run_program(program, path);
    snprintf(command, sizeof command, "exec </dev/null; ulimit %s; exec %s %s", limit, path, words);
    return run_command(run, seconds, "/bin/sh", "-c", command, NULL);
}

static void is_an_end(struct run *run, int code, const char *what, const char *limit)
{
    if (code == 0 || code == 2) return;
    if (code == CANNOT_LOAD && strstr(run->err, "shared")) return; /* the loader's own word */
    if (code == 1 && strstr(run->err, "ulimit -")) return;
    fail_msg("%s below ulimit %s came to %d: %s", what, limit, code, run->err);
}

/* Where it prints a word and leaves: a library's threads must not hold it. */
static void every_program_ends(void **state)
{
    struct run *run = *state;
    static const char *const programs[] = {"sluice", "sluice-broker", "sluice-sink",
                                           "sluice-capture", "sluice-trainer"};
    static const int mib[] = {20, 40, 60, 80, 100, 150, 200, 300, 500, 1000};
    if (SANITIZED) skip();
    for (size_t m = 0; m < sizeof mib / sizeof mib[0]; m++)
        for (size_t p = 0; p < sizeof programs / sizeof programs[0]; p++) {
            char limit[32];
            snprintf(limit, sizeof limit, "-v %d", mib[m] * 1024);
            int code = limited(run, ONE_SECONDS, limit, programs[p], "--version");
            is_an_end(run, code, programs[p], limit);
            if (mib[m] >= 100) assert_int_equal(code, 0);
        }
}

static void a_whole_run_ends(void **state)
{
    struct run *run = *state;
    static const int mib[] = {24, 40, 48, 64, 80, 96, 120, 150, 180, 220, 260, 300, 400, 600, 2000};
    char words[HARNESS_PATH_BYTES + 32], limit[32];
    int done = 0;
    if (SANITIZED) skip();
    run_configure(run, "dtype: f32", pipeline);
    snprintf(words, sizeof words, "up --fresh %s", run->config);
    for (size_t m = 0; m < sizeof mib / sizeof mib[0]; m++) {
        snprintf(limit, sizeof limit, "-v %d", mib[m] * 1024);
        int code = limited(run, RUN_SECONDS, limit, "sluice", words);
        is_an_end(run, code, "sluice up", limit);
        done += code == 0;
    }
    assert_true(done > 0); /* the last at least */
}

/* Data alone limited, as the kernel counts it for mmap() too; few descriptors. */
static void other_limits_are_met_too(void **state)
{
    struct run *run = *state;
    static const char *const limits[] = {"-d 20000",  "-d 60000", "-d 150000", "-d 250000",
                                         "-s 512000", "-n 24",    "-n 64"};
    char words[HARNESS_PATH_BYTES + 32];
    if (SANITIZED) skip();
    run_configure(run, "dtype: f32", pipeline);
    snprintf(words, sizeof words, "up --fresh %s", run->config);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        int code = limited(run, RUN_SECONDS, limits[i], "sluice", words);
        is_an_end(run, code, "sluice up", limits[i]);
        assert_null(strstr(run->err, "signal 6"));
        assert_null(strstr(run->err, "signal 11"));
    }
    assert_int_equal(limited(run, RUN_SECONDS, "-f 100", "sluice", words), 2);
    assert_non_null(strstr(run->err, "ulimit -f"));
}

/* Few descriptors, with as many peers as need more of them. */
static void few_files_are_met_too(void **state)
{
    struct run *run = *state;
    static const char *const peers[] = {"", " --set capture.producers=6"};
    char words[HARNESS_PATH_BYTES + 96], limit[32];
    run_configure(run, "dtype: f32", pipeline);
    for (size_t p = 0; p < sizeof peers / sizeof peers[0]; p++)
        for (int n = 8; n <= 40; n += p ? 4 : 2) {
            snprintf(words, sizeof words, "up --fresh %s%s", run->config, peers[p]);
            snprintf(limit, sizeof limit, "-n %d", n);
            int code = limited(run, RUN_SECONDS, limit, "sluice", words);
            if (strstr(run->err, "signal 6") || strstr(run->err, "started again"))
                fail_msg("below ulimit %s: %s", limit, run->err);
            if (code != 0 && !strstr(run->err, "ulimit -n"))
                fail_msg("below ulimit %s: %d: %s", limit, code, run->err);
            if (n <= 28) assert_int_equal(code, 2);
        }
    assert_int_equal(limited(run, RUN_SECONDS, "-n 64", "sluice", words), 0);
}

/* A producer that it cannot serve is told so, and does not ask again without end. */
static void a_sink_without_memory_refuses(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES], command[COMMAND_BYTES];
    if (SANITIZED) skip();
    run_configure(run, "dtype: f32",
                  "capture: { engine: synthetic, synthetic: { width: 1024, rows: 200000 } }\n"
                  "sink: { size: 4GiB, slab: 48MiB }\n"
                  "trainer: { consumers: [], saes: [] }\n");
    run_program("sluice-sink", path);
    snprintf(command, sizeof command, "ulimit -d 80000; exec %s %s", path, run->config);
    pid_t broker = run_start(run, "broker", "sluice-broker", run->config, NULL);
    pid_t sink = run_start(run, "sink", "/bin/sh", "-c", command, NULL);
    int code = run_command(run, RUN_SECONDS, "sluice-capture", run->config, NULL);
    if (code != 1 || !strstr(run->err, "ulimit -d"))
        fail_msg("capture came to %d: %s", code, run->err);
    kill(sink, SIGTERM);
    kill(broker, SIGTERM);
    assert_int_equal(run_wait(sink, ONE_SECONDS), 0);
    assert_int_equal(run_wait(broker, ONE_SECONDS), 0);
}

static void a_signal_ends_it(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES], command[COMMAND_BYTES];
    if (SANITIZED) skip();
    run_configure(run, "dtype: f32", pipeline);
    run_program("sluice", path);
    for (int mib = 60; mib <= 240; mib += 60) {
        snprintf(command, sizeof command,
                 "ulimit -v %d; exec %s up --fresh %s --set up.restart=true </dev/null", mib * 1024,
                 path, run->config);
        pid_t pid = run_start(run, "limited", "/bin/sh", "-c", command, NULL);
        harness_sleep(0.7);
        kill(pid, SIGTERM);
        int code = run_wait(pid, RUN_SECONDS);
        if (code == HARNESS_TIMED_OUT) fail_msg("SIGTERM does not end it at %d MiB", mib);
    }
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_program_ends, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_whole_run_ends, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(other_limits_are_met_too, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(few_files_are_met_too, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_sink_without_memory_refuses, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_signal_ends_it, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
