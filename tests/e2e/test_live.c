/*
 * A live stream from the program to the buffer: this process is the program, the engine `ring` takes
 * its rows, and what is killed meanwhile changes no row and no count.
 */
#include "base/err.h"
#include "buffer/scan.h"
#include "buffer/store.h"
#include "client/sluice.h"
#include "proto/rows.h"
#include "tests/e2e/account.h"
#include "tests/unit/client/ring_reader.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WIDTH = 32, SEQUENCE_ROWS = 50, SIZE_BYTES = 64 << 20, MOST_ROWS = 600000 };

static const struct sluice_hook hook = {"resid_post.1", WIDTH};

/* ---- the stream's processes ---- */

static struct child broker = {"broker", "sluice-broker", NULL, NULL, 0},
                    sink = {"sink", "sluice-sink", NULL, NULL, 0},
                    capture = {"capture-0", "sluice-capture", NULL, NULL, 0};

static void rings_of(const struct run *run, char *out)
{
    snprintf(out, HARNESS_PATH_BYTES + 16, "%s/rings", run->dir);
}

static void configure_sink(struct run *run, const char *capture_keys, const char *sink_keys,
                           const char *rest)
{
    char text[4096];
    snprintf(text, sizeof text,
             "capture: { engine: ring, rings: %s/rings, measure_contexts: 8%s }\n"
             "sink: { size: %dMiB%s }\n%s",
             run->dir, capture_keys, SIZE_BYTES >> 20, sink_keys, rest);
    run_configure(run, "policy: shed, dtype: f32, hooks: [resid_post.1]", text);
}

static void configure(struct run *run, const char *capture_keys, const char *rest)
{
    configure_sink(run, capture_keys, "", rest);
}

/* ---- the program ---- */

static struct sluice *host(const struct run *run, uint64_t ring_bytes)
{
    char rings[HARNESS_PATH_BYTES + 16];
    struct sluice *s;
    rings_of(run, rings);
    mkdir(rings, 0700);
    struct sluice_options o = {.size = sizeof o,
                               .stream = "test",
                               .hooks = &hook,
                               .hooks_count = 1,
                               .dtype = SLUICE_F32,
                               .folder = rings,
                               .model = "tiny",
                               .model_key = 5,
                               .ring_bytes = ring_bytes};
    if (sluice_open(&o, &s) != SLUICE_OK) fail_msg("%s", sluice_error());
    return s;
}

static uint32_t
    marks; /* sequences of all programs; a row's token tells which, and so does its value */

/* Of about one norm, and each row's own. */
static float value_of(uint32_t mark, uint32_t position, uint32_t i)
{
    return (float)((mark * 7919u + position * 104729u + i * 1299709u) % 10007u) / 5003 - 1;
}

/* A request: its rows one by one, as they are generated. */
static void request(struct sluice *s)
{
    float values[WIDTH];
    uint64_t sequence = sluice_sequence(s);
    uint32_t mark = ++marks;
    for (uint32_t p = 0; p < SEQUENCE_ROWS; p++) {
        struct sluice_row row = {sequence, p, mark, 0, 0};
        for (uint32_t i = 0; i < WIDTH; i++) values[i] = value_of(mark, p, i);
        sluice_put(s, 1, &row, values);
    }
}

static void requests(struct sluice *s, double seconds)
{
    double until = harness_seconds() + seconds;
    while (harness_seconds() < until) {
        for (int i = 0; i < 20; i++) request(s);
        harness_sleep(0.02); /* some 50,000 rows per second */
    }
}

/* Requests until so many rows more have reached the sink. */
static void requests_stored(const struct run *run, struct sluice *s, double rows)
{
    static const char acked[] = "sluice_capture_acked_rows_total";
    double until = harness_seconds() + 120, had = run_metric(run, "capture-0", acked), now;
    do {
        for (int i = 0; i < 40; i++) { /* some 10,000 per second: the buffer is to hold all */
            request(s);
            harness_sleep(0.005);
        }
        now = run_metric(run, "capture-0", acked);
        if (had < 0 || (now >= 0 && now < had)) had = now; /* it has just begun, or anew */
        if (harness_seconds() > until) fail_msg("%g rows are stored, after %g", now, had);
    } while (now < 0 || now < had + rows);
}

static struct sluice_counters counted(const struct sluice *s)
{
    struct sluice_counters c = {.size = sizeof c};
    sluice_counters(s, &c);
    return c;
}

static void await_read(const struct sluice *s)
{
    double until = harness_seconds() + 120;
    while (counted(s).read_rows < counted(s).written_rows) {
        if (harness_seconds() > until) fail_msg("rows wait in the ring for ever");
        harness_sleep(0.05);
    }
}

/* A ring that was closed goes once all that is in it, and what it shed, has been told. */
static void await_told(const struct run *run)
{
    char rings[HARNESS_PATH_BYTES + 16];
    struct ring_view view;
    rings_of(run, rings);
    for (double until = harness_seconds() + 120; view_open(rings, &view) == 0;) {
        munmap(view.ring, view.bytes);
        if (harness_seconds() > until) fail_msg("%s is there still", view.path);
        harness_sleep(0.05);
    }
}

/* ---- what must be there ---- */

static int by_name(const void *a, const void *b)
{
    const struct row_id *x = a, *y = b;
    if (x->sequence != y->sequence) return x->sequence < y->sequence ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* Every row of the buffer is the one that its token and position say, and no name is there twice. */
static uint64_t check_rows(const struct run *run)
{
    static struct row_id ids[MOST_ROWS];
    char dir[HARNESS_PATH_BYTES + 16];
    float values[WIDTH];
    struct scan *scan;
    struct scan_slab slab;
    uint64_t rows = 0;
    snprintf(dir, sizeof dir, "%s/buffer", run->state);
    if (scan_open(dir, &scan)) fail_msg("%s", err_text());
    while (scan_next(scan, &slab) == ERR_OK)
        for (uint32_t r = 0; r < slab.rows; r++) {
            struct row_id id = rows_id(slab.raw, r);
            assert_true(rows < MOST_ROWS);
            ids[rows++] = id;
            scan_values(scan, &slab, r, values);
            for (uint32_t i = 0; i < WIDTH; i++) {
                float is = value_of(id.token, id.position, i);
                if (values[i] != is)
                    fail_msg("token %u at %u has %g, not %g", id.token, id.position,
                             (double)values[i], (double)is);
            }
        }
    scan_close(scan);
    qsort(ids, rows, sizeof *ids, by_name);
    for (uint64_t i = 1; i < rows; i++) {
        if (by_name(&ids[i - 1], &ids[i]) == 0) fail_msg("two rows have one name");
        int is_same = ids[i - 1].sequence == ids[i].sequence;
        assert_int_equal(is_same, ids[i - 1].token == ids[i].token);
    }
    return rows;
}

/* ---- the tests ---- */

static void start_all(struct run *run)
{
    start(run, &broker);
    start(run, &sink);
    start(run, &capture);
}

static void leave_all(void)
{
    leave(&capture);
    leave(&sink);
    leave(&broker);
}

/* The program is switched off and on, closed and started again; the sink and the broker are killed. */
static void counts_close_from_program_to_buffer(void **state)
{
    struct run *run = *state;
    struct sluice_counters sum = {0}, c;
    configure(run, "", "trainer: { consumers: [] }\n");
    start_all(run);
    for (int life = 0; life < 3; life++) {
        struct sluice *s = host(run, 1 << 20);
        requests_stored(run, s, 10000);
        strike(run, life == 1 ? &broker : &sink);
        requests_stored(run, s, 10000);
        struct sluice_settings off = {sizeof off, 0, 1, 0}, on = {sizeof on, 1, 1, 0};
        sluice_set(s, &off);
        uint64_t before = counted(s).offered_rows;
        requests(s, 0.2);
        assert_int_equal(counted(s).offered_rows, before);
        sluice_set(s, &on);
        requests(s, 0.5);
        await_read(s);
        c = counted(s);
        assert_int_equal(c.offered_rows, c.written_rows + c.shed_rows);
        sum.written_rows += c.written_rows;
        sum.shed_rows += c.shed_rows;
        sluice_close(s);
    }
    await_told(run);
    leave_all();
    struct account a = account_of(run, WIDTH, DTYPE_F32, SIZE_BYTES);
    assert_int_equal(a.captured + a.filtered, sum.written_rows + sum.shed_rows);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    assert_true(a.stored > 50000 && a.filtered > 1000);
    assert_int_equal(check_rows(run), a.stored);
}

/* The reader is stopped, and the ring is too small for what comes meanwhile; then it is killed. */
static void a_reader_that_stops_costs_rows_and_no_names(void **state)
{
    struct run *run = *state;
    configure(run, "", "trainer: { consumers: [] }\n");
    start_all(run);
    struct sluice *s = host(run, 1 << 20);
    requests_stored(run, s, 10000);
    kill(capture.pid, SIGSTOP);
    double begin = harness_seconds();
    for (int i = 0; i < 1000; i++) request(s);
    assert_true(harness_seconds() - begin < 5); /* never waits */
    kill(capture.pid, SIGCONT);
    requests(s, 0.5);
    uint64_t shed = counted(s).shed_rows;
    assert_true(shed > 10000);
    for (int i = 0; i < 3; i++) {
        strike(run, &capture);
        requests(s, 1);
    }
    await_read(s);
    struct sluice_counters c = counted(s);
    sluice_close(s);
    await_told(run);
    leave_all();
    struct account a = account_of(run, WIDTH, DTYPE_F32, SIZE_BYTES);
    uint64_t died = a.captured - a.stored - a.shed - a.rejected;
    assert_true(a.captured >= a.stored + a.shed + a.rejected);
    assert_true(died < 60000);
    assert_true(a.captured + a.filtered <= c.written_rows + c.shed_rows);
    assert_true(a.shed >= shed);
    assert_int_equal(check_rows(run), a.stored);
}

/* From a program to an SAE with `sluice up`, which ends after capture.rows. */
static void an_sae_comes_of_a_running_program(void **state)
{
    struct run *run = *state;
    configure(
        run, ", rows: 40000",
        "trainer: { batch_rows: 512, eval_rows: 512, saes: [ { arch: topk, features: 64, k: 4, "
        "lr: 1e-3 } ] }\n");
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    struct sluice *s = host(run, 8 << 20);
    while (!counted(s).is_refused) requests(s, 0.2);
    assert_string_equal(counted(s).reason, "the stream has ended");
    assert_int_equal(run_wait(up, 240), 0);
    sluice_close(s);
    json_t *summary = run_summary(run, "main");
    assert_non_null(summary);
    json_decref(summary);
    char *weights = run_text(run, "main/export/topk-64-k4/saelens/sae_weights.safetensors", NULL);
    assert_non_null(weights);
    free(weights);
}

/* Whoever has enough says so: the rate falls, the run ends, and the program hears of it. */
static void a_live_run_is_finished(void **state)
{
    struct run *run = *state;
    configure(run, "",
              "trainer: { batch_rows: 512, min_rows: 4096, eval_rows: 512, saes: [ { arch: topk, "
              "features: 64, k: 4, lr: 1e-3 } ] }\n");
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    struct sluice *s = host(run, 8 << 20);
    double until = harness_seconds() + 120;
    while (run_drawn(run, "main") < 20000) {
        requests(s, 0.2);
        if (harness_seconds() > until) fail_msg("nothing is trained on");
    }
    assert_int_equal(run_command(run, 60, "sluice", "finish", run->config, NULL), 0);
    until = harness_seconds() + 120;
    while (!counted(s).is_refused) {
        requests(s, 0.2);
        if (harness_seconds() > until) fail_msg("the program is never told");
    }
    assert_string_equal(counted(s).reason, "the stream has ended");
    assert_int_equal(run_wait(up, 240), 0);
    sluice_close(s);
    json_t *summary = run_summary(run, "main");
    assert_non_null(summary);
    json_decref(summary);
}

static void a_program_that_comes_later(void **state)
{
    struct run *run = *state;
    configure(run, "", "trainer: { consumers: [] }\n");
    start_all(run);
    run_await_said(run, "capture-0.out", "no program writes to stream test yet", 1);
    struct sluice *s = host(run, 1 << 20);
    requests_stored(run, s, 2000);
    await_read(s);
    sluice_close(s);
    leave_all();
    assert_true(account_of(run, WIDTH, DTYPE_F32, SIZE_BYTES).stored > 1000);
}

static void what_was_read_to_measure_and_lost_is_told(void **state)
{
    struct run *run = *state;
    configure(run, "", "trainer: { consumers: [] }\n");
    struct sluice *s = host(run, 1 << 20);
    for (int i = 0; i < 10; i++) request(s); /* half of what is measured */
    start_all(run);
    await_read(s);
    run_await_said(run, "capture-0.out", "% of the first 1024 rows are there", 1);
    leave_all();
    char *text = run_text(run, "../capture-0.out", NULL);
    harness_has(text, "the rows read for that are lost\" rows=500");
    free(text);
    sluice_close(s);
}

/* Rows that lay in the ring for longer than they may be kept are dropped and counted; those of other times
 * are in slabs of their own, whose age is theirs. */
static void rows_that_waited_too_long_are_dropped(void **state)
{
    struct run *run = *state;
    configure_sink(run, "", ", retention: 600s", "trainer: { consumers: [] }\n");
    struct sluice *s = host(run, 1 << 20);
    for (int i = 0; i < 30; i++) request(s);
    char rings[HARNESS_PATH_BYTES + 16];
    struct ring_view view;
    rings_of(run, rings);
    assert_int_equal(view_open(rings, &view), 0);
    for (int i = 0; i < 30 * SEQUENCE_ROWS;
         i++) { /* as if the first ten had come 20 minutes ago, ... */
        struct ring_record *r = view_at(&view, (uint64_t)i);
        r->captured_ns -= i < 500 ? UINT64_C(1200000000000) : i < 1000 ? UINT64_C(400000000000) : 0;
    }
    munmap(view.ring, view.bytes);
    start_all(run);
    await_read(s);
    run_await_metric(run, "capture-0", "sluice_capture_acked_rows_total", 980);
    assert_true(run_metric(run, "capture-0", "sluice_capture_expired_rows_total") == 500);
    assert_true(run_metric(run, "capture-0", "sluice_capture_frames_total") >= 2);
    sluice_close(s);
    leave_all();
}

static void a_stream_that_nobody_writes_to_can_be_left(void **state)
{
    struct run *run = *state;
    configure(run, "", "trainer: { consumers: [] }\n");
    start_all(run);
    run_await_said(run, "capture-0.out", "no program writes to stream test yet", 1);
    run_await_metric(run, "broker", "sluice_broker_links", 0);
    run_await_metric(run, "sink", "sluice_buffer_expired_slabs_total", 0);
    leave_all();
}

static void rows_of_a_program_come_once(void **state)
{
    struct run *run = *state;
    run_configure(run, "policy: block, hooks: [resid_post.1]", "capture: { engine: ring }\n");
    assert_int_equal(run_command(run, 60, "sluice-capture", run->config, NULL), 2);
    harness_has(run->err, "policy: shed");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, run_set_up, run_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(counts_close_from_program_to_buffer),
        CASE(a_reader_that_stops_costs_rows_and_no_names),
        CASE(an_sae_comes_of_a_running_program),
        CASE(a_live_run_is_finished),
        CASE(a_program_that_comes_later),
        CASE(what_was_read_to_measure_and_lost_is_told),
        CASE(rows_that_waited_too_long_are_dropped),
        CASE(a_stream_that_nobody_writes_to_can_be_left),
        CASE(rows_of_a_program_come_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
