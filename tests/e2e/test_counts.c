/*
 * Counts that must close to the row, whatever is killed or told to leave: under `shed` what was
 * captured is stored, shed, rejected or died with a producer; what a consumer never saw is skipped;
 * and what is shown of all lives together never falls.
 */
#include "buffer/consumer.h"
#include "tests/e2e/account.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 64, BATCH = 256 };

static void configure(struct run *run, const char *policy, unsigned rows, const char *size,
                      const char *trainer)
{
    char text[2048];
    snprintf(text, sizeof text,
             "capture:\n"
             "  engine: synthetic\n"
             "  measure_contexts: 8\n"
             "  synthetic: { features: 512, width: %u, l0: 64, rows: %u, sequence_rows: 64 }\n"
             "sink: { size: %s }\n"
             "trainer: { batch_rows: %u, %s }\n",
             WIDTH, rows, size, BATCH, trainer);
    run_configure(run, policy, text);
}

static struct account account(const struct run *run)
{
    struct account a = account_of(run, WIDTH, DTYPE_BF16, 8 << 20);
    print_message("died %lld\n", (long long)(a.captured - a.stored - a.shed - a.rejected));
    return a;
}

/* What RUN/capture/capture-0.json tells. */
static uint64_t told(const struct run *run, const char *key)
{
    char *text = run_text(run, "capture/capture-0.json", NULL);
    json_t *object = text ? json_loads(text, 0, NULL) : NULL;
    uint64_t number = (uint64_t)json_integer_value(json_object_get(object, key));
    json_decref(object);
    free(text);
    return number;
}

/* ---- the tests ---- */

/* A live producer is told to leave, and another one goes on: each row of the source is captured
 * once, although many find no room. */
static void a_source_that_is_left_and_taken_up_again(void **state)
{
    enum { ROWS = 1500000, TIMES = 3 };
    struct run *run = *state;
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture = {"capture-0", "sluice-capture", NULL, NULL, 0};
    configure(run, "policy: shed", ROWS, "8MiB", "consumers: []");
    start(run, &broker);
    start(run, &sink);
    for (unsigned i = 1; i <= TIMES; i++) {
        start(run, &capture);
        run_await_said(run, "capture-0.out", "streaming", i);
        harness_sleep(0.2);
        kill(sink.pid, SIGSTOP);
        harness_sleep(0.3);
        kill(capture.pid, SIGTERM);
        harness_sleep(i == 2 ? 4
                             : 0.1); /* longer than it waits for acks: it gives them up as shed */
        kill(sink.pid, SIGCONT);
        assert_int_equal(run_wait(capture.pid, 60), 0);
    }
    start(run, &capture);
    assert_int_equal(run_wait(capture.pid, 60), 0);
    assert_int_equal(run_wait(sink.pid, 60), 0);
    leave(&broker);
    struct account a = account(run);
    assert_true(a.shed > 0);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    assert_int_equal(a.captured, ROWS);
    assert_int_equal(told(run, "kept_rows"), ROWS);
    assert_true(told(run, "shed_rows") >= a.shed); /* what it gave up may have been stored */
}

/* The state of a consumer that is through. */
static struct consumer_state state_of(const struct run *run, const char *consumer)
{
    char dir[HARNESS_PATH_BYTES + 16];
    struct consumer_state state;
    snprintf(dir, sizeof dir, "%s/buffer", run->state);
    if (consumer_read(dir, consumer, &state)) fail_msg("%s", err_text());
    return state;
}

/* A slow trainer on a live stream whose processes are killed: what it has drawn, held out and
 * skipped is what was stored, to the row. The stream is endless until all are struck; its last capture
 * ends it. */
static void what_was_never_seen_is_skipped(void **state)
{
    enum { ENDLESS = 100000000, LAST = 200000 };
    struct run *run = *state;
    char end[64];
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture = {"capture-0", "sluice-capture", NULL, NULL, 0};
    struct child trainer = {"trainer-main", "sluice-trainer", "--consumer", "main", 0};
    struct child *order[] = {&trainer, &capture, &sink, &trainer, &capture, &trainer};
    configure(run, "policy: shed", ENDLESS, "8MiB",
              "reuse: 2, eval_rows: 80000, checkpoint_seconds: 1, "
              "saes: [ { name: rows, arch: count } ]");
    start(run, &broker);
    start(run, &sink);
    start(run, &capture);
    start(run, &trainer);
    run_await_said(run, "capture-0.out", "streaming", 1);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        harness_sleep(0.6);
        kill(trainer.pid, SIGSTOP); /* the buffer goes on without it */
        harness_sleep(0.6);
        if (order[i] == &trainer) harness_sleep(0.6);
        kill(trainer.pid, SIGCONT);
        strike(run, order[i]);
    }
    leave(&capture);
    snprintf(end, sizeof end, "capture.rows=%llu",
             (unsigned long long)told(run, "kept_rows") + LAST);
    capture.option = "--set";
    capture.value = end;
    start(run, &capture);
    assert_int_equal(run_wait(capture.pid, 60), 0);
    assert_int_equal(run_wait(trainer.pid, 60), 0);
    assert_int_equal(run_wait(sink.pid, 60), 0);
    leave(&broker);
    struct account a = account(run);
    assert_true(a.captured >= a.stored + a.shed + a.rejected);
    assert_true(told(run, "kept_rows") >= a.captured); /* put down before the sink hears of it */
    struct consumer_state s = state_of(run, "main");
    print_message("drawn %llu, held out %llu, skipped %llu, less than what was stored by %lld\n",
                  (unsigned long long)s.rows_drawn, (unsigned long long)s.rows_held_out,
                  (unsigned long long)s.rows_skipped,
                  (long long)(2 * (a.stored - s.rows_held_out) - s.rows_drawn - s.rows_skipped));
    assert_true(s.rows_skipped > 0);
    assert_int_equal(s.rows_drawn + s.rows_skipped, 2 * (a.stored - s.rows_held_out));
    consumer_state_free(&s);
}

/* A number out of `sluice status`, UINT64_MAX where it does not say. */
static uint64_t shown(struct run *run, const char *what)
{
    if (run_command(run, 60, "sluice", "status", run->config, NULL) != 0) return UINT64_MAX;
    char *at = strstr(run->out, what);
    uint64_t number = UINT64_MAX;
    if (!at) return number;
    for (at += strlen(what); *at && *at != '\n' && *at != 't'; at++)
        if (*at >= '0' && *at <= '9')
            number = (number == UINT64_MAX ? 0 : 10 * number) + (uint64_t)(*at - '0');
    return number;
}

static void what_is_shown_never_falls(struct run *run, const char *policy, const char *size)
{
    enum { ROWS = 100000000 };
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture = {"capture-0", "sluice-capture", NULL, NULL, 0};
    uint64_t before = 0, now, falls = 0, seen = 0;
    configure(run, policy, ROWS, size, "consumers: []");
    start(run, &broker);
    start(run, &sink);
    start(run, &capture);
    run_await_said(run, "capture-0.out", "streaming", 1);
    for (int i = 0; i < 90; i++) {
        harness_sleep(0.1);
        if (i % 30 == 5) kill(sink.pid, SIGSTOP); /* so that much is under way */
        if (i % 30 == 20) strike(run, &capture);
        if (i % 30 == 21) kill(sink.pid, SIGCONT);
        now = shown(run, "tokens");
        if (now == UINT64_MAX) continue;
        seen++;
        if (now < before) {
            print_message("%d: %llu tokens, then %llu\n", i, (unsigned long long)before,
                          (unsigned long long)now);
            falls++;
        }
        before = now;
    }
    leave(&capture);
    leave(&sink);
    leave(&broker);
    assert_true(seen > 30 && before > 0);
    assert_int_equal(falls, 0);
}

static void tokens_never_fall(void **state)
{
    what_is_shown_never_falls(*state, "policy: block", "256MiB");
}

static void tokens_of_a_live_stream_never_fall(void **state)
{
    what_is_shown_never_falls(*state, "policy: shed", "8MiB");
}

static void damage_buffer(const struct run *run)
{
    char path[HARNESS_PATH_BYTES + 32], junk[16384];
    memset(junk, 0x5a, sizeof junk);
    snprintf(path, sizeof path, "%s/buffer/data.mdb", run->state);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fwrite(junk, sizeof junk, 1, f), 1);
    fclose(f);
}

/* A live buffer is lost while its capture lives: the sink does not know that life, and a new one
 * goes on. */
static void a_lost_buffer_begins_a_new_life(void **state)
{
    struct run *run = *state;
    configure(run, "policy: shed", 100000000, "8MiB", "consumers: []");
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_said(run, "run/log/capture-0.log", "msg=streaming", 1);
    kill(up, SIGSTOP);
    assert_true(run_kill(run, "sink"));
    harness_sleep(0.1);
    damage_buffer(run);
    kill(up, SIGCONT);
    run_await_said(run, "run/log/capture-0.log", "msg=streaming", 2);
    assert_true(run_says(run, "run/log/capture-0.log", "the last one that was given to it is 0") >
                0);
    harness_sleep(1);
    kill(up, SIGINT);
    assert_int_equal(run_wait(up, 60), 0);
    struct account a = account(run);
    assert_true(a.stored > 0);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_source_that_is_left_and_taken_up_again, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(what_was_never_seen_is_skipped, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_lost_buffer_begins_a_new_life, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(tokens_never_fall, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(tokens_of_a_live_stream_never_fall, run_set_up,
                                        run_tear_down),
    };
    return cmocka_run_group_tests_name("counts", tests, NULL, NULL);
}
