/*
 * From an engine to committed slabs, without a trainer: synthetic rows through capture, broker and
 * sink, each of which is killed (-9) in turn, into a buffer that holds the whole stream. Every row
 * that the engine makes must be there once, with its own values. And under `shed`: what was
 * captured is stored, shed or rejected, to the row.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "buffer/draw.h"
#include "buffer/scan.h"
#include "engine/engine.h"
#include "engine/options.h"
#include "proto/rows.h"
#include "tests/e2e/account.h"
#include "tests/e2e/fetch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ENDLESS = 1000000000 }; /* rows of a run that is stopped */
enum { WIDTH = 64, ROWS = 1200000, SEQUENCE_ROWS = 64, FEATURES = 512, L0 = 64, BATCH = 256 };

static void configure(struct run *run, const char *policy, unsigned producers, const char *size,
                      const char *more, unsigned rows)
{
    char text[2048];
    snprintf(text, sizeof text,
             "capture:\n"
             "  engine: synthetic\n"
             "  producers: %u\n"
             "  measure_contexts: 8\n"
             "%s"
             "  synthetic: { features: %u, width: %u, l0: %u, rows: %u, sequence_rows: %u }\n"
             "sink: { size: %s }\n"
             "trainer: { consumers: [], batch_rows: %u }\n",
             producers, more, FEATURES, WIDTH, L0, rows, SEQUENCE_ROWS, size, BATCH);
    run_configure(run, policy, text);
}

/* ---- what must be there ---- */

struct expected {
    uint64_t *hash; /* (ROWS) of the row's values in bf16, by sequence and position */
    uint8_t *seen;  /* (ROWS) */
};

static uint64_t hash_row(const float *x)
{
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < WIDTH; i++) hash = (hash ^ bf16_from_f32(x[i])) * 1099511628211u;
    return hash;
}

static size_t place(const struct row_id *id)
{
    size_t at = id->sequence * SEQUENCE_ROWS + id->position;
    if (id->position >= SEQUENCE_ROWS || at >= ROWS) fail_msg("a row of nowhere");
    return at;
}

static void expect_rows(struct expected *e)
{
    const char *hooks[] = {"synthetic"};
    struct engine_options o = {.kind = ENGINE_SYNTHETIC,
                               .hooks = hooks,
                               .share_count = 1,
                               .synthetic = {.features = FEATURES,
                                             .width = WIDTH,
                                             .l0 = L0,
                                             .zipf_exponent = 0.5,
                                             .groups = 0,
                                             .rows = ROWS,
                                             .sequence_rows = SEQUENCE_ROWS}};
    struct engine *engine;
    struct engine_batch batch;
    e->hash = calloc(ROWS, sizeof *e->hash);
    e->seen = calloc(ROWS, 1);
    if (engine_open(&o, &engine)) fail_msg("%s", err_text());
    while (!engine_next(engine, &batch) && batch.rows)
        for (size_t i = 0; i < batch.rows; i++)
            e->hash[place(&batch.ids[i])] = hash_row(batch.values + i * WIDTH);
    engine_close(engine);
}

/* Draw every row of the ended buffer; count how often each was there. */
static void check_rows(const struct run *run, struct expected *e)
{
    static float values[BATCH * WIDTH];
    static struct row_id ids[BATCH];
    char dir[2 * HARNESS_PATH_BYTES];
    struct draw *draw;
    uint64_t rows = 0, wrong = 0;
    int rc;
    snprintf(dir, sizeof dir, "%s/buffer", run->state);
    struct draw_options options = {.dir = dir,
                                   .stream = "test",
                                   .consumer = "test",
                                   .reuse = 1,
                                   .batch_rows = BATCH,
                                   .min_rows = 1};
    if (draw_open(&options, &draw)) fail_msg("%s", err_text());
    for (;;) {
        struct draw_batch batch = {.values = values, .ids = ids, .rows = BATCH};
        rc = draw_next(draw, &batch);
        if (rc) break;
        for (size_t i = 0; i < batch.rows; i++) {
            size_t at = place(&ids[i]);
            e->seen[at]++;
            wrong += e->hash[at] != hash_row(values + i * WIDTH);
        }
        rows += batch.rows;
    }
    if (rc != ERR_NOTFOUND) fail_msg("%s", err_text());
    draw_close(draw);
    assert_int_equal(rows, ROWS);
    assert_int_equal(wrong, 0);
    for (size_t i = 0; i < ROWS; i++)
        if (e->seen[i] != 1) fail_msg("row %zu is there %u times", i, e->seen[i]);
}

/* ---- the tests ---- */

/* Until so many rows are in the buffer, with the captures held then, so that they are not over before
 * they are struck. *scan is NULL at first, and counts on; *stored is what it has counted. */
static void hold_at(const struct run *run, const struct child *capture, unsigned producers,
                    struct scan **scan, uint64_t *stored, uint64_t rows)
{
    char dir[2 * HARNESS_PATH_BYTES];
    struct scan_slab slab;
    snprintf(dir, sizeof dir, "%s/buffer", run->state);
    for (double until = harness_seconds() + 120; *stored < rows; harness_sleep(0.005)) {
        if (harness_seconds() > until)
            fail_msg("%llu rows are stored", (unsigned long long)*stored);
        if (!*scan && scan_open(dir, scan)) continue;
        while (scan_next(*scan, &slab) == 0) *stored += slab.rows;
    }
    for (unsigned i = 0; i < producers; i++) kill(capture[i].pid, SIGSTOP);
}

static void every_row_once(struct run *run, unsigned producers)
{
    struct expected e;
    struct scan *scan = NULL;
    uint64_t stored = 0;
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture[2] = {{"capture-0", "sluice-capture", "--producer", "0", 0},
                               {"capture-1", "sluice-capture", "--producer", "1", 0}};
    struct child *order[] = {&sink, &capture[0], &broker, &capture[producers - 1], &sink, &broker};
    configure(run, "policy: block", producers, "512MiB", "", ROWS);
    start(run, &broker);
    start(run, &sink);
    for (unsigned i = 0; i < producers; i++) start(run, &capture[i]);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        hold_at(run, capture, producers, &scan, &stored, (i + 1) * ROWS / 8);
        strike(run, order[i]);
        for (unsigned p = 0; p < producers; p++) kill(capture[p].pid, SIGCONT);
    }
    scan_close(scan);
    for (unsigned i = 0; i < producers; i++) assert_int_equal(run_wait(capture[i].pid, 240), 0);
    assert_int_equal(run_wait(sink.pid, 60), 0);
    kill(broker.pid, SIGTERM);
    assert_int_equal(run_wait(broker.pid, 60), 0);
    expect_rows(&e);
    check_rows(run, &e);
    free(e.hash);
    free(e.seen);
}

static void kills_one_producer(void **state)
{
    every_row_once(*state, 1);
}

static void kills_two_producers(void **state)
{
    every_row_once(*state, 2);
}

static struct store *buffer_of(const struct run *run, uint64_t size_bytes)
{
    char dir[2 * HARNESS_PATH_BYTES];
    struct store *store;
    snprintf(dir, sizeof dir, "%s/buffer", run->state);
    struct store_options options = {.dir = dir,
                                    .stream = "test",
                                    .size_bytes = size_bytes,
                                    .width = WIDTH,
                                    .dtype = DTYPE_BF16};
    if (store_open(&options, &store)) fail_msg("%s", err_text());
    return store;
}

/* capture.rows ends the run to the row, split over the producers. */
static void rows_are_exact(void **state)
{
    struct run *run = *state;
    configure(run, "policy: block", 3, "64MiB", "  rows: 100000\n", ROWS);
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture[3] = {{"capture-0", "sluice-capture", "--producer", "0", 0},
                               {"capture-1", "sluice-capture", "--producer", "1", 0},
                               {"capture-2", "sluice-capture", "--producer", "2", 0}};
    start(run, &broker);
    start(run, &sink);
    for (int i = 0; i < 3; i++) start(run, &capture[i]);
    for (int i = 0; i < 3; i++) assert_int_equal(run_wait(capture[i].pid, 60), 0);
    assert_int_equal(run_wait(sink.pid, 60), 0);
    kill(broker.pid, SIGTERM);
    run_wait(broker.pid, 60);

    struct store *store = buffer_of(run, 64 << 20);
    assert_int_equal(store_state(store)->rows, 100000);
    assert_int_equal(store_state(store)->ended, 1);
    store_close(store);
}

/* What the buffer tells of producer 0, whose account must close. */
static struct account closed(const struct run *run)
{
    struct account a = account_of(run, WIDTH, DTYPE_BF16, 8 << 20);
    assert_true(a.replaced_slabs > 0);
    assert_int_equal(a.captured, a.stored + a.shed + a.rejected);
    return a;
}

/* Until the buffer was full and has replaced what was there: how long that takes depends, too. */
static void await_replaced(const struct run *run)
{
    static const char name[] = "\nsluice_buffer_replaced_slabs_total ";
    unsigned long replaced = 0;
    for (double until = harness_seconds() + 60; !replaced; harness_sleep(0.05)) {
        size_t bytes;
        char *address = run_text(run, "http/sink", &bytes), *page = NULL;
        if (harness_seconds() > until) fail_msg("no slab is replaced after 60 s");
        if (!address) continue;
        address[strcspn(address, "\n")] = '\0';
        if (fetch(address, "/metrics", 2000, &page, &bytes) == 0 && strstr(page, name))
            replaced = strtoul(strstr(page, name) + strlen(name), NULL, 10);
        free(page);
        free(address);
    }
}

/* A live run into a buffer far too small: much is shed, and every row is accounted for. */
static void shed_adds_up(void **state)
{
    struct run *run = *state;
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture = {"capture-0", "sluice-capture", "--producer", "0", 0};
    static const char name[] = "sluice_shed_rows_total";
    struct scan *scan = NULL;
    uint64_t stored = 0;
    configure(run, "policy: shed", 1, "8MiB", "", ROWS);
    start(run, &broker);
    start(run, &sink);
    start(run, &capture);
    hold_at(run, &capture, 1, &scan, &stored, ROWS / 8); /* two buffers full */
    scan_close(scan);
    kill(sink.pid, SIGSTOP); /* nobody takes anything for a while: inference must not wait */
    kill(capture.pid, SIGCONT);
    double shed = run_metric(run, "capture-0", name);
    while (run_process(run, "capture-0") && run_metric(run, "capture-0", name) <= shed)
        harness_sleep(0.05);
    kill(sink.pid, SIGCONT);
    assert_int_equal(run_wait(capture.pid, 60), 0);
    assert_int_equal(run_wait(sink.pid, 60), 0);
    kill(broker.pid, SIGTERM);
    run_wait(broker.pid, 60);

    struct account a = closed(run);
    assert_int_equal(a.captured, ROWS);
    assert_true(a.shed > 0);
}

/* Told to leave while the sink lags: what is under way is waited for, the rest counted as shed. */
static void a_live_producer_leaves(void **state)
{
    struct run *run = *state;
    struct child broker = {"broker", "sluice-broker", NULL, NULL, 0};
    struct child sink = {"sink", "sluice-sink", NULL, NULL, 0};
    struct child capture = {"capture-0", "sluice-capture", "--producer", "0", 0};
    configure(run, "policy: shed", 1, "8MiB", "", ENDLESS);
    start(run, &broker);
    start(run, &sink);
    start(run, &capture);
    await_replaced(run);
    kill(sink.pid, SIGSTOP);
    harness_sleep(0.3);
    kill(capture.pid, SIGTERM);
    harness_sleep(0.3);
    kill(sink.pid, SIGCONT);
    assert_int_equal(run_wait(capture.pid, 60), 0);
    kill(sink.pid, SIGTERM);
    assert_int_equal(run_wait(sink.pid, 60), 0);
    kill(broker.pid, SIGTERM);
    run_wait(broker.pid, 60);
    struct account a = closed(run);
    assert_true(a.captured < ENDLESS);
}

/* The same of a whole pipeline: captures leave while there is a sink. */
static void a_live_run_is_stopped(void **state)
{
    struct run *run = *state;
    configure(run, "policy: shed", 1, "8MiB", "", ENDLESS);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    await_replaced(run);
    kill(up, SIGINT);
    assert_int_equal(run_wait(up, 60), 0);
    struct account a = closed(run);
    char *log = run_text(run, "log/capture-0.log", NULL);
    const char *left = log ? strstr(log, "msg=left rows=") : NULL;
    assert_non_null(left);
    assert_non_null(strstr(log, "opening the engine"));
    assert_null(strstr(log, "why=\"\"")); /* no reason, no word of it */
    assert_int_equal(a.captured, strtoull(left + strlen("msg=left rows="), NULL, 10));
    free(log);
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_exact, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(kills_one_producer, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(kills_two_producers, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(shed_adds_up, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_live_producer_leaves, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_live_run_is_stopped, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
