#include "sink/ledger.h"

#include "base/clock.h"
#include "base/err.h"
#include "runtime/ours.h"
#include "sink/credit.h"

#include <stdio.h>
#include <string.h>

#define MILLISECONDS UINT64_C(1000000)
#define RETRY_EACH   (1000 * MILLISECONDS)  /* after a commit failed */
#define ROOM_EACH    (10 * MILLISECONDS)    /* while pages come free */
#define ROOM_WAIT    (200 * MILLISECONDS)   /* without pages: then trainers must draw on */
#define GRACE        (15000 * MILLISECONDS) /* after a start producers may still come back */

enum { MOST_IN_VAIN = 3 };

/* ---- trouble ---- */

static void fail_for_good(struct ledger *l, int code)
{
    if (l->fatal) return;
    l->fatal = code;
    snprintf(l->fatal_text, sizeof l->fatal_text, "%s", err_text());
}

/* Whether an error is the disk's: it may pass. */
static int is_of_the_disk(int code)
{
    return code == ERR_NOSPC || code == ERR_IO;
}

void ledger_forget_trouble(struct ledger *l)
{
    if (!l->intake || !intake_count(l->intake)) l->trouble[0] = 0;
}

static void distrust(struct ledger *l)
{
    char why[512];
    snprintf(why, sizeof why, "%s", err_text());
    snprintf(l->trouble, sizeof l->trouble, "%s", why);
    l->is_distrusted = 1;
    if (l->stock.store) store_report(l->stock.store, "the sink", why);
}

void ledger_note_trouble(struct ledger *l, int code, uint64_t now_ns)
{
    if (code == ERR_CORRUPT && l->stock.store) {
        distrust(l);
        l->retry_ns = now_ns + RETRY_EACH;
        return;
    }
    if (!is_of_the_disk(code)) {
        fail_for_good(l, code);
        return;
    }
    l->counters.failed_commits++;
    l->retry_ns = now_ns + RETRY_EACH;
    snprintf(l->trouble, sizeof l->trouble, "%s", err_text());
    if (code == ERR_NOSPC) ours_sweep(l->config);
    if (log_allowed(&l->failed))
        log_event(LOG_ERROR, "the buffer cannot be written; nothing is acked until it can",
                  LOG_S("why", l->trouble), LOG_U("frames_waiting", intake_count(l->intake)));
}

void ledger_show_trouble(struct ledger *l, int code)
{
    if (is_of_the_disk(code)) snprintf(l->trouble, sizeof l->trouble, "%s", err_text());
}

/* ---- promised ---- */

uint64_t ledger_reserved(const struct session *s)
{
    uint64_t committed = s->record.next_number - 1;
    return s->session && s->credit > committed ? s->credit - committed : 0;
}

static void fill_accounts(const struct ledger *l, struct credit_account *accounts)
{
    for (uint32_t p = 0; p < l->sessions.producers; p++) {
        const struct session *s = &l->sessions.session[p];
        accounts[p] = (struct credit_account){(int)s->record.ended, s->session && !s->is_measuring,
                                              ledger_reserved(s), l->stored[p]};
    }
}

uint64_t ledger_free_slabs(const struct ledger *l)
{
    uint64_t capacity = store_capacity(l->stock.store), count = store_count(l->stock.store);
    return capacity > count ? capacity - count : 0;
}

void ledger_count_stored(struct ledger *l)
{
    memset(l->stored, 0, sizeof l->stored);
    for (uint64_t i = 0; i < store_count(l->stock.store); i++)
        l->stored[store_slab(l->stock.store, i).producer]++;
}

void ledger_grant(struct ledger *l)
{
    struct credit_account accounts[STORE_MAX_PRODUCERS];
    if (!l->stock.store) return;
    fill_accounts(l, accounts);
    uint32_t n = l->sessions.producers;
    l->grant_turn++;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t p = (i + l->grant_turn) % n;
        struct session *s = &l->sessions.session[p];
        if (!s->session || s->is_measuring) continue;
        uint64_t slabs =
            credit_slabs(accounts, n, p, ledger_free_slabs(l), l->config->sink.window_slabs);
        uint64_t credit = s->record.next_number - 1 + slabs;
        if (credit <= s->credit) continue;
        s->credit = credit;
        accounts[p].reserved_slabs = slabs;
    }
}

int ledger_is_more_coming(const struct ledger *l, uint64_t free_after, uint64_t now_ns)
{
    struct credit_account accounts[STORE_MAX_PRODUCERS];
    uint32_t n = l->sessions.producers;
    if (!free_after) return 0;
    if (l->short_ns && now_ns >= l->short_ns + ROOM_WAIT) return 0; /* what comes finds no place */
    fill_accounts(l, accounts);
    for (uint32_t p = 0; p < n; p++) {
        const struct session *s = &l->sessions.session[p];
        accounts[p].is_live |= s->session || now_ns < l->started_ns + GRACE;
        uint64_t under_way = s->session && s->expected > s->record.next_number
                                 ? s->expected - s->record.next_number
                                 : 0;
        accounts[p].reserved_slabs -=
            under_way < accounts[p].reserved_slabs ? under_way : accounts[p].reserved_slabs;
    }
    for (uint32_t p = 0; p < n; p++)
        if (credit_slabs(accounts, n, p, free_after, l->config->sink.window_slabs)) return 1;
    return 0;
}

/* ---- published ---- */

static struct store_state state_after(const struct ledger *l, uint64_t free_after, uint64_t now_ns)
{
    struct store_state state = *store_state(l->stock.store);
    state.checkpoint_request = l->checkpoint_request;
    state.producers = l->sessions.producers;
    state.replaced_slabs = l->replaced_slabs;
    state.ended = (uint32_t)sessions_all_ended(&l->sessions);
    state.more_is_coming = !state.ended && ledger_is_more_coming(l, free_after, now_ns);
    return state;
}

static int is_same_state(const struct store_state *a, const struct store_state *b)
{
    return a->checkpoint_request == b->checkpoint_request && a->producers == b->producers &&
           a->replaced_slabs == b->replaced_slabs && a->ended == b->ended &&
           a->more_is_coming == b->more_is_coming;
}

int ledger_put(struct ledger *l, uint64_t now_ns, int (*change)(struct ledger *l, void *arg),
               void *arg)
{
    int result = store_begin(l->stock.store);
    if (result != ERR_OK) return result;
    if (change) result = change(l, arg);
    struct store_state state = state_after(l, ledger_free_slabs(l), now_ns);
    if (result == ERR_OK) result = store_state_put(l->stock.store, &state);
    if (result == ERR_OK) {
        result = store_commit(l->stock.store);
        if (result == ERR_OK) ledger_forget_trouble(l);
        return result;
    }
    store_abort(l->stock.store);
    return result;
}

void ledger_publish(struct ledger *l, uint64_t now_ns)
{
    if (!l->stock.store || now_ns < l->retry_ns) return;
    struct store_state want = state_after(l, ledger_free_slabs(l), now_ns);
    if (is_same_state(&want, store_state(l->stock.store))) return;
    int result = ledger_put(l, now_ns, NULL, NULL);
    if (result != ERR_OK) ledger_note_trouble(l, result, now_ns);
}

/* ---- committed ---- */

struct record_change {
    uint32_t producer;
    struct store_producer record;
};

static int put_record(struct ledger *l, void *arg)
{
    struct record_change *c = arg;
    return store_producer_put(l->stock.store, c->producer, &c->record);
}

int ledger_record(struct ledger *l, uint32_t producer, const struct store_producer *record,
                  uint64_t now_ns)
{
    struct record_change change = {producer, *record};
    struct store_producer before = l->sessions.session[producer].record;
    l->sessions.session[producer].record = *record; /* the state that goes with it counts it */
    int result = ledger_put(l, now_ns, put_record, &change);
    if (result != ERR_OK) l->sessions.session[producer].record = before;
    return result;
}

void ledger_end_session(struct ledger *l, uint32_t producer)
{
    if (l->intake) intake_drop(l->intake, producer);
    sessions_end(&l->sessions, producer);
}

static void count_commit(struct ledger *l, const struct intake_result *result, double seconds)
{
    l->trouble[0] = 0;
    l->counters.commits++;
    l->counters.commit_seconds += seconds;
    l->counters.frames += result->stored_frames;
    l->counters.rows += result->stored_rows;
    l->counters.bytes += result->stored_bytes;
    l->counters.known_frames += result->known_frames;
    for (uint32_t p = 0; p < l->sessions.producers; p++) l->stored[p] += result->stored[p];
    if (result->newest_captured_ns > l->counters.newest_captured_ns)
        l->counters.newest_captured_ns = result->newest_captured_ns;
}

int ledger_has_frames(const struct ledger *l)
{
    return l->intake && intake_count(l->intake) > 0;
}

/* For want of pages nothing is tried for a moment; for a long want trainers are told. */
static void note_room(struct ledger *l, int code, const struct intake_result *result,
                      uint64_t now_ns)
{
    if (code == ERR_AGAIN) {
        l->room_ns = now_ns + ROOM_EACH;
        if (!l->short_ns || result->stored_frames) l->short_ns = now_ns;
    } else if (code == ERR_OK) {
        l->short_ns = 0;
    }
}

int ledger_flush(struct ledger *l, uint64_t now_ns, struct intake_result *result, int *code)
{
    if (!ledger_has_frames(l) || now_ns < l->retry_ns || now_ns < l->room_ns || l->fatal) return 0;
    double begun = clock_seconds(CLOCK_MONOTONIC);
    uint64_t waiting = intake_count(l->intake), unused = ledger_free_slabs(l);
    struct store_state state = state_after(l, unused > waiting ? unused - waiting : 0, now_ns);
    struct coverage coverage = consumers_coverage(l->consumers);
    *code = intake_commit(l->intake, l->stock.store, &l->sessions, &coverage, &state, result);
    if (*code && *code != ERR_AGAIN)
        ledger_note_trouble(l, *code, now_ns);
    else
        count_commit(l, result, clock_seconds(CLOCK_MONOTONIC) - begun);
    note_room(l, *code, result, now_ns);
    return 1;
}

/* ---- opening ---- */

int ledger_open(struct ledger *l, const struct descriptor *like, uint64_t now_ns)
{
    uint32_t rewound;
    int changed;
    if (ledger_is_open(l)) return ERR_OK;
    int result = stock_prepare(&l->stock, like);
    if (result != ERR_OK) return result;
    result = consumers_poll(l->consumers, &changed);
    if (result == ERR_OK) result = stock_records(&l->stock, l->consumers, &l->sessions, &rewound);
    if (result != ERR_OK) return result;
    l->counters.rewinds += rewound;
    const struct store_state *state = store_state(l->stock.store);
    if (l->checkpoint_request < state->checkpoint_request)
        l->checkpoint_request = state->checkpoint_request;
    if (l->replaced_slabs < state->replaced_slabs) l->replaced_slabs = state->replaced_slabs;
    struct claims claims = {l->sessions.producers, stock_rows_per_slab(&l->stock), l->is_live};
    result = intake_new(frame_raw_bytes(claims.rows_per_slab, like->width, like->dtype), &claims,
                        &l->intake);
    if (result != ERR_OK) return result;
    l->wants_open = 0;
    l->has_opened = 1;
    ledger_count_stored(l);
    ledger_forget_trouble(l);
    ledger_publish(l, now_ns);
    return ERR_OK;
}

/* ---- a buffer that is damaged ---- */

int ledger_is_damaged(struct ledger *l)
{
    if (!l->stock.store) return 0;
    if (!l->is_distrusted) return store_check(l->stock.store) == ERR_CORRUPT;
    if (store_check(l->stock.store) == ERR_OK)
        store_report(l->stock.store, "the sink", l->trouble); /* there was no room for it */
    return store_check(l->stock.store) == ERR_CORRUPT;
}

static void count_in_vain(struct ledger *l)
{
    const struct consumer_progress *progress = consumers_progress(l->consumers);
    uint64_t drawn = l->counters.frames;
    if (l->config->trainer.consumers.count) drawn = 0;
    for (uint32_t i = 0; i < l->config->trainer.consumers.count; i++)
        drawn += progress[i].rows_drawn;
    l->in_vain = l->in_vain && drawn == l->drawn_rows ? l->in_vain + 1 : 1;
    l->drawn_rows = drawn;
}

void ledger_give_up_buffer(struct ledger *l, uint64_t now_ns)
{
    for (uint32_t p = 0; p < l->sessions.producers; p++) ledger_end_session(l, p);
    intake_free(l->intake);
    l->intake = NULL;
    stock_give_up(&l->stock);
    l->is_distrusted = 0;
    l->wants_open = l->stock.descriptor.measured; /* else the next HELLO opens one */
    l->retry_ns = l->room_ns = now_ns;
    l->short_ns = 0;
    count_in_vain(l);
    if (l->in_vain <= MOST_IN_VAIN) return;
    err_set(ERR_CORRUPT,
            "%u buffers in a row were damaged before a row was drawn of them; HINT: look at the "
            "disk and the memory of this machine; the buffers lie beside %s",
            l->in_vain, l->stock.buffer_dir);
    fail_for_good(l, ERR_CORRUPT);
}

void ledger_reopen(struct ledger *l, uint64_t now_ns)
{
    if (!l->wants_open || ledger_is_open(l) || now_ns < l->retry_ns || l->fatal) return;
    int result = ledger_open(l, &l->stock.descriptor, now_ns);
    if (result == ERR_OK) return;
    if (result == ERR_AGAIN || result == ERR_EXISTS || is_of_the_disk(result)) {
        l->retry_ns = now_ns + RETRY_EACH / 2;
        snprintf(l->trouble, sizeof l->trouble, "%s", err_text());
        if (result == ERR_NOSPC) ours_sweep(l->config);
        if (log_allowed(&l->failed))
            log_event(LOG_ERROR, "the buffer is not opened yet", LOG_S("why", l->trouble));
    } else {
        fail_for_good(l, result);
    }
}

int ledger_is_open(const struct ledger *l)
{
    return l->stock.store && l->intake;
}

int ledger_init(struct ledger *l, const struct config *config, uint64_t life, uint64_t now_ns)
{
    char dir[CONFIG_PATH_BYTES];
    *l = (struct ledger){.config = config, .started_ns = now_ns};
    l->is_live = config->stream.policy == CONFIG_SHED;
    sessions_init(&l->sessions, config->capture.producers, life);
    int result = config_buffer_dir(config, dir);
    if (result == ERR_OK) result = consumers_new(dir, &config->trainer.consumers, &l->consumers);
    if (result == ERR_OK) result = stock_open(&l->stock, config);
    if (result == ERR_NOSPC && l->stock.descriptor.measured) { /* waited for, as later on */
        ledger_show_trouble(l, result);
        log_event(LOG_ERROR, "the buffer is not opened yet", LOG_S("why", l->trouble));
        l->retry_ns = now_ns + RETRY_EACH / 2;
        l->wants_open = 1;
        return ERR_OK;
    }
    if (result != ERR_OK || !l->stock.store) return result;
    l->wants_open = 1;
    ledger_reopen(l, now_ns);
    return l->fatal ? err_set(l->fatal, "%s", l->fatal_text) : ERR_OK;
}

void ledger_fini(struct ledger *l)
{
    intake_free(l->intake);
    stock_close(&l->stock);
    consumers_free(l->consumers);
}
