/*
 * A live run comes to its end by `sluice finish`, whatever is killed meanwhile: the learning rate
 * falls, captures end, all that was captured is accounted for, and so is all that each trainer drew,
 * missed or left. Trainers come and go on a live stream, and nobody waits for them.
 */
#include "buffer/consumer.h"
#include "tests/e2e/account.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { WIDTH = 64, BATCH = 256, REUSE = 2, ENDLESS = 1000000000 };

static void configure(struct run *run, const char *policy, const char *trainer)
{
    char text[2048];
    snprintf(text, sizeof text,
             "capture:\n"
             "  engine: synthetic\n"
             "  measure_contexts: 8\n"
             "  synthetic: { features: 512, width: %u, l0: 64, rows: %u, sequence_rows: 64 }\n"
             "sink: { size: 8MiB }\n"
             "trainer: { batch_rows: %u, reuse: %u, eval_rows: 2000, checkpoint_seconds: 1, %s }\n",
             WIDTH, ENDLESS, BATCH, REUSE, trainer);
    run_configure(run, policy, text);
}

#define COUNT "saes: [ { name: rows, arch: count } ]"

static pid_t up(struct run *run)
{
    return run_start(run, "up", "sluice", "up", run->config, NULL);
}

static void finish(struct run *run, const char *option, const char *words)
{
    int code = run_command(run, 60, "sluice", "finish", run->config, option, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    harness_has(run->out, words);
}

static void ends_well(pid_t pid)
{
    int code = run_wait(pid, 240);
    if (code != 0) fail_msg("sluice up ended with %d", code);
}

/* ---- accounts ---- */

/* What the buffer of a run that is over tells of all lives. */
static struct account account(const struct run *run)
{
    struct account a = account_of(run, WIDTH, DTYPE_BF16, 8 << 20);
    assert_true(a.ended);
    return a;
}

static uint64_t number(const json_t *summary, const char *key)
{
    const json_t *value = json_object_get(summary, key);
    if (!json_is_integer(value)) fail_msg("the summary has no %s", key);
    return (uint64_t)json_integer_value(value);
}

/* Each row that was stored was drawn, missed, left or there too early, REUSE times in all; or it is
 * held out. */
static void closes(const struct run *run, const char *consumer, const struct account *a)
{
    json_t *s = run_summary(run, consumer);
    if (!s) fail_msg("%s has no summary", consumer);
    uint64_t drawn = number(s, "rows"), missed = number(s, "missed_rows"),
             earlier = number(s, "earlier_rows"), undrawn = number(s, "undrawn_rows"),
             held_out = number(s, "held_out_rows");
    print_message("%s: drawn %llu, missed %llu, earlier %llu, undrawn %llu, held out %llu\n",
                  consumer, (unsigned long long)drawn, (unsigned long long)missed,
                  (unsigned long long)earlier, (unsigned long long)undrawn,
                  (unsigned long long)held_out);
    assert_int_equal(number(s, "skipped_rows"), missed + earlier + undrawn);
    assert_int_equal(drawn + missed + earlier + undrawn, REUSE * (a->stored - held_out));
    json_decref(s);
}

/* The decay as the summary tells it, which also ended where it was to. */
static void decay_of(const struct run *run, const char *consumer, uint64_t *from, uint64_t *end)
{
    json_t *s = run_summary(run, consumer), *of = json_object_get(s, "finish");
    if (!of) fail_msg("%s was not finished", consumer);
    *from = number(of, "from_rows");
    *end = number(of, "end_rows");
    assert_int_equal(number(s, "rows"), *end);
    json_decref(s);
}

/* ---- the tests ---- */

/* The usual share of the rows so far, to the row; twice is told; what was captured is stored. */
static void a_live_run_is_finished(void **state)
{
    struct run *run = *state;
    uint64_t from, end;
    configure(run, "policy: shed", COUNT);
    pid_t pid = up(run);
    run_await_drawn(run, "main", 100000, 120);
    run_hold(run, "trainer-main"); /* the decay is short */
    finish(run, NULL, "Trainers let the learning rate fall from now on");
    finish(run, NULL, "is finishing already, since ");
    run_let_go(run, "trainer-main");
    ends_well(pid);
    decay_of(run, "main", &from, &end);
    assert_true(from >= 100000);
    assert_int_equal(end - from, from / 5);
    struct account a = account(run);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    closes(run, "main", &a);
    assert_true(run_says(run, "run/log/capture-0.log", "no more rows are taken") == 1);
    finish(run, NULL, "Stream test is finished.");
    assert_int_equal(run_command(run, 60, "sluice", "up", run->config, NULL), 0);
    harness_has(run->out, "is finished already");
}

static void interrupt(pid_t pid)
{
    kill(pid, SIGINT);
    assert_int_equal(run_wait(pid, 240), 0);
}

/* The last that a trainer's log says of missed rows. */
static void last_missed(const struct run *run, const char *name, uint64_t *more, uint64_t *all)
{
    char file[96], *last = NULL;
    unsigned long long m = 0, a = 0;
    snprintf(file, sizeof file, "../%s", name);
    char *text = run_text(run, file, NULL);
    for (char *at = text; at && (at = strstr(at, "msg=\"missed ")); at++) last = at;
    if (!last || sscanf(last, "msg=\"missed %llu rows more, %llu in all", &m, &a) != 2)
        fail_msg("%s tells of no missed rows", name);
    free(text);
    *more = m;
    *all = a;
}

/* It is reported once a second. */
static void status_tells(struct run *run, const char *words)
{
    double until = harness_seconds() + 120;
    do {
        assert_int_equal(run_command(run, 60, "sluice", "status", run->config, NULL), 0);
        if (strstr(run->out, words)) return;
        harness_sleep(0.2);
    } while (harness_seconds() < until);
    fail_msg("\"%s\" is not said: %s", words, run->out);
}

/* No trainer draws each row a thousand times while others take its place. */
static void missed_rows_are_told_once_a_minute(void **state)
{
    static const char log[] = "run/log/trainer-main.log", words[] = "msg=\"missed ";
    struct run *run = *state;
    double begin = harness_seconds();
    configure(run, "policy: shed", COUNT);
    pid_t pid =
        run_start(run, "up", "sluice", "up", run->config, "--set", "trainer.reuse=1000", NULL);
    run_await_said(run, log, words, 1);
    run_await_drawn(run, "main", run_drawn(run, "main") + 100000, 120);
    status_tells(run, "rows, replaced undrawn");
    run_await_metric(run, "trainer-main", "sluice_trainer_skipped_rows_total", 1);
    unsigned minutes = 1 + (unsigned)((harness_seconds() - begin) / 60);
    assert_in_range(run_says(run, log, words), 1, minutes);
    interrupt(pid);

    /* what an earlier life has told is not told again as more */
    unsigned said = run_says(run, log, words);
    uint64_t more, all;
    pid = run_start(run, "up", "sluice", "up", run->config, "--set", "trainer.reuse=1000", NULL);
    run_await_said(run, log, words, said + 1);
    last_missed(run, log, &more, &all);
    if (more >= all)
        fail_msg("%llu rows more of %llu", (unsigned long long)more, (unsigned long long)all);
    interrupt(pid);
}

/* Kept as it is until it is told to finish, then less with each step. */
static void the_rate_falls(void **state)
{
    static const char rate[] = "sluice_trainer_learning_rate{sae=\"one\"}";
    struct run *run = *state;
    uint64_t from, end;
    configure(run, "policy: shed",
              "finish_rows: 600000, "
              "saes: [ { name: one, arch: topk, features: 256, k: 8, lr: 0.5, warmup: 0 } ]");
    pid_t pid = up(run);
    run_await_drawn(run, "main", 50000, 120);
    run_await_metric(run, "trainer-main", rate, 0.5);
    assert_float_equal(run_metric(run, "trainer-main", rate), 0.5, 1e-9);
    finish(run, NULL, "over trainer.finish_rows rows");
    double until = harness_seconds() + 60, least = 0.5, last = 0.5;
    while (last > 0.1 && harness_seconds() < until) {
        double now = run_metric(run, "trainer-main", rate);
        if (now < 0) break; /* it has ended */
        assert_true(now <= last);
        if (now < least) least = now;
        last = now;
        harness_sleep(0.02);
    }
    print_message("the least rate that was seen is %g\n", least);
    assert_true(least < 0.4);
    ends_well(pid);
    decay_of(run, "main", &from, &end);
    assert_int_equal(end - from, 600000);
    struct account a = account(run);
    closes(run, "main", &a);
}

/* More than the buffer ever holds: without --now it would go on. */
static void at_once_it_takes_what_is_there(void **state)
{
    struct run *run = *state;
    uint64_t from, end;
    configure(run, "policy: shed", "finish_rows: 1000000000, " COUNT);
    pid_t pid = up(run);
    run_await_drawn(run, "main", 50000, 120);
    finish(run, NULL, "Captures end when that many are in the buffer");
    run_await_said(run, "run/log/trainer-main.log", "the learning rate falls from here on", 1);
    run_await_drawn(run, "main", run_drawn(run, "main") + 50000, 120);
    assert_int_equal(run_says(run, "run/log/capture-0.log", "no more rows are taken"), 0);
    run_hold(run, "trainer-main"); /* what is left is drawn soon */
    uint64_t held = run_drawn(run, "main");
    finish(run, "--now", "Captures take no more rows");
    finish(run, "--now", "is finishing already");
    run_let_go(run, "trainer-main");
    ends_well(pid);
    decay_of(run, "main", &from, &end);
    assert_true(end - held < 1000000); /* it was shortened to what was left */
    json_t *s = run_summary(run, "main");
    assert_int_equal(number(s, "undrawn_rows"), 0);
    json_decref(s);
    struct account a = account(run);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    closes(run, "main", &a);
}

/* The decay is one step: what captures bring until they have heard of it is accounted for all the
 * same. */
static void the_end_of_the_stream_is_waited_for(void **state)
{
    struct run *run = *state;
    configure(run, "policy: shed", "finish_rows: 256, " COUNT);
    pid_t pid = up(run);
    run_await_drawn(run, "main", 50000, 120);
    finish(run, NULL, "finishes");
    ends_well(pid);
    struct account a = account(run);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    closes(run, "main", &a);
    json_t *s = run_summary(run, "main");
    assert_true(number(s, "undrawn_rows") > 0);
    json_decref(s);
}

/* What each consumer is to do: RUN/CONSUMER/finish.json. */
static char *answer_of(const struct run *run)
{
    return run_text(run, "main/finish.json", NULL);
}

/* A run that is stopped, taken up again, told to finish, and whose processes are killed all along. The
 * decay outlasts that on a machine of any speed: while one is away no more is drawn than the buffer
 * holds, some 100,000 draws. */
static void kills_change_nothing(void **state)
{
    static const char *const names[] = {"trainer-main", "capture-0", "sink", "broker"};
    struct run *run = *state;
    uint64_t from, end;
    configure(run, "policy: shed", "finish_rows: 800000, " COUNT);
    pid_t pid = up(run);
    run_await_drawn(run, "main", 50000, 120);
    interrupt(pid); /* the second life goes on */
    pid = up(run);
    run_await_drawn(run, "main", 100000, 120);
    run_kill(run, "capture-0");
    run_await_drawn(run, "main", run_drawn(run, "main") + 50000, 120);
    finish(run, NULL, "finishes");
    run_kill(run, "trainer-main"); /* before it has answered, or just then */
    run_await_said(run, "run/log/trainer-main.log", "msg=\"finishing", 1);
    char *answer = answer_of(run);
    for (size_t i = 0; i < 4; i++) {
        run_await_drawn(run, "main", run_drawn(run, "main") + 20000, 120);
        run_kill(run, names[i]);
        run_await_process(run, names[i], 60);
    }
    kill(pid, SIGKILL); /* its children drain */
    assert_int_equal(run_wait(pid, 30), HARNESS_SIGNALLED);
    pid = up(run);
    ends_well(pid);
    decay_of(run, "main", &from, &end);
    char words[64];
    snprintf(words, sizeof words, "\"end_rows\": %llu,", (unsigned long long)end);
    harness_has(answer, words); /* what was set at first */
    free(answer);
    struct account a = account(run);
    assert_true(a.captured >= a.stored + a.shed + a.rejected); /* less what died with a capture */
    closes(run, "main", &a);
}

/* Rows that went through the buffer so far, as the sink tells. */
static double stored(const struct run *run)
{
    return run_metric(run, "sink", "sluice_stream_rows");
}

static void await_stored(const struct run *run, double rows)
{
    double until = harness_seconds() + 120;
    while (stored(run) < rows) {
        if (harness_seconds() > until) fail_msg("the stream stands still at %g rows", stored(run));
        harness_sleep(0.05);
    }
}

/* What `sluice consumer list` says of one; a process is heard of within a second or two. */
static void list_tells(struct run *run, const char *consumer, const char *words)
{
    double until = harness_seconds() + 120;
    for (;;) {
        assert_int_equal(run_command(run, 60, "sluice", "consumer", "list", run->config, NULL), 0);
        char *line = strstr(run->out, consumer);
        if (line) line[strcspn(line, "\n")] = '\0';
        if (line && strstr(line, words)) return;
        if (harness_seconds() > until) fail_msg("%s: \"%s\" is not said", consumer, words);
        harness_sleep(0.2);
    }
}

/* One that is declared no more is told of till it is forgotten. */
static void is_dropped(struct run *run)
{
    configure(run, "policy: shed", COUNT);
    list_tells(run, "  late ", "finished");
    assert_int_equal(run_command(run, 60, "sluice", "consumer", "drop", run->config, "late", NULL),
                     0);
    assert_int_equal(run_command(run, 60, "sluice", "consumer", "list", run->config, NULL), 0);
    harness_has_not(run->out, "  late ");
    harness_has(run->out, "  main ");
}

/* One is stopped for a time in which all of the buffer is replaced, another is declared when the
 * stream has gone on for a while, a third never runs: none holds anything up. */
static void trainers_come_and_go(void **state)
{
    struct run *run = *state;
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture = {"capture-0", "sluice-capture", NULL, NULL, 0};
    struct child early = {"trainer-main", "sluice-trainer", "--consumer", "main", 0};
    struct child late = {"trainer-late", "sluice-trainer", "--consumer", "late", 0};
    configure(run, "policy: shed", COUNT);
    start(run, &broker);
    start(run, &sink);
    start(run, &capture);
    start(run, &early);
    run_await_drawn(run, "main", 50000, 120);
    leave(&early);
    await_stored(run, stored(run) + 200000); /* more than the buffer holds */
    start(run, &early);
    run_await_said(run, "trainer-main.out", "msg=\"missed ", 1);
    run_await_drawn(run, "main", 100000, 120);
    leave(&early);
    leave(&capture);
    leave(&sink);
    leave(&broker);
    configure(run, "policy: shed", "consumers: [main, late, never], " COUNT);
    start(run, &broker);
    start(run, &sink);
    start(run, &capture);
    await_stored(run, stored(run) + 100000);
    start(run, &late);
    run_await_drawn(run, "late", 20000, 120);
    run_await_said(run, "trainer-late.out", "this consumer begins with what is in the buffer", 1);
    start(run, &early);
    run_await_drawn(run, "main", run_drawn(run, "main") + 20000, 120);
    list_tells(run, "  never ", "no checkpoint yet");
    list_tells(run, "  main ", "at work");
    list_tells(run, "  late ", "at work");
    finish(run, "--now", "finishes"); /* `never` does not answer */
    assert_int_equal(run_wait(early.pid, 240), 0);
    assert_int_equal(run_wait(late.pid, 240), 0);
    assert_int_equal(run_wait(capture.pid, 240), 0);
    leave(&sink);
    leave(&broker);
    struct account a = account(run);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    closes(run, "main", &a);
    closes(run, "late", &a);
    json_t *s = run_summary(run, "main");
    assert_true(number(s, "missed_rows") > 0);
    assert_int_equal(number(s, "earlier_rows"), 0);
    json_decref(s);
    s = run_summary(run, "late");
    assert_true(number(s, "earlier_rows") > 100000);
    json_decref(s);
    is_dropped(run);
}

/* Captures wait half a minute for who does not answer; a trainer that is through knows all the same of
 * what they stored till then. */
static void who_is_through_waits_for_the_silent(void **state)
{
    struct run *run = *state;
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture = {"capture-0", "sluice-capture", NULL, NULL, 0};
    struct child trainer = {"trainer-main", "sluice-trainer", "--consumer", "main", 0};
    configure(run, "policy: shed", "consumers: [main, never], finish_rows: 256, " COUNT);
    start(run, &broker);
    start(run, &sink);
    start(run, &capture);
    start(run, &trainer);
    run_await_drawn(run, "main", 20000, 120);
    finish(run, NULL, "finishes");
    assert_int_equal(run_wait(trainer.pid, 240), 0);
    assert_int_equal(run_wait(capture.pid, 240), 0);
    leave(&sink);
    leave(&broker);
    struct account a = account(run);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    closes(run, "main", &a);
}

/* When a trainer's answer was written or renewed last. */
static struct timespec answered(const struct run *run, const char *consumer)
{
    char path[HARNESS_PATH_BYTES + 96];
    struct stat st = {0};
    snprintf(path, sizeof path, "%s/%s/finish.json", run->state, consumer);
    stat(path, &st);
    return st.st_mtim;
}

/* While it lives, it says so again and again, without writing anything new. */
static void await_renewed(const struct run *run, const char *consumer)
{
    char file[96];
    snprintf(file, sizeof file, "%s/finish.json", consumer);
    char *text = run_text(run, file, NULL), *later;
    harness_has(text, "\"has_enough\": false");
    struct timespec first = answered(run, consumer), now = first;
    double until = harness_seconds() + 120;
    while (now.tv_sec == first.tv_sec && now.tv_nsec == first.tv_nsec) {
        if (harness_seconds() > until) fail_msg("%s is not heard of again", consumer);
        harness_sleep(0.05);
        now = answered(run, consumer);
    }
    later = run_text(run, file, NULL);
    assert_string_equal(later, text);
    free(later);
    free(text);
}

/* A trainer has said that it needs more rows than will ever be, and is stopped then. */
static void who_needs_rows_and_is_gone_holds_nothing_up(void **state)
{
    struct run *run = *state;
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture = {"capture-0", "sluice-capture", NULL, NULL, 0};
    struct child trainer = {"trainer-main", "sluice-trainer", "--consumer", "main", 0};
    struct child gone = {"trainer-gone", "sluice-trainer", "--consumer", "gone", 0};
    configure(run, "policy: shed", "consumers: [main, gone], finish_rows: 1000000000, " COUNT);
    start(run, &broker);
    start(run, &sink);
    start(run, &capture);
    start(run, &gone);
    run_await_drawn(run, "gone", 20000, 120);
    configure(run, "policy: shed", "consumers: [main, gone], finish_rows: 256, " COUNT);
    start(run, &trainer);
    run_await_drawn(run, "main", 20000, 120);
    finish(run, NULL, "finishes");
    run_await_said(run, "trainer-gone.out", "the learning rate falls from here on", 1);
    await_renewed(run, "gone");
    kill(gone.pid, SIGSTOP);
    assert_int_equal(run_wait(capture.pid, 240), 0);
    assert_int_equal(run_wait(trainer.pid, 240), 0);
    kill(gone.pid, SIGKILL);
    assert_int_equal(run_wait(gone.pid, 30), HARNESS_SIGNALLED);
    leave(&sink);
    leave(&broker);
    struct account a = account(run);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    closes(run, "main", &a);
}

/* Its decay is in its plan. */
static void who_has_a_plan_ends_by_himself(void **state)
{
    struct run *run = *state;
    configure(run, "", COUNT);
    assert_int_equal(run_command(run, 60, "sluice", "finish", run->config, NULL), 1);
    harness_has(run->err, "has made no rows yet");
    pid_t pid = up(run);
    run_await_drawn(run, "main", 20000, 120);
    assert_int_equal(run_command(run, 60, "sluice", "finish", run->config, NULL), 2);
    harness_has(run->err, "is no live one: its trainers know its length (2,000,000,000 rows)");
    interrupt(pid);
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_live_run_is_finished, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(missed_rows_are_told_once_a_minute, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(the_rate_falls, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(at_once_it_takes_what_is_there, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_stream_is_waited_for, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(kills_change_nothing, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(trainers_come_and_go, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(who_is_through_waits_for_the_silent, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(who_needs_rows_and_is_gone_holds_nothing_up, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(who_has_a_plan_ends_by_himself, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("finish", tests, NULL, NULL);
}
