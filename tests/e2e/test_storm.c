/*
 * kill -9 of every process, mid-stream, and still exactly once: the architecture `count` has one
 * counter a row, checkpointed like weights, and at the end each must equal `reuse`.
 *
 * The control at the end runs a sink that frees slabs which no checkpoint covers; the same check
 * must then find rows missing.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "sae/checkpoint.h"
#include "tests/e2e/harness.h"
#include "trainer/save.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void configure(struct run *run, unsigned rows, unsigned producers, const char *consumers,
                      unsigned reuse, const char *size, unsigned batch_rows)
{
    char text[2048];
    snprintf(text, sizeof text,
             "capture:\n"
             "  engine: synthetic\n"
             "  producers: %u\n"
             "  measure_contexts: 4\n"
             "  synthetic: { features: 64, width: 64, l0: 4, rows: %u, sequence_rows: 64 }\n"
             "sink: { size: %s }\n"
             "trainer:\n"
             "  consumers: [%s]\n"
             "  reuse: %u\n"
             "  batch_rows: %u\n"
             "  checkpoint_seconds: 1\n"
             "  eval_rows: 2000\n"
             "  saes: [ { name: rows, arch: count } ]\n",
             producers, rows, size, consumers, reuse, batch_rows);
    run_configure(run, "", text);
}

/* Kill one process after each `rows` that the consumer has drawn, in turn, `kills` times. */
static void storm(const struct run *run, const char *const *names, size_t count, unsigned kills,
                  uint64_t rows)
{
    for (unsigned i = 0; i < kills; i++) {
        uint64_t from = run_drawn(run, "main");
        run_await_process(run, names[i % count], 60);
        run_await_drawn(run, "main", from + rows, 120);
        if (!run_kill(run, names[i % count])) print_message("%s was gone\n", names[i % count]);
    }
}

static void up_to_the_end(struct run *run)
{
    int code = run_command(run, 180, "sluice", "up", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

static void each_process_in_turn(void **state)
{
    static const char *const names[] = {"trainer-main", "sink", "capture-0", "broker"};
    struct run *run = *state;
    configure(run, 2000000, 1, "main", 2, "32MiB", 512);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    storm(run, names, 4, 8, 100000);
    if (run_wait(up, 180) != 0) fail_msg("sluice up failed");
    assert_true(run_counts_are(run, "main", 2000000, 2));
}

static void sluice_itself(void **state)
{
    struct run *run = *state;
    configure(run, 1500000, 1, "main", 1, "32MiB", 512);
    for (int i = 0; i < 3; i++) {
        pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
        uint64_t from = run_drawn(run, "main");
        run_await_drawn(run, "main", from + 150000, 120);
        kill(up, SIGKILL);
        run_wait(up, 60);
    }
    up_to_the_end(run);
    assert_true(run_counts_are(run, "main", 1500000, 1));
}

static void children_drain_when_sluice_dies(void **state)
{
    struct run *run = *state;
    configure(run, 100000000, 1, "main", 1, "32MiB", 512);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "main", 50000, 120);
    kill(up, SIGKILL);
    run_wait(up, 60);
    /* Less than PROCESS_DRAIN_SECONDS, after which an alarm ends whoever has not drained. */
    double until = harness_seconds() + 12;
    while (run_alive(run) && harness_seconds() < until) harness_sleep(0.05);
    assert_int_equal(run_alive(run), 0);
}

/* SIGTERM lets a process drain and end with 0; that is no end of the run. */
static void told_to_end_by_somebody_else(void **state)
{
    static const char *const names[] = {"capture-0", "trainer-main", "sink", "broker"};
    struct run *run = *state;
    configure(run, 1500000, 1, "main", 1, "32MiB", 512);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    for (int i = 0; i < 4; i++) {
        run_await_drawn(run, "main", run_drawn(run, "main") + 50000, 120);
        kill(run_await_process(run, names[i], 60), SIGTERM);
    }
    if (run_wait(up, 180) != 0) fail_msg("sluice up failed");
    assert_true(run_counts_are(run, "main", 1500000, 1));
}

/* One consumer of two is told so: the other soon waits for it, as the buffer is full. */
static void one_consumer_told_to_end(void **state)
{
    struct run *run = *state;
    configure(run, 1500000, 1, "main, other", 1, "32MiB", 512);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "other", 50000, 120);
    kill(run_await_process(run, "trainer-other", 60), SIGTERM);
    if (run_wait(up, 60) != 0) fail_msg("sluice up failed");
    assert_true(run_counts_are(run, "main", 1500000, 1));
    assert_true(run_counts_are(run, "other", 1500000, 1));
}

static void everything_at_once(void **state)
{
    static const char *const names[] = {"sink", "trainer-main", "capture-0", "broker", "sluice"};
    struct run *run = *state;
    configure(run, 1500000, 1, "main", 1, "32MiB", 512);
    for (int i = 0; i < 3; i++) {
        pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
        uint64_t from = run_drawn(run, "main");
        run_await_drawn(run, "main", from + 150000, 120);
        for (size_t n = 0; n < 5; n++) run_kill(run, names[n]);
        run_wait(up, 60);
    }
    up_to_the_end(run);
    assert_true(run_counts_are(run, "main", 1500000, 1));
}

/* A pipeline without `sluice`, so that one process can start late. */
struct part {
    const char *name, *program, *option, *value;
    pid_t pid;
};

static void begin(struct run *run, struct part *part)
{
    part->pid = part->option ? run_start(run, part->name, part->program, run->config, part->option,
                                         part->value, NULL)
                             : run_start(run, part->name, part->program, run->config, NULL);
}

static void kill_and_begin_again(struct run *run, struct part *part)
{
    kill(part->pid, SIGKILL);
    run_wait(part->pid, 60);
    begin(run, part);
}

/* End what serves the others, once they are through. */
static void conclude(struct part *parts, size_t count)
{
    for (size_t i = 2; i < count; i++) {
        int code = run_wait(parts[i].pid, 120);
        if (code != 0) fail_msg("%s ended with %d", parts[i].name, code);
    }
    for (int i = 1; i >= 0; i--) {
        kill(parts[i].pid, SIGTERM);
        assert_int_equal(run_wait(parts[i].pid, 60), 0);
    }
}

/* The order of a checkpoint's steps: what it counts on is there before it is, and it is there
 * before the sink may free slabs by it. */
static void killed_amid_a_checkpoint(struct run *run, const char *when)
{
    struct part parts[] = {
        {"broker", "sluice-broker", NULL, NULL, 0},
        {"sink", "sluice-sink", NULL, NULL, 0},
        {"capture-0", "sluice-capture", "--producer", "0", 0},
        {"trainer-main", "tests/e2e/sluice-trainer-dying", "--consumer", "main", 0},
    };
    char buffer[HARNESS_PATH_BYTES + 16], main_dir[HARNESS_PATH_BYTES + 16];
    struct consumer_state covered;
    struct save save;
    struct checkpoint *checkpoint;
    unsigned damaged;
    snprintf(buffer, sizeof buffer, "%s/buffer", run->state);
    snprintf(main_dir, sizeof main_dir, "%s/main", run->state);
    /* So small that the sink asks for many checkpoints, however fast the rows come. */
    configure(run, 200000, 1, "main", 1, "8MiB", 512);
    setenv("SLUICE_TEST_DIES", when, 1);
    for (size_t i = 0; i < 4; i++) begin(run, &parts[i]);
    assert_int_equal(run_wait(parts[3].pid, 60), HARNESS_SIGNALLED);
    if (consumer_read(buffer, "main", &covered)) fail_msg("%s", err_text());
    if (save_read(main_dir, &save, &checkpoint, &damaged)) fail_msg("%s", err_text());
    assert_true(covered.rows_drawn > 0);
    assert_true(covered.rows_drawn <= save.state.rows_drawn);
    consumer_state_free(&covered);
    save_free(&save);
    checkpoint_close(checkpoint);
    parts[3].program = "sluice-trainer";
    begin(run, &parts[3]);
    conclude(parts, 4);
    assert_true(run_counts_are(run, "main", 200000, 1));
}

static void killed_before_a_checkpoint_is_there(void **state)
{
    killed_amid_a_checkpoint(*state, "before");
}

static void killed_after_a_checkpoint_is_there(void **state)
{
    killed_amid_a_checkpoint(*state, "after");
}

static void two_producers_and_two_consumers_one_late(void **state)
{
    struct run *run = *state;
    struct part parts[] = {
        {"broker", "sluice-broker", NULL, NULL, 0},
        {"sink", "sluice-sink", NULL, NULL, 0},
        {"capture-0", "sluice-capture", "--producer", "0", 0},
        {"capture-1", "sluice-capture", "--producer", "1", 0},
        {"trainer-main", "sluice-trainer", "--consumer", "main", 0},
        {"trainer-late", "sluice-trainer", "--consumer", "late", 0},
    };
    configure(run, 1000000, 2, "main, late", 2, "32MiB", 512);
    for (size_t i = 0; i < 5; i++) begin(run, &parts[i]);
    /* The buffer fills up: nothing is freed as long as `late` has not been heard of. */
    run_await_drawn(run, "main", 20000, 120);
    harness_sleep(1);
    begin(run, &parts[5]);
    for (unsigned i = 0; i < 10; i++) {
        static const size_t order[] = {4, 1, 2, 5, 0, 3, 1, 5, 4, 2};
        uint64_t from = run_drawn(run, "late");
        run_await_drawn(run, "late", from + 60000, 120);
        kill_and_begin_again(run, &parts[order[i]]);
    }
    conclude(parts, 6);
    assert_true(run_counts_are(run, "main", 1000000, 2));
    assert_true(run_counts_are(run, "late", 1000000, 2));
}

static void a_buffer_that_is_always_full(void **state)
{
    static const char *const names[] = {"trainer-main", "sink", "trainer-main", "capture-0"};
    struct run *run = *state;
    configure(run, 400000, 1, "main", 2, "2MiB", 64);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    storm(run, names, 4, 8, 20000);
    if (run_wait(up, 180) != 0) fail_msg("sluice up failed");
    assert_true(run_counts_are(run, "main", 400000, 2));
}

/* `fmt` with two paths in it, which it may name as %1$s and %2$s. */
static void shell(const char *fmt, const char *from, const char *to)
{
    char command[4 * HARNESS_PATH_BYTES];
    snprintf(command, sizeof command, fmt, from, to);
    assert_int_equal(system(command), 0);
}

/* Stop the run after so many rows more, as a person would. */
static void run_for(struct run *run, uint64_t rows)
{
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    uint64_t from = run_drawn(run, "main");
    run_await_drawn(run, "main", from + rows, 120);
    kill(up, SIGTERM);
    assert_int_equal(run_wait(up, 60), 0);
}

static void a_buffer_rolled_back_behind_a_checkpoint(void **state)
{
    struct run *run = *state;
    char buffer[HARNESS_PATH_BYTES + 16], saved[HARNESS_PATH_BYTES + 16];
    configure(run, 1000000, 1, "main", 1, "32MiB", 512);
    run_for(run, 150000);
    snprintf(buffer, sizeof buffer, "%s/buffer", run->state);
    snprintf(saved, sizeof saved, "%s/saved", run->dir);
    shell("cp -a %1$s %2$s", buffer, saved);
    run_for(run, 250000);
    shell("rm %1$s/data.mdb && cp -a %2$s/data.mdb %1$s/data.mdb", buffer, saved);
    up_to_the_end(run);
    assert_true(run_counts_are(run, "main", 1000000, 1));
}

static void a_checkpoint_that_is_lost(void **state)
{
    struct run *run = *state;
    char main_dir[HARNESS_PATH_BYTES + 16], saved[HARNESS_PATH_BYTES + 16];
    configure(run, 1000000, 1, "main", 1, "32MiB", 512);
    run_for(run, 150000);
    snprintf(main_dir, sizeof main_dir, "%s/main", run->state);
    snprintf(saved, sizeof saved, "%s/saved", run->dir);
    shell("cp -a %1$s %2$s", main_dir, saved);
    run_for(run, 250000);
    dir_remove(main_dir);
    shell("cp -a %2$s %1$s", main_dir, saved);
    up_to_the_end(run);
    assert_true(run_counts_are(run, "main", 1000000, 1));
}

static void the_control_loses_rows(void **state)
{
    struct run *run = *state;
    struct part parts[] = {
        {"broker", "sluice-broker", NULL, NULL, 0},
        {"sink", "tests/e2e/sluice-sink-unsafe", NULL, NULL, 0},
        {"capture-0", "sluice-capture", "--producer", "0", 0},
        {"trainer-main", "sluice-trainer", "--consumer", "main", 0},
    };
    int done = 0;
    configure(run, 500000, 1, "main", 1, "32MiB", 512);
    for (size_t i = 0; i < 4; i++) begin(run, &parts[i]);
    for (int i = 0; i < 3; i++) {
        uint64_t from = run_drawn(run, "main");
        run_await_drawn(run, "main", from + 50000, 120);
        kill_and_begin_again(run, &parts[3]);
    }
    done = run_wait(parts[3].pid, 30); /* it may wait for ever for rows that are gone */
    for (int i = 0; i < 3; i++) {
        kill(parts[i].pid, SIGKILL);
        run_wait(parts[i].pid, 60);
    }
    assert_false(done == 0 && run_counts_are(run, "main", 500000, 1));
}

#define STORM(name) cmocka_unit_test_setup_teardown(name, run_set_up, run_tear_down)

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        STORM(each_process_in_turn),
        STORM(sluice_itself),
        STORM(children_drain_when_sluice_dies),
        STORM(told_to_end_by_somebody_else),
        STORM(one_consumer_told_to_end),
        STORM(everything_at_once),
        STORM(killed_before_a_checkpoint_is_there),
        STORM(killed_after_a_checkpoint_is_there),
        STORM(two_producers_and_two_consumers_one_late),
        STORM(a_buffer_that_is_always_full),
        STORM(a_buffer_rolled_back_behind_a_checkpoint),
        STORM(a_checkpoint_that_is_lost),
        STORM(the_control_loses_rows),
    };
    return cmocka_run_group_tests_name("storm", tests, NULL, NULL);
}
