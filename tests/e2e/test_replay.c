/*
 * `sluice-trainer --replay BUFFER` over an ended stream: the same weights bit for bit, also where
 * it was stopped and taken up again, and whatever else is trained beside it; the buffer stays as it
 * was.
 *
 * The stream has no consumer, so nothing is freed and all of it lies in the buffer.
 */
#include "base/fileio.h"
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 60000, SECONDS = 240, SOON = 60 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  synthetic: { features: 128, width: 64, l0: 4, rows: 60000, sequence_rows: 64 }\n"
    "sink: { size: 32MiB }\n"
    "trainer:\n"
    "  consumers: []\n"
    "  reuse: 8\n"
    "  batch_rows: 256\n"
    "  checkpoint_seconds: 1\n"
    "  eval_rows: 1000\n"
    "  eval_seconds: 0.1\n"
    "  saes: [ { name: one, arch: topk, features: 1536, k: 8, lr: 3e-3 },\n"
    "          { name: two, arch: l1, features: 256, lr: 1e-3 },\n"
    "          { name: rows, arch: count } ]\n";

/* Weights of an SAE as exported, as they lie on disk. */
static char *weights(const struct run *run, const char *consumer, const char *sae, size_t *bytes)
{
    char below[256];
    snprintf(below, sizeof below, "%s/export/%s/saelens/sae_weights.safetensors", consumer, sae);
    char *data = run_text(run, below, bytes);
    if (!data) fail_msg("there is no %s", below);
    return data;
}

/* Whether consumer a's `sae` and b's `other` have the same weights. */
static int equal(const struct run *run, const char *a, const char *sae, const char *b,
                 const char *other)
{
    size_t bytes_a, bytes_b;
    char *x = weights(run, a, sae, &bytes_a), *y = weights(run, b, other, &bytes_b);
    int as_it_is = bytes_a == bytes_b && memcmp(x, y, bytes_a) == 0;
    free(x);
    free(y);
    return as_it_is;
}

static int same(const struct run *run, const char *a, const char *b, const char *sae)
{
    return equal(run, a, sae, b, sae);
}

static int replay(struct run *run, const char *consumer, const char *set)
{
    char buffer[HARNESS_PATH_BYTES + 16];
    snprintf(buffer, sizeof buffer, "%s/buffer", run->state);
    return run_command(run, SECONDS, "sluice-trainer", run->config, "--replay", buffer,
                       "--consumer", consumer, "--set", set, NULL);
}

static void twice_is_the_same(void **state)
{
    struct run *run = *state;
    if (replay(run, "first", "trainer.threads=2") != 0) fail_msg("%s", run->err);
    if (replay(run, "second", "trainer.threads=2") != 0) fail_msg("%s", run->err);
    assert_true(same(run, "first", "second", "one"));
    assert_true(same(run, "first", "second", "two"));
    json_t *summary = run_summary(run, "first");
    assert_true(json_is_true(json_object_get(summary, "replay")));
    json_int_t held = json_integer_value(json_object_get(summary, "held_out_rows"));
    assert_int_equal(json_integer_value(json_object_get(summary, "rows")), (ROWS - held) * 8);
    json_decref(summary);
}

/* Wait until the trainer has said something so many times, over all its lives. */
static void await_words(const struct run *run, const char *words, int times)
{
    double until = harness_seconds() + SOON;
    for (int seen = 0; seen < times; harness_sleep(0.01)) {
        char *text = run_text(run, "../resumed.out", NULL);
        seen = 0;
        for (char *at = text; at && (at = strstr(at, words)); at++) seen++;
        free(text);
        if (harness_seconds() > until) fail_msg("the trainer did not say '%s'", words);
    }
}

/* Lines of an SAE in a consumer's history; steps must rise. *last gets the last step. */
static int history(const struct run *run, const char *consumer, const char *sae,
                   unsigned long long *last)
{
    char below[128], name[64];
    int lines = 0;
    unsigned long long step;
    snprintf(below, sizeof below, "%s/history.tsv", consumer);
    char *text = run_text(run, below, NULL);
    *last = 0;
    for (char *line = text; line && (line = strchr(line, '\n')) && line[1];) {
        if (sscanf(++line, "%llu\t%*u\t%*f\t%63s\t", &step, name) != 2) break; /* being written */
        if (strcmp(name, sae) != 0) continue;
        if (step <= *last) fail_msg("%s: step %llu stands behind %llu", below, step, *last);
        *last = step;
        lines++;
    }
    free(text);
    return lines;
}

/* Wait for a line of a step beyond what the history has now. */
static void await_history(const struct run *run, const char *consumer)
{
    unsigned long long from, last = 0;
    history(run, consumer, "one", &from);
    for (double until = harness_seconds() + SOON; last <= from; harness_sleep(0.01)) {
        history(run, consumer, "one", &last);
        if (harness_seconds() > until) fail_msg("the history did not grow");
    }
}

/* Nothing beyond a checkpoint that was taken up is there twice, and the end is the summary's. */
static void history_is_whole(struct run *run, const char *consumer)
{
    unsigned long long last, rows_last;
    assert_true(history(run, consumer, "one", &last) >= 15); /* by the logarithm of the steps */
    json_t *summary = run_summary(run, consumer);
    assert_int_equal(last, json_integer_value(json_object_get(summary, "steps")));
    assert_int_equal(history(run, consumer, "one", &last), history(run, consumer, "two", &last));
    assert_int_equal(history(run, consumer, "rows", &rows_last), 0);
    json_decref(summary);
}

static void resumed_is_the_same(void **state)
{
    struct run *run = *state;
    char buffer[HARNESS_PATH_BYTES + 16];
    snprintf(buffer, sizeof buffer, "%s/buffer", run->state);
    for (int i = 0; i < 3;
         i++) { /* SIGTERM, kill -9 after a checkpoint, SIGTERM; then to the end */
        pid_t pid = run_start(run, "resumed", "sluice-trainer", run->config, "--replay", buffer,
                              "--consumer", "resumed", "--set", "trainer.threads=2", NULL);
        await_words(run, "msg=training ", i + 1);
        if (i == 1) await_words(run, "msg=checkpoint ", 2);
        if (i == 1) await_history(run, "resumed"); /* which that checkpoint does not cover */
        harness_sleep(i == 1 ? 0 : 0.1);
        kill(pid, i == 1 ? SIGKILL : SIGTERM);
        assert_int_equal(run_wait(pid, SOON), i == 1 ? HARNESS_SIGNALLED : 0);
    }
    json_t *early = run_summary(run, "resumed");
    assert_null(early); /* else it was through before it was stopped, and nothing is shown */
    if (replay(run, "resumed", "trainer.threads=2") != 0) fail_msg("%s", run->err);
    assert_non_null(strstr(run->err, "resumed"));
    assert_true(same(run, "first", "resumed", "one"));
    assert_true(same(run, "first", "resumed", "two"));
    history_is_whole(run, "resumed");
    history_is_whole(run, "first");
}

/* Alone, within a sweep, and twice within it under other names. */
static void an_item_is_the_same_whatever_is_beside_it(void **state)
{
    struct run *run = *state;
    const char *item = "{name: alone, arch: topk, features: 256, k: 8, lr: 3e-3}";
    char sweep[512], alone[256];
    snprintf(alone, sizeof alone, "trainer.saes=[%s]", item);
    snprintf(sweep, sizeof sweep,
             "trainer.saes=[{arch: [batchtopk, topk], features: [96, 256], k: 8, lr: 3e-3, "
             "seed: [0, 1]}, %s]",
             item);
    if (replay(run, "alone", alone) != 0) fail_msg("%s", run->err);
    if (replay(run, "sweep", sweep) != 0) fail_msg("%s", run->err);
    assert_true(equal(run, "alone", "alone", "sweep", "alone"));
    assert_true(equal(run, "alone", "alone", "sweep", "topk-256-k8-seed0"));
    assert_false(equal(run, "alone", "alone", "sweep", "topk-256-k8-seed1"));
    assert_false(equal(run, "alone", "alone", "sweep", "batchtopk-256-k8-seed0"));
}

static void another_seed_is_not(void **state)
{
    struct run *run = *state;
    if (replay(run, "other", "trainer.seed=1") != 0) fail_msg("%s", run->err);
    assert_false(same(run, "first", "other", "one"));
}

static void the_buffer_stays_as_it_was(void **state)
{
    struct run *run = *state;
    if (run_command(run, SOON, "sluice", "buffer", "info", run->config, NULL) != 0)
        fail_msg("%s", run->err);
    const char *slabs = strstr(run->out, "slabs");
    assert_non_null(slabs);
    if (!(strtod(slabs + strlen("slabs"), NULL) > 0)) fail_msg("no slab in: %s", run->out);
    char *states = run_text(run, "buffer/CONSUMERS/first.state", NULL);
    assert_null(states); /* a replay is no consumer: nothing may wait for it */
}

static void a_name_of_the_live_stream_is_refused(void **state)
{
    struct run *run = *state;
    char buffer[HARNESS_PATH_BYTES + 16];
    snprintf(buffer, sizeof buffer, "%s/buffer", run->state);
    int code = run_command(run, SECONDS, "sluice-trainer", run->config, "--replay", buffer,
                           "--consumer", "main", "--set", "trainer.consumers=main", NULL);
    assert_int_equal(code, 2);
    assert_non_null(strstr(run->err, "a replay needs a name of its own"));
}

static int set_up(void **state)
{
    if (run_set_up(state)) return -1;
    struct run *run = *state;
    run_configure(run, "dtype: f32", pipeline);
    if (run_command(run, SECONDS, "sluice", "up", run->config, NULL) == 0) return 0;
    print_message("%s\n", run->err);
    return -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twice_is_the_same),
        cmocka_unit_test(resumed_is_the_same),
        cmocka_unit_test(an_item_is_the_same_whatever_is_beside_it),
        cmocka_unit_test(another_seed_is_not),
        cmocka_unit_test(the_buffer_stays_as_it_was),
        cmocka_unit_test(a_name_of_the_live_stream_is_refused),
    };
    return cmocka_run_group_tests_name("replay", tests, set_up, run_tear_down);
}
