/*
 * What lies in a run's folder, or all of it, is removed, moved, replaced or cut short under a
 * running pipeline. Where the folder is gone every process ends within seconds, and says so; where
 * a part of it is, that is made anew and each row was trained on exactly `reuse` times.
 */
#include "base/fileio.h"
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 900000, ENDLESS = 1000000000, REUSE = 2, PATH_ROOM = HARNESS_PATH_BYTES + 64 };
/* Two looks, one a second, take 2 or 3 s; the rest is for a machine that is busy. */
static const double notice_seconds = 30;

static void configure(struct run *run, int rows)
{
    char rest[512];
    snprintf(rest, sizeof rest,
             "capture:\n"
             "  engine: synthetic\n"
             "  measure_contexts: 4\n"
             "  synthetic: { features: 64, width: 64, l0: 4, rows: %d, sequence_rows: 64 }\n"
             "sink: { size: 32MiB }\n"
             "trainer: { reuse: 2, batch_rows: 256, min_rows: 5000, checkpoint_seconds: 1,\n"
             "  eval_rows: 2000, saes: [ { name: rows, arch: count } ] }\n",
             rows);
    run_configure(run, "", rest);
}

static char *at(const struct run *run, const char *below)
{
    static char path[4][PATH_ROOM];
    static int turn;
    char *out = path[turn++ % 4];
    snprintf(out, PATH_ROOM, "%s/%s", run->dir, below);
    return out;
}

static int is_there(const struct run *run, const char *below)
{
    struct stat st;
    return lstat(at(run, below), &st) == 0;
}

static void command(const char *format, const char *a, const char *b)
{
    char line[4 * PATH_ROOM];
    snprintf(line, sizeof line, format, a, b);
    if (system(line) != 0) fail_msg("%s", line);
}

/* What is made while it is removed may be in the way of the rest. */
static void remove_all(const char *folder)
{
    command("rm -rf %s 2>/dev/null || rm -rf %s || true", folder, folder);
}

static pid_t begin(struct run *run, int rows)
{
    configure(run, rows);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "main", 20000, 60);
    return up;
}

static char *said(const struct run *run)
{
    char *text;
    size_t bytes;
    if (file_read(at(run, "up.out"), HARNESS_TEXT_BYTES, &text, &bytes)) fail_msg("no output");
    return text;
}

/* It ends soon after it has `begun`, with its reason and nothing tried again, and nobody is left. */
static void ends_and_says(const struct run *run, pid_t up, double begun, const char *what)
{
    int code = run_wait(up, 2 * notice_seconds);
    double took = harness_seconds() - begun;
    char *text = said(run);
    if (code != 1) fail_msg("exit code %d: %s", code, text);
    if (took > notice_seconds) fail_msg("it took %.1f s: %s", took, text);
    harness_has(text, what);
    harness_has(text, run->state);
    harness_has(text, "HINT: put it back");
    harness_has_not(text, "started again");
    free(text);
    assert_int_equal(run_alive(run), 0);
}

static void finishes(struct run *run)
{
    int code = run_command(run, 180, "sluice", "up", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    assert_true(run_counts_are(run, "main", ROWS, REUSE));
}

static void the_folder_is_removed(void **state)
{
    struct run *run = *state;
    pid_t up = begin(run, ENDLESS);
    remove_all(run->state);
    ends_and_says(run, up, harness_seconds(), "was removed or moved");
    if (is_there(run, "run/sluice.run")) fail_msg("the folder was made again");
}

static void the_folder_is_moved(void **state)
{
    struct run *run = *state;
    pid_t up = begin(run, ROWS), capture = run_process(run, "capture-0");
    assert_int_equal(rename(run->state, at(run, "elsewhere")), 0);
    double begun = harness_seconds();
    assert_true(capture > 0);
    kill(capture, SIGSTOP); /* else a fast machine is through with all rows before the next look */
    while (run_process(run, "broker") && harness_seconds() < begun + notice_seconds)
        harness_sleep(0.05);
    kill(capture, SIGCONT);
    ends_and_says(run, up, begun, "was removed or moved");
    assert_false(is_there(run, "run"));
    assert_int_equal(rename(at(run, "elsewhere"), run->state), 0);
    finishes(run);
}

static void the_folder_is_replaced(void **state)
{
    struct run *run = *state;
    pid_t up = begin(run, ENDLESS);
    command("cp -a %s %s", run->state, at(run, "copy"));
    command("mv %s %s", run->state, at(run, "elsewhere"));
    command("mv %s %s", at(run, "copy"), run->state);
    ends_and_says(run, up, harness_seconds(), "was re"); /* between the two it was removed */
}

/* A process by itself, which nobody watches. */
static void a_process_without_up_ends_too(void **state)
{
    struct run *run = *state;
    configure(run, ROWS);
    pid_t broker = run_start(run, "up", "sluice-broker", run->config, NULL);
    run_await_metric(run, "broker", "sluice_process_unready_seconds", 0); /* it has looked once */
    remove_all(run->state);
    ends_and_says(run, broker, harness_seconds(), "was removed or moved");
}

/* ---- a part of it ---- */

static void cut_to(const struct run *run, int share)
{
    struct stat st;
    const char *data = at(run, "run/buffer/data.mdb");
    assert_int_equal(stat(data, &st), 0);
    assert_int_equal(truncate(data, share ? st.st_size / share / 4096 * 4096 : 0), 0);
}

static void data_is_removed(struct run *run)
{
    assert_int_equal(unlink(at(run, "run/buffer/data.mdb")), 0);
}

static void data_is_replaced(struct run *run)
{
    command("cp %s %s", at(run, "run/buffer/data.mdb"), at(run, "copy"));
    assert_int_equal(rename(at(run, "copy"), at(run, "run/buffer/data.mdb")), 0);
}

static void data_is_cut(struct run *run)
{
    cut_to(run, 2);
}

static void data_is_emptied(struct run *run)
{
    cut_to(run, 0);
}

static void lock_is_removed(struct run *run)
{
    assert_int_equal(unlink(at(run, "run/buffer/lock.mdb")), 0);
}

static void lock_is_removed_without_a_sink(struct run *run)
{
    run_kill(run, "sink");
    assert_int_equal(unlink(at(run, "run/buffer/lock.mdb")), 0);
}

static void buffer_is_removed(struct run *run)
{
    remove_all(at(run, "run/buffer"));
}

static void buffer_is_moved(struct run *run)
{
    assert_int_equal(rename(at(run, "run/buffer"), at(run, "moved")), 0);
}

static void sockets_are_removed(struct run *run)
{
    assert_int_equal(unlink(at(run, "run/ipc/front")), 0);
    assert_int_equal(unlink(at(run, "run/ipc/back")), 0);
}

static const struct part {
    const char *name;
    void (*happens)(struct run *run);
    const char *aside; /* what is set aside; NULL: nothing, or not always */
    int processes_stay;
    const char *log, *says;
} parts[] = {
    {"data removed", data_is_removed, "lock.mdb", 1, "sink", "was removed or replaced"},
    {"data replaced", data_is_replaced, "data.mdb", 1, "sink", "was removed or replaced"},
    {"data cut", data_is_cut, "data.mdb", 0, NULL, NULL},
    {"data emptied", data_is_emptied, NULL, 0, NULL, NULL},
    {"lock removed", lock_is_removed, "data.mdb", 1, "sink", "the lock table in"},
    {"lock, no sink", lock_is_removed_without_a_sink, NULL, 0, NULL, NULL},
    {"buffer removed", buffer_is_removed, NULL, 1, "sink", "still need is made again"},
    {"buffer moved", buffer_is_moved, NULL, 1, "sink", "nothing is left of the buffer"},
    {"sockets", sockets_are_removed, NULL, 0, "broker", "was removed, so that nobody"},
};

/* Within seconds. */
static void log_says(const struct run *run, const struct part *p)
{
    char name[64];
    if (!p->log) return;
    snprintf(name, sizeof name, "log/%s.log", p->log);
    for (double until = harness_seconds() + notice_seconds;; harness_sleep(0.02)) {
        char *text = run_text(run, name, NULL);
        assert_non_null(text);
        int has = strstr(text, p->says) != NULL;
        if (!has && harness_seconds() > until) harness_has(text, p->says);
        free(text);
        if (has) return;
    }
}

static void one_part(struct run *run, const struct part *p)
{
    char aside[64];
    print_message("%s\n", p->name);
    pid_t up = begin(run, ROWS);
    pid_t sink = run_process(run, "sink"), trainer = run_process(run, "trainer-main");
    p->happens(run);
    if (p->log) run_hold(run, "capture-0"); /* so that the run is not over before it is noticed */
    log_says(run, p);
    if (p->processes_stay) {
        assert_int_equal(run_process(run, "sink"), sink);
        assert_int_equal(run_process(run, "trainer-main"), trainer);
    }
    if (p->log) run_let_go(run, "capture-0");
    int code = run_wait(up, 180);
    char *text = said(run);
    if (code != 0) fail_msg("%s: exit code %d: %s", p->name, code, text);
    free(text);
    if (p->aside) {
        snprintf(aside, sizeof aside, "run/buffer.damaged-1/%s", p->aside);
        assert_true(is_there(run, aside));
    }
    assert_true(run_counts_are(run, "main", ROWS, REUSE));
}

static void a_part_is_made_anew(void **state)
{
    struct run *run = *state;
    const char *only = getenv("SLUICE_TEST_ROW");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (only && strcmp(only, parts[i].name) != 0) continue;
        one_part(run, &parts[i]);
        run_remove(run);
        run_make(run);
    }
}

/* A broker that is not there, or does not let it in, says nothing: that is no session either. */
static void a_capture_that_nobody_answers_is_not_ready(void **state)
{
    struct run *run = *state;
    configure(run, ROWS);
    pid_t capture = run_start(run, "capture", "sluice-capture", run->config, NULL);
    double unready = 0, until = harness_seconds() + 60;
    while (unready < 2 && harness_seconds() < until) {
        harness_sleep(0.2);
        unready = run_metric(run, "capture-0", "sluice_process_unready_seconds");
    }
    kill(capture, SIGKILL);
    run_wait(capture, 10);
    if (unready < 2) fail_msg("after a minute it is unready for %g s", unready);
}

/* Nor is it the sink's fault where no producer has come: of a live stream none may for days. */
static void a_sink_without_producers_is_ready(void **state)
{
    struct run *run = *state;
    configure(run, ROWS);
    pid_t broker = run_start(run, "broker", "sluice-broker", run->config, NULL);
    pid_t sink = run_start(run, "sink", "sluice-sink", run->config, NULL);
    double until = harness_seconds() + 60;
    while (run_metric(run, "sink", "sluice_sink_attached") < 1 && harness_seconds() < until)
        harness_sleep(0.2);
    harness_sleep(2.5); /* it is asked each second, and what grows would do so by now */
    assert_true(run_metric(run, "sink", "sluice_sink_attached") == 1);
    assert_true(run_metric(run, "sink", "sluice_sink_live_producers") == 0);
    until = harness_seconds() + 60;
    /* It may still be the one of its start. */
    while (run_metric(run, "sink", "sluice_process_unready_seconds") != 0) {
        if (harness_seconds() > until) fail_msg("it is not ready");
        harness_sleep(0.2);
    }
    kill(sink, SIGKILL);
    kill(broker, SIGKILL);
    run_wait(sink, 60);
    run_wait(broker, 60);
}

#define test(f) cmocka_unit_test_setup_teardown(f, run_set_up, run_tear_down)

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        test(a_capture_that_nobody_answers_is_not_ready),
        test(a_sink_without_producers_is_ready),
        test(the_folder_is_removed),
        test(the_folder_is_moved),
        test(the_folder_is_replaced),
        test(a_process_without_up_ends_too),
        test(a_part_is_made_anew),
    };
    return cmocka_run_group_tests_name("gone", tests, NULL, NULL);
}
