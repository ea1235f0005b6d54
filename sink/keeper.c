#include "sink/keeper.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    LIVE_FRAMES = 16,  /* room that a live stream keeps for each producer */
    FREE_AT_ONCE = 16, /* slabs freed in one transaction */
    EXPIRE_AT_ONCE = 512,
};

struct id_list {
    uint64_t *ids;
    size_t count;
};

static int free_ids(struct ledger *l, void *arg)
{
    struct id_list *list = arg;
    return store_free(l->stock.store, list->ids, list->count);
}

/* How many were freed: all, or those before the first trouble. replaces: each transaction says with
 * the state how many slabs went that way. In groups: LMDB writes down all pages that a transaction
 * frees as one value, for which a nearly full map may have no room in one piece. */
static size_t free_list(struct keeper *k, const struct id_list *list, int replaces, uint64_t now_ns)
{
    struct ledger *l = k->options.ledger;
    size_t done = 0;
    int result = ERR_OK;
    while (done < list->count && result == ERR_OK) {
        size_t left = list->count - done;
        struct id_list group = {list->ids + done, left < FREE_AT_ONCE ? left : FREE_AT_ONCE};
        uint64_t replaced = replaces ? group.count : 0;
        l->replaced_slabs += replaced;
        result = ledger_put(l, now_ns, free_ids, &group);
        if (result == ERR_OK)
            done += group.count;
        else
            l->replaced_slabs -= replaced;
    }
    if (result != ERR_OK) ledger_note_trouble(l, result, now_ns);
    ledger_count_stored(l);
    k->counters.replaced_slabs = l->replaced_slabs;
    return done;
}

static void free_covered(struct keeper *k, uint64_t now_ns)
{
    struct ledger *l = k->options.ledger;
    struct coverage coverage = consumers_coverage(l->consumers);
    size_t room = store_count(l->stock.store);
    struct id_list list = {malloc((room + 1) * sizeof *list.ids), 0};
    if (!list.ids) return;
    list.count = coverage_freeable(&coverage, l->stock.store, list.ids, room);
    k->counters.freed_slabs += free_list(k, &list, 0, now_ns);
    free(list.ids);
}

/* A live stream never waits: its oldest slabs make room for what comes. */
void keeper_replace(struct keeper *k, uint64_t now_ns)
{
    struct ledger *l = k->options.ledger;
    uint64_t want = (uint64_t)LIVE_FRAMES * l->sessions.producers;
    uint64_t quarter = store_capacity(l->stock.store) / 4;
    if (want > quarter) want = quarter;
    uint64_t unused = ledger_free_slabs(l);
    if (!l->is_live || sessions_all_ended(&l->sessions) || unused >= want) return;
    uint64_t ids[STORE_MAX_PRODUCERS * LIVE_FRAMES];
    struct id_list list = {ids, 0};
    while (list.count < want - unused && list.count < store_count(l->stock.store)) {
        ids[list.count] = store_slab(l->stock.store, list.count).id;
        list.count++;
    }
    free_list(k, &list, 1, now_ns);
}

void keeper_expire(struct keeper *k, uint64_t now_ns, uint64_t wall_ns)
{
    struct ledger *l = k->options.ledger;
    uint64_t age_ns = l->config->sink.retention_seconds * UINT64_C(1000000000);
    uint64_t ids[EXPIRE_AT_ONCE];
    struct id_list list = {ids, 0};
    if (!age_ns || !l->is_live || !ledger_is_open(l) || now_ns < l->retry_ns) return;
    if (wall_ns < age_ns) return;
    for (uint64_t i = 0; i < store_count(l->stock.store) && list.count < EXPIRE_AT_ONCE; i++) {
        struct slab_ref slab = store_slab(l->stock.store, i);
        if (slab.captured_ns < wall_ns - age_ns) ids[list.count++] = slab.id;
    }
    if (list.count > 0) k->counters.expired_slabs += free_list(k, &list, 1, now_ns);
}

static int can_write(const struct ledger *l, uint64_t now_ns)
{
    return l->stock.store && l->intake && now_ns >= l->retry_ns;
}

/* A consumer has come back with an older checkpoint: what it needs and is gone is made again. */
static void rewind_producers(struct keeper *k, uint64_t now_ns)
{
    struct ledger *l = k->options.ledger;
    struct coverage coverage = consumers_coverage(l->consumers);
    for (uint32_t p = 0; p < l->sessions.producers && !l->is_live; p++) {
        struct store_producer r = l->sessions.session[p].record;
        if (!coverage_rewind(&coverage, l->stock.store, p, &r)) continue;
        int result = ledger_record(l, p, &r, now_ns);
        if (result != ERR_OK) {
            ledger_note_trouble(l, result, now_ns);
            return;
        }
        k->counters.rewinds++;
        log_event(LOG_WARN, "a consumer needs frames that are gone: they are made again",
                  LOG_U("producer", p), LOG_U("from_number", r.next_number));
        if (l->sessions.session[p].session) {
            k->options.rewound(k->options.arg, p);
            ledger_end_session(l, p);
        }
        sessions_record(&l->sessions, p, &r);
    }
}

/* Nobody needs more rows: the stream ends here. */
static void stop_stream(struct keeper *k, uint64_t now_ns)
{
    struct ledger *l = k->options.ledger;
    struct coverage coverage = consumers_coverage(l->consumers);
    if (sessions_all_ended(&l->sessions) || !coverage_all_finished(&coverage)) return;
    log_info("all consumers are finished: the stream ends");
    for (uint32_t p = 0; p < l->sessions.producers; p++) {
        struct session *s = &l->sessions.session[p];
        struct store_producer r = s->record;
        r.ended = 1;
        int result = ledger_record(l, p, &r, now_ns);
        if (result != ERR_OK) {
            ledger_note_trouble(l, result, now_ns);
            return;
        }
        intake_drop(l->intake, p);
        s->expected = r.next_number;
        if (s->session) k->options.stopped(k->options.arg, p);
    }
}

/* Slabs are finished and can't be freed for want of a checkpoint. */
static void request_checkpoint(struct keeper *k, uint64_t now_ns)
{
    struct ledger *l = k->options.ledger;
    struct coverage coverage = consumers_coverage(l->consumers);
    const struct consumer_progress *progress = consumers_progress(l->consumers);
    uint64_t uncovered = coverage_uncovered(&coverage, l->stock.store, progress);
    uint64_t most =
        (uint64_t)(l->config->sink.checkpoint_share * (double)store_capacity(l->stock.store));
    int is_stuck =
        consumers_waiting(l->consumers) && !ledger_is_more_coming(l, ledger_free_slabs(l), now_ns);
    if (!uncovered || (uncovered <= most && !is_stuck)) return;
    if (sessions_all_ended(&l->sessions)) return; /* there is nothing to make room for */
    if (!consumers_answered(l->consumers, l->checkpoint_request)) return;
    l->checkpoint_request++;
    k->counters.checkpoint_requests++;
}

/* Its producers are told to go back, it is set aside, and another is opened. */
static void replace_buffer(struct keeper *k, uint64_t now_ns)
{
    struct ledger *l = k->options.ledger;
    log_error("the buffer is damaged: %s", err_text());
    for (uint32_t p = 0; p < l->sessions.producers; p++)
        if (l->sessions.session[p].session) k->options.rewound(k->options.arg, p);
    ledger_give_up_buffer(l, now_ns);
}

void keeper_settle(struct keeper *k, uint64_t now_ns)
{
    struct ledger *l = k->options.ledger;
    int changed;
    int result = consumers_poll(l->consumers, &changed);
    if (result != ERR_OK && log_allowed(&l->failed))
        log_error("a consumer's state: %s", err_text());
    k->has_news |= changed;
    if (!can_write(l, now_ns)) return;
    if (k->has_news) {
        rewind_producers(k, now_ns);
        if (now_ns >= l->retry_ns) free_covered(k, now_ns);
        k->has_news =
            now_ns < l->retry_ns; /* one of them failed: again, once a commit may be tried */
    }
    stop_stream(k, now_ns);
}

void keeper_poll(struct keeper *k, uint64_t now_ns)
{
    struct ledger *l = k->options.ledger;
    if (ledger_is_damaged(l)) replace_buffer(k, now_ns);
    ledger_reopen(l, now_ns);
    k->has_news |= l->has_opened; /* the states were read for it: what they cover is freed now */
    l->has_opened = 0;
    keeper_settle(k, now_ns);
    if (can_write(l, now_ns)) request_checkpoint(k, now_ns);
}
