/*
 * How soon rows move again after kill -9 of a process of a running `sluice up`: from the kill until
 * the next process of that name is there and rows move through it: for the trainer until it draws,
 * for the others until the sink stores a frame. Rows of the synthetic engine, the architecture
 * `count`, a checkpoint each second. Each process in turn; two seconds of work lie between two
 * kills.
 *
 *   bench_recovery [TIMES]      default: 5 of each
 */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX_TIMES = 99, LIMIT_SECONDS = 60 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  measure_contexts: 4\n"
    "  synthetic: { features: 64, width: 64, l0: 4, rows: 1000000000000, sequence_rows: 64 }\n"
    "sink: { size: 64MiB }\n"
    "trainer:\n"
    "  batch_rows: 512\n"
    "  checkpoint_seconds: 1\n"
    "  eval_rows: 2000\n"
    "  saes: [ { name: rows, arch: count } ]\n";

static const char *const processes[] = {"capture-0", "broker", "sink", "trainer-main"};
enum { PROCESSES = 4, TRAINER = 3 };

static int times = 5;
static double seconds[PROCESSES][MAX_TIMES];

/* What grows while rows move. */
static double moved(const struct run *run, int process)
{
    return process == TRAINER ? (double)run_drawn(run, "main")
                              : run_metric(run, "sink", "sluice_sink_frames_total");
}

static void wait_on(double until)
{
    if (harness_seconds() > until) fail_msg("no rows within %d s", LIMIT_SECONDS);
    harness_sleep(0.005);
}

/* What was under way at the kill is not counted: growth is waited for once the new process is
 * there. */
static double recovery(const struct run *run, int process)
{
    pid_t old = run_process(run, processes[process]), now;
    double start = harness_seconds(), until = start + LIMIT_SECONDS, first, value;
    if (!old || kill(old, SIGKILL)) fail_msg("no process %s", processes[process]);
    while ((now = run_process(run, processes[process])) == 0 || now == old) wait_on(until);
    while ((first = moved(run, process)) < 0) wait_on(until);
    while ((value = moved(run, process)) < 0 || value == first) wait_on(until);
    return harness_seconds() - start;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void recovery_times(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    run_start(run, "up", "sluice", "up", run->config, "--fresh", NULL);
    run_await_drawn(run, "main", 1000, 60);
    for (int i = 0; i < times * PROCESSES; i++) {
        uint64_t drawn = run_drawn(run, "main");
        harness_sleep(2);
        run_await_drawn(run, "main", drawn + 1000, LIMIT_SECONDS);
        seconds[i % PROCESSES][i / PROCESSES] = recovery(run, i % PROCESSES);
    }
    for (int p = 0; p < PROCESSES; p++) {
        qsort(seconds[p], (size_t)times, sizeof seconds[p][0], compare);
        printf("%-13s %.2f s (%.2f to %.2f), median of %d\n", processes[p], seconds[p][times / 2],
               seconds[p][0], seconds[p][times - 1], times);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(recovery_times, run_set_up, run_tear_down),
    };
    if (argc > 1) times = atoi(argv[1]);
    if (times < 1 || times > MAX_TIMES) times = 5;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
