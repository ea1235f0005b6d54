/*
 * A stream of rows that running programs hand over comes to its end by `sluice finish`: the programs are
 * told, an autoencoder is there, and every row that was taken is accounted for.
 */
#include "base/err.h"
#include "buffer/store.h"
#include "client/sluice.h"
#include "tests/e2e/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { WIDTH = 32, SEQUENCE_ROWS = 50, BATCH = 256 };

static pid_t up(struct run *run, const char *trainer)
{
    char text[2048];
    snprintf(
        text, sizeof text,
        "capture: { engine: ring, rings: %s/rings, measure_contexts: 8 }\n"
        "sink: { size: 8MiB }\n"
        "trainer: { batch_rows: %d, eval_rows: 2000, checkpoint_seconds: 1, min_rows: 4000, %s\n"
        "           saes: [ { arch: topk, features: 64, k: 4 } ] }\n",
        run->dir, BATCH, trainer);
    run_configure(run, "policy: shed, dtype: f32, hooks: [resid_post.1]", text);
    return run_start(run, "up", "sluice", "up", run->config, NULL);
}

static struct sluice *program(const struct run *run)
{
    static const struct sluice_hook hook = {"resid_post.1", WIDTH};
    char rings[HARNESS_PATH_BYTES + 16];
    struct sluice *s;
    snprintf(rings, sizeof rings, "%s/rings", run->dir);
    mkdir(rings, 0700);
    struct sluice_options o = {.size = sizeof o,
                               .stream = "test",
                               .hooks = &hook,
                               .hooks_count = 1,
                               .dtype = SLUICE_F32,
                               .folder = rings,
                               .model = "tiny",
                               .model_key = 5,
                               .ring_bytes = 4 << 20};
    if (sluice_open(&o, &s) != SLUICE_OK) fail_msg("%s", sluice_error());
    return s;
}

static void request(struct sluice *s, uint32_t mark)
{
    float values[WIDTH];
    uint64_t sequence = sluice_sequence(s);
    for (uint32_t p = 0; p < SEQUENCE_ROWS; p++) {
        struct sluice_row row = {sequence, p, mark, 0, 0};
        for (uint32_t i = 0; i < WIDTH; i++)
            values[i] = (float)((mark * 7919u + p * 104729u + i * 1299709u) % 10007u) / 5003 - 1;
        sluice_put(s, 1, &row, values);
    }
}

static struct sluice_counters counted(const struct sluice *s)
{
    struct sluice_counters c = {.size = sizeof c};
    sluice_counters(s, &c);
    return c;
}

/* Some 50,000 rows per second, until so many were drawn. */
static void requests_until(struct run *run, struct sluice *s, uint64_t drawn)
{
    static uint32_t mark;
    double until = harness_seconds() + 120;
    while (run_drawn(run, "main") < drawn) {
        if (harness_seconds() > until) fail_msg("too few rows are drawn");
        for (int i = 0; i < 20; i++) request(s, ++mark);
        harness_sleep(0.02);
    }
}

static void finish(struct run *run, const char *option)
{
    int code = run_command(run, 60, "sluice", "finish", run->config, option, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

static uint64_t number(const json_t *summary, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(summary, key));
}

/* Captured is stored, shed or rejected (or died); stored is drawn, missed, left or held out. */
static void closes(const struct run *run, int has_died)
{
    struct account a = account_of(run, WIDTH, DTYPE_F32, 8 << 20);
    json_t *s = run_summary(run, "main");
    assert_non_null(s);
    print_message("drawn %llu, missed %llu, undrawn %llu, held out %llu\n",
                  (unsigned long long)number(s, "rows"),
                  (unsigned long long)number(s, "missed_rows"),
                  (unsigned long long)number(s, "undrawn_rows"),
                  (unsigned long long)number(s, "held_out_rows"));
    assert_true(a.ended);
    if (has_died)
        assert_true(a.captured >= a.stored + a.shed + a.rejected);
    else
        assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    assert_int_equal(number(s, "rows") + number(s, "skipped_rows") + number(s, "held_out_rows"),
                     a.stored);
    json_decref(s);
}

static void ends_well(struct run *run, pid_t pid)
{
    int code = run_wait(pid, 240);
    if (code != 0) fail_msg("sluice up ended with %d", code);
    char *weights = run_text(run, "main/export/topk-64-k4/saelens/sae_weights.safetensors", NULL);
    assert_non_null(weights);
    free(weights);
}

/* The program goes on with its requests all the time, and hears of it. */
static void a_program_at_work_is_told(void **state)
{
    struct run *run = *state;
    pid_t pid = up(run, "");
    struct sluice *s = program(run);
    requests_until(run, s, 30000);
    run_kill(run, "capture-0");
    requests_until(run, s, 60000);
    finish(run, NULL);
    run_kill(run, "trainer-main");
    double until = harness_seconds() + 120;
    for (uint32_t mark = 1; !counted(s).is_refused && harness_seconds() < until; mark++) {
        request(s, mark);
        harness_sleep(0.001);
    }
    assert_string_equal(counted(s).reason, "the stream has ended");
    sluice_close(s);
    ends_well(run, pid);
    closes(run, 1);
}

/* Nobody asks it for anything any more: with more rows to come than there are, it is ended at once. */
static void a_program_that_is_idle_holds_nothing_up(void **state)
{
    struct run *run = *state;
    pid_t pid = up(run, "finish_rows: 100000000,");
    assert_int_equal(run_command(run, 60, "sluice", "finish", run->config, NULL), 1);
    harness_has(run->err, "has made no rows yet");
    struct sluice *s = program(run);
    requests_until(run, s, 20000);
    finish(run, NULL);
    harness_sleep(3);
    assert_false(counted(s).is_refused);
    finish(run, "--now");
    ends_well(run, pid);
    assert_string_equal(counted(s).reason, "the stream has ended");
    sluice_close(s);
    closes(run, 0);
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_program_at_work_is_told, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_program_that_is_idle_holds_nothing_up, run_set_up,
                                        run_tear_down),
    };
    return cmocka_run_group_tests_name("finish_live", tests, NULL, NULL);
}
