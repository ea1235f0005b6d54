/*
 * The ledger and the keeper on a real store, without a desk: nobody speaks, the test looks at what
 * is promised, published and committed.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "buffer/consumer.h"
#include "buffer/damage.h"
#include "proto/descriptor.h"
#include "proto/message.h"
#include "sink/keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* What fails leaves nothing behind; a full disk is waited for, damage is made good, anything else is
 * the end. */
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
    assert_false(ledger_is_damaged(&r.ledger));
    err_set(ERR_CORRUPT, "the file is damaged");
    ledger_note_trouble(&r.ledger, ERR_CORRUPT, r.now);
    assert_int_equal(r.ledger.fatal, ERR_OK);
    assert_true(ledger_is_damaged(&r.ledger));
    assert_non_null(strstr(err_text(), "the file is damaged"));
    err_set(ERR_INTERNAL, "a slip of ours");
    ledger_note_trouble(&r.ledger, ERR_INTERNAL, r.now);
    assert_int_equal(r.ledger.fatal, ERR_INTERNAL);
    assert_string_equal(r.ledger.fatal_text, "a slip of ours");
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

/* ---- a damaged buffer ---- */

/* As a reader does it. */
static void report(const struct rig *r)
{
    const char *dir = r->ledger.stock.buffer_dir;
    assert_int_equal(damage_report(dir, damage_inode(dir), 0, "c", "slab 9 is damaged"), 0);
}

static void describe(struct rig *r)
{
    struct descriptor d = {.stream = "s", .dtype = DTYPE_F32, .width = WIDTH, .hooks = 1};
    float mean[WIDTH] = {0};
    char *out;
    size_t bytes;
    d.share_count = 2;
    d.measured = 1;
    d.mean = mean;
    d.shed = r->config->stream.policy == CONFIG_SHED;
    strcpy(d.hook[0].name, "h");
    d.hook[0].width = WIDTH;
    d.hook[0].scale = 1;
    assert_int_equal(descriptor_encode(&d, &out, &bytes), 0);
    if (stock_describe(&r->ledger.stock, &d, out, bytes)) fail_msg("%s", err_text());
    free(out);
}

/* Ten frames of producer 0, whose record says epoch 3. */
static void start_with_frames(struct rig *r, const char *policy, const char *consumers)
{
    start(r, policy, consumers);
    describe(r);
    struct store_producer record = r->ledger.sessions.session[0].record;
    record.epoch = 3;
    assert_int_equal(ledger_record(&r->ledger, 0, &record, r->now), 0);
    sessions_record(&r->ledger.sessions, 0, &record);
    fill(r, 0, 10);
    r->ledger.checkpoint_request = 6;
}

/* What a reader reports is set aside at the next look: sessions are over, and their producers go on
 * from where a consumer needs them, from the beginning where nobody says what is covered, or, in a
 * live stream, with numbers that were never used. */
static void a_reported_buffer_is_replaced(void **unused)
{
    (void)unused;
    static const struct {
        const char *policy, *consumers;
        uint64_t next;
    } rows[] = {{"block", "c", 5}, {"block", "", 1}, {"shed", "c", 11}, {"shed", "", 11}};
    for (size_t i = 0; i < 4; i++) {
        struct rig r;
        start_with_frames(&r, rows[i].policy, rows[i].consumers);
        if (rows[i].consumers[0]) write_state(&r, 5, 0);
        uint64_t run = store_state(r.ledger.stock.store)->run;
        report(&r);
        keeper_poll(&r.keeper, r.now);
        assert_true(ledger_is_open(&r.ledger));
        assert_true(store_state(r.ledger.stock.store)->run != run);
        assert_int_equal(store_count(r.ledger.stock.store), 0);
        assert_int_equal(r.ledger.stock.set_aside, 1);
        assert_int_equal(r.rewound, 3);
        assert_true(r.session_when_told != 0);
        struct store_producer kept;
        for (uint32_t p = 0; p < 2; p++) assert_int_equal(r.ledger.sessions.session[p].session, 0);
        assert_int_equal(r.ledger.sessions.session[0].record.next_number, rows[i].next);
        assert_int_equal(r.ledger.sessions.session[0].record.epoch, 3);
        assert_int_equal(store_producer_get(r.ledger.stock.store, 0, &kept), 0);
        assert_int_equal(kept.next_number, rows[i].next);
        assert_int_equal(kept.epoch, 3);
        if (strcmp(rows[i].policy, "block") == 0) /* of what is made again nothing counts twice */
            assert_int_equal(kept.past_totals.captured_rows, kept.rows - 10);
        assert_true(store_state(r.ledger.stock.store)->checkpoint_request >= 6);
        keeper_poll(&r.keeper, r.now + second);
        assert_int_equal(r.ledger.stock.set_aside, 1);
        finish(&r);
    }
}

/* What keeps it from being opened at once is waited for. */
static void another_buffer_waits_for_the_consumers_place(void **unused)
{
    (void)unused;
    struct rig r;
    char path[CONFIG_PATH_BYTES + 64];
    start_with_frames(&r, "block", "c");
    snprintf(path, sizeof path, "%s/CONSUMERS/c.state", r.ledger.stock.buffer_dir);
    write_state(&r, 5, 0);
    assert_int_equal(file_replace(path, "?", 1), 0);
    report(&r);
    keeper_poll(&r.keeper, r.now);
    assert_false(ledger_is_open(&r.ledger));
    assert_true(r.ledger.trouble[0] != 0);
    assert_int_equal(r.ledger.fatal, ERR_OK);
    write_state(&r, 7, 0);
    keeper_poll(&r.keeper, r.now + second);
    assert_true(ledger_is_open(&r.ledger));
    assert_string_equal(r.ledger.trouble, "");
    assert_int_equal(r.ledger.sessions.session[0].record.next_number, 7);
    finish(&r);
}

/* A machine that damages whatever is written would go on for ever. */
static void damage_without_end_is_the_end(void **unused)
{
    (void)unused;
    struct rig r;
    int fd;
    struct consumer_progress progress = {.stream = stream_key("s")};
    start_with_frames(&r, "block", "c");
    write_state(&r, 5, 0);
    assert_int_equal(consumer_progress_open(r.ledger.stock.buffer_dir, "c", &fd), 0);
    for (int i = 0; i < 12; i++) {
        if (i < 8) progress.rows_drawn++; /* there is something to show for it */
        assert_int_equal(consumer_progress_write(fd, &progress), 0);
        keeper_poll(&r.keeper, r.now += second);
        if (r.ledger.fatal) break;
        report(&r);
        keeper_poll(&r.keeper, r.now += second);
        if (i < 9) assert_int_equal(r.ledger.fatal, ERR_OK);
    }
    assert_int_equal(r.ledger.fatal, ERR_CORRUPT);
    assert_non_null(strstr(r.ledger.fatal_text, "memory of this machine"));
    close(fd);
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
        cmocka_unit_test(a_reported_buffer_is_replaced),
        cmocka_unit_test(another_buffer_waits_for_the_consumers_place),
        cmocka_unit_test(damage_without_end_is_the_end),
        cmocka_unit_test(keeper_replaces_in_a_live_stream_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
