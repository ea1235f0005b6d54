/*
 * The ledger and the keeper on a real store, without a desk: nobody speaks, the test looks at what
 * is promised, published and committed.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "buffer/consumer.h"
#include "proto/message.h"
#include "sink/keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 64 };
static const uint64_t second = 1000000000;

struct rig {
    char dir[64];
    struct config *config;
    struct ledger ledger;
    struct keeper keeper;
    uint64_t now;
    uint32_t rewound, stopped; /* bits: producers */
    uint64_t session_when_told;
};

static void note_rewound(void *arg, uint32_t producer)
{
    struct rig *r = arg;
    r->rewound |= 1u << producer;
    r->session_when_told = r->ledger.sessions.session[producer].session;
}

static void note_stopped(void *arg, uint32_t producer)
{
    struct rig *r = arg;
    r->stopped |= 1u << producer;
}

static void begin(struct rig *r, uint32_t producer)
{
    uint32_t replaced;
    sessions_begin(&r->ledger.sessions, producer, producer + 1, r->now, &replaced);
}

static void start(struct rig *r, const char *policy, const char *consumers)
{
    char text[1024];
    struct descriptor d = {.stream = "s", .dtype = DTYPE_F32, .width = WIDTH, .hooks = 1};
    d.share_count = 2;
    strcpy(d.hook[0].name, "h");
    d.hook[0].width = WIDTH;
    d.hook[0].scale = 1;
    memset(r, 0, sizeof *r);
    r->now = 1000 * second;
    strcpy(r->dir, "/tmp/sluice-ledger-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    int n = snprintf(text, sizeof text,
                     "stream: { name: s, dtype: f32, policy: %s, run_dir: %s/run }\n"
                     "capture: { engine: synthetic, producers: 2, synthetic: { width: 64 } }\n"
                     "sink: { size: 4MiB }\n"
                     "trainer: { consumers: [%s], batch_rows: 16 }\n",
                     policy, r->dir, consumers);
    if (config_parse(text, (size_t)n, "test", NULL, 0, &r->config)) fail_msg("%s", err_text());
    if (ledger_init(&r->ledger, r->config, 1, r->now)) fail_msg("%s", err_text());
    assert_false(ledger_is_open(&r->ledger));
    if (ledger_open(&r->ledger, &d, r->now)) fail_msg("%s", err_text());
    assert_true(ledger_is_open(&r->ledger));
    r->keeper.options = (struct keeper_options){&r->ledger, note_rewound, note_stopped, r};
    begin(r, 0);
    begin(r, 1);
}

static void finish(struct rig *r)
{
    ledger_fini(&r->ledger);
    config_free(r->config);
    assert_int_equal(dir_remove(r->dir), 0);
}

/* A slab of a producer, put past the intake. */
static int put_slab(struct ledger *l, void *arg)
{
    uint32_t p = *(uint32_t *)arg, rows = 1;
    struct store_producer record = l->sessions.session[p].record;
    struct slab_header h = {.number = record.next_number++, .producer = p, .epoch = 1};
    void *raw;
    h.rows = rows;
    h.width = WIDTH;
    h.dtype = DTYPE_F32;
    h.raw_bytes = (uint32_t)frame_raw_bytes(rows, WIDTH, DTYPE_F32);
    int rc = store_put(l->stock.store, &h, &raw);
    if (rc) return rc;
    memset(raw, 0, h.raw_bytes);
    record.rows += rows;
    rc = store_producer_put(l->stock.store, p, &record);
    if (!rc) sessions_record(&l->sessions, p, &record);
    return rc;
}

static void fill(struct rig *r, uint32_t producer, uint64_t slabs)
{
    for (uint64_t i = 0; i < slabs; i++)
        assert_int_equal(ledger_put(&r->ledger, r->now, put_slab, &producer), 0);
    ledger_count_stored(&r->ledger);
}

static uint64_t promised(const struct rig *r)
{
    return ledger_reserved(&r->ledger.sessions.session[0]) +
           ledger_reserved(&r->ledger.sessions.session[1]);
}

/* What is promised has a slab, however full the buffer is; an ended session gives it back. */
static void promises_have_slabs(void **unused)
{
    (void)unused;
    struct rig r;
    start(&r, "block", "");
    ledger_grant(&r.ledger);
    assert_true(promised(&r) > 0);
    for (int turn = 0; turn < 200 && ledger_free_slabs(&r.ledger) > 2; turn++) {
        assert_true(promised(&r) <= ledger_free_slabs(&r.ledger));
        fill(&r, 0, ledger_reserved(&r.ledger.sessions.session[0]) > 0);
        ledger_grant(&r.ledger);
    }
    assert_true(promised(&r) <= ledger_free_slabs(&r.ledger));
    assert_true(ledger_reserved(&r.ledger.sessions.session[1]) >= 2);
    ledger_end_session(&r.ledger, 1);
    assert_int_equal(ledger_reserved(&r.ledger.sessions.session[1]), 0);
    finish(&r);
}

/* Trainers read what was published last: an end is in the state of the transaction that commits
 * it. */
static void state_goes_with_what_it_tells(void **unused)
{
    (void)unused;
    struct rig r;
    start(&r, "block", "");
    assert_int_equal(store_state(r.ledger.stock.store)->producers, 2);
    assert_true(store_state(r.ledger.stock.store)->more_is_coming);
    for (uint32_t p = 0; p < 2; p++) {
        struct store_producer record = r.ledger.sessions.session[p].record;
        assert_false(store_state(r.ledger.stock.store)->ended);
        record.ended = 1;
        assert_int_equal(ledger_record(&r.ledger, p, &record, r.now), 0);
    }
    assert_true(store_state(r.ledger.stock.store)->ended);
    assert_false(store_state(r.ledger.stock.store)->more_is_coming);
    r.ledger.checkpoint_request = 7;
    r.ledger.retry_ns = r.now + 1;
    ledger_publish(&r.ledger, r.now); /* the last commit failed a moment ago */
    assert_int_equal(store_state(r.ledger.stock.store)->checkpoint_request, 0);
    ledger_publish(&r.ledger, r.now + 1);
    assert_int_equal(store_state(r.ledger.stock.store)->checkpoint_request, 7);
    finish(&r);
}

static int refuse(struct ledger *l, void *arg)
{
    (void)l;
    return err_set(*(int *)arg, "made to fail");
}

/* What fails leaves nothing behind; a full disk is waited for, anything else is the end. */
static void failure_is_noted(void **unused)
{
    (void)unused;
    struct rig r;
    int code = ERR_NOSPC;
    start(&r, "block", "");
    r.ledger.checkpoint_request = 5;
    assert_int_equal(ledger_put(&r.ledger, r.now, refuse, &code), ERR_NOSPC);
    assert_int_equal(store_state(r.ledger.stock.store)->checkpoint_request, 0);
    ledger_note_trouble(&r.ledger, code, r.now);
    assert_string_equal(r.ledger.trouble, "made to fail");
    assert_true(r.ledger.retry_ns > r.now);
    assert_int_equal(r.ledger.fatal, ERR_OK);
    ledger_forget_trouble(&r.ledger);
    assert_string_equal(r.ledger.trouble, "");
    err_set(ERR_CORRUPT, "the file is damaged");
    ledger_note_trouble(&r.ledger, ERR_CORRUPT, r.now);
    assert_int_equal(r.ledger.fatal, ERR_CORRUPT);
    assert_string_equal(r.ledger.fatal_text, "the file is damaged");
    finish(&r);
}

/* ---- the keeper ---- */

static void write_state(struct rig *r, uint64_t lowest, uint32_t finished)
{
    struct consumer_producer p[2] = {
        {.lowest = lowest, .harvested = lowest, .epoch = 1, .cursor = {.position = 9}},
        {.lowest = 1, .harvested = 1}};
    struct consumer_state state = {.name = "c",
                                   .stream = stream_key("s"),
                                   .finished = finished,
                                   .producers = 2,
                                   .producer = p};
    assert_int_equal(consumer_write(r->ledger.stock.buffer_dir, &state), 0);
}

/* Nothing is freed before a checkpoint covers it, and nothing above what it covers. */
static void keeper_frees_what_is_covered(void **unused)
{
    (void)unused;
    struct rig r;
    start(&r, "block", "c");
    write_state(&r, 1, 0);
    fill(&r, 0, 10);
    keeper_poll(&r.keeper, r.now);
    assert_int_equal(store_count(r.ledger.stock.store), 10);
    write_state(&r, 5, 0);
    keeper_poll(&r.keeper, r.now);
    assert_int_equal(store_count(r.ledger.stock.store), 6);
    assert_int_equal(r.ledger.stored[0], 6);
    assert_int_equal(r.keeper.counters.freed_slabs, 4);
    assert_int_equal(r.rewound, 0);
    finish(&r);
}

/* An older checkpoint comes back: its producer makes again what is gone, and is told so while its
 * session is still there. The other producer is left alone. */
static void keeper_rewinds_for_an_older_checkpoint(void **unused)
{
    (void)unused;
    struct rig r;
    start(&r, "block", "c");
    fill(&r, 0, 10);
    write_state(&r, 5, 0);
    keeper_poll(&r.keeper, r.now);
    write_state(&r, 3, 0);
    keeper_poll(&r.keeper, r.now);
    assert_int_equal(r.rewound, 1);
    assert_true(r.session_when_told != 0);
    assert_int_equal(r.ledger.sessions.session[0].session, 0);
    assert_int_equal(r.ledger.sessions.session[0].record.next_number, 3);
    assert_true(r.ledger.sessions.session[1].session != 0);
    assert_int_equal(r.keeper.counters.rewinds, 1);
    finish(&r);
}

/* A commit failed a moment ago: the news is kept until another may be tried. */
static void keeper_comes_back_to_what_failed(void **unused)
{
    (void)unused;
    struct rig r;
    start(&r, "block", "c");
    fill(&r, 0, 10);
    write_state(&r, 5, 0);
    r.ledger.retry_ns = r.now + second;
    keeper_poll(&r.keeper, r.now);
    assert_int_equal(store_count(r.ledger.stock.store), 10);
    keeper_poll(&r.keeper, r.now + second);
    assert_int_equal(store_count(r.ledger.stock.store), 6);
    finish(&r);
}

static void keeper_ends_what_nobody_needs(void **unused)
{
    (void)unused;
    struct rig r;
    start(&r, "block", "c");
    write_state(&r, 1, 1);
    ledger_end_session(&r.ledger, 1);
    keeper_poll(&r.keeper, r.now);
    assert_int_equal(r.stopped, 1); /* the other has no session to be told in */
    assert_true(store_state(r.ledger.stock.store)->ended);
    finish(&r);
}

static void keeper_replaces_in_a_live_stream_only(void **unused)
{
    (void)unused;
    struct rig r;
    start(&r, "block", "");
    while (ledger_free_slabs(&r.ledger) > 0) fill(&r, 0, 1);
    keeper_replace(&r.keeper, r.now);
    assert_int_equal(ledger_free_slabs(&r.ledger), 0);
    finish(&r);
    start(&r, "shed", "");
    while (ledger_free_slabs(&r.ledger) > 0) fill(&r, 0, 1);
    uint64_t oldest = store_slab(r.ledger.stock.store, 0).id;
    keeper_replace(&r.keeper, r.now);
    uint64_t made = ledger_free_slabs(&r.ledger);
    assert_true(made > 0);
    assert_int_equal(store_slab(r.ledger.stock.store, 0).id, oldest + made);
    assert_int_equal(store_state(r.ledger.stock.store)->replaced_slabs, made);
    finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises_have_slabs),
        cmocka_unit_test(state_goes_with_what_it_tells),
        cmocka_unit_test(failure_is_noted),
        cmocka_unit_test(keeper_frees_what_is_covered),
        cmocka_unit_test(keeper_rewinds_for_an_older_checkpoint),
        cmocka_unit_test(keeper_comes_back_to_what_failed),
        cmocka_unit_test(keeper_ends_what_nobody_needs),
        cmocka_unit_test(keeper_replaces_in_a_live_stream_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
