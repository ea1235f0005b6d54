#include "sink/desk.h"

#include "base/err.h"
#include "runtime/log.h"
#include "sink/credit.h"
#include "sink/stock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MILLISECONDS UINT64_C(1000000)
#define BROKER_EACH  (1000 * MILLISECONDS)  /* heartbeat */
#define POLL_EACH    (200 * MILLISECONDS)   /* consumers' files */
#define STORE_EACH   (5000 * MILLISECONDS)  /* dead readers */
#define RETRY_EACH   (1000 * MILLISECONDS)  /* after a commit failed */
#define ROOM_EACH    (10 * MILLISECONDS)    /* while pages come free */
#define ROOM_WAIT    (200 * MILLISECONDS)   /* without pages: then trainers must draw on */
#define GRACE        (15000 * MILLISECONDS) /* after a start producers may still come back */
#define LINGER       (3000 * MILLISECONDS)  /* for producers to hear of the end */

enum {
    LIVE_FRAMES = 16,  /* room that a live stream keeps for each producer */
    FREE_AT_ONCE = 16, /* slabs freed in one transaction */
};

struct desk {
    struct desk_options options;
    const struct config *config;
    uint64_t stream;
    int is_live; /* policy shed */
    struct stock stock;
    struct consumers *consumers;
    struct sessions sessions;
    struct intake *intake;
    struct desk_counters counters;

    int is_attached;
    int wants_attach;
    uint64_t started_ns, broker_ns, poll_ns, store_ns;
    uint64_t retry_ns; /* no commit before: the last one failed */
    uint64_t room_ns;  /* no frame is tried before: there were no pages for it */
    uint64_t short_ns; /* since when there have been none; 0: there are */
    int has_news;      /* a consumer's state has changed and was not acted upon yet */
    uint64_t ended_ns; /* when the stream was seen to have ended; 0: it has not */
    uint64_t checkpoint_request, replaced_slabs;
    uint64_t stored[STORE_MAX_PRODUCERS];            /* slabs of each producer in the buffer */
    unsigned char has_declined[STORE_MAX_PRODUCERS]; /* to measure: its share has no rows for it */
    uint32_t grant_turn;                             /* whose turn it is to be served first */
    char trouble[512];
    int fatal; /* an error that there is no going on from */
    char fatal_text[1024];
    struct log_limit dropped, failed;
};

/* ---- saying ---- */

static struct message blank(const struct desk *d, uint8_t type)
{
    return (struct message){.type = type, .stream = d->stream};
}

static void say(struct desk *d, uint32_t link, const struct message *m)
{
    d->options.say(d->options.arg, link, m);
}

static void say_refuse(struct desk *d, uint32_t link, uint64_t session, int code, int may_retry,
                       const char *text)
{
    struct message m = blank(d, MESSAGE_REFUSE);
    m.session = session;
    m.code = (uint32_t)code;
    m.flags = may_retry ? MESSAGE_RETRY : 0;
    m.text = text;
    m.text_bytes = (uint32_t)strlen(text);
    say(d, link, &m);
}

/* What WELCOME and STATE have in common: where the producer is, and how far it may go. */
static struct message position(struct desk *d, uint8_t type, uint32_t producer)
{
    struct session *s = &d->sessions.session[producer];
    struct message m = blank(d, type);
    s->told_credit = s->credit;
    m.session = s->session;
    m.producer = producer;
    m.epoch = s->record.epoch;
    m.next_number = s->record.next_number;
    m.cursor = s->record.cursor;
    m.credit = s->credit;
    m.flags = s->record.ended ? MESSAGE_ENDED : 0;
    return m;
}

static void say_state(struct desk *d, uint32_t producer, uint32_t flags)
{
    struct message m = position(d, MESSAGE_STATE, producer);
    m.flags |= flags;
    d->counters.acks++;
    say(d, d->sessions.session[producer].link, &m);
}

static void fail_for_good(struct desk *d, int code)
{
    if (d->fatal) return;
    d->fatal = code;
    snprintf(d->fatal_text, sizeof d->fatal_text, "%s", err_text());
}

static int is_of_the_disk(int code)
{
    return code == ERR_NOSPC || code == ERR_IO;
}

/* A write went well. Frames that wait are what the trouble is about: their commit ends it. */
static void forget_trouble(struct desk *d)
{
    if (!d->intake || !intake_count(d->intake)) d->trouble[0] = 0;
}

/* A write failed: it is tried again; nothing that was acked depends on it. */
static void note_trouble(struct desk *d, int code, uint64_t now_ns)
{
    if (!is_of_the_disk(code)) {
        fail_for_good(d, code);
        return;
    }
    d->counters.failed_commits++;
    d->retry_ns = now_ns + RETRY_EACH;
    snprintf(d->trouble, sizeof d->trouble, "%s", err_text());
    if (log_allowed(&d->failed))
        log_event(LOG_ERROR, "the buffer cannot be written; nothing is acked until it can",
                  LOG_S("why", d->trouble), LOG_U("frames_waiting", intake_count(d->intake)));
}

/* ---- credit and the state that trainers read ---- */

static uint64_t reserved(const struct session *s)
{
    uint64_t committed = s->record.next_number - 1;
    return s->session && s->credit > committed ? s->credit - committed : 0;
}

static void fill_accounts(const struct desk *d, struct credit_account *accounts)
{
    for (uint32_t p = 0; p < d->sessions.producers; p++) {
        const struct session *s = &d->sessions.session[p];
        accounts[p] = (struct credit_account){(int)s->record.ended, s->session && !s->is_measuring,
                                              reserved(s), d->stored[p]};
    }
}

static uint64_t free_slabs(const struct desk *d)
{
    uint64_t capacity = store_capacity(d->stock.store), count = store_count(d->stock.store);
    return capacity > count ? capacity - count : 0;
}

static void count_stored(struct desk *d)
{
    memset(d->stored, 0, sizeof d->stored);
    for (uint64_t i = 0; i < store_count(d->stock.store); i++)
        d->stored[store_slab(d->stock.store, i).producer]++;
}

/* Promise what may be promised. Whoever has more than it knows is told where `tell` says so. */
static void grant(struct desk *d, int tell)
{
    struct credit_account accounts[STORE_MAX_PRODUCERS];
    if (!d->stock.store) return;
    fill_accounts(d, accounts);
    uint32_t n = d->sessions.producers;
    d->grant_turn++;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t p = (i + d->grant_turn) % n;
        struct session *s = &d->sessions.session[p];
        uint64_t slabs = credit_slabs(accounts, n, p, free_slabs(d), d->config->sink.window_slabs);
        uint64_t credit = s->record.next_number - 1 + slabs;
        if (!s->session || s->is_measuring) continue;
        if (credit > s->credit) {
            s->credit = credit;
            accounts[p].reserved_slabs = slabs;
        }
        if (tell && s->credit > s->told_credit) say_state(d, p, 0);
    }
}

/* Whether a trainer that waits for rows waits for something: with so many slabs free, a producer
 * that is there has room for another frame. Just after a start, those that are not there may still
 * come. */
static int is_more_coming(const struct desk *d, uint64_t free_after, uint64_t now_ns)
{
    struct credit_account accounts[STORE_MAX_PRODUCERS];
    uint32_t n = d->sessions.producers;
    if (!free_after) return 0;
    if (d->short_ns && now_ns >= d->short_ns + ROOM_WAIT) return 0; /* what comes finds no place */
    fill_accounts(d, accounts);
    for (uint32_t p = 0; p < n; p++) {
        const struct session *s = &d->sessions.session[p];
        accounts[p].is_live |= s->session || now_ns < d->started_ns + GRACE;
        uint64_t under_way = s->session && s->expected > s->record.next_number
                                 ? s->expected - s->record.next_number
                                 : 0;
        accounts[p].reserved_slabs -=
            under_way < accounts[p].reserved_slabs ? under_way : accounts[p].reserved_slabs;
    }
    for (uint32_t p = 0; p < n; p++)
        if (credit_slabs(accounts, n, p, free_after, d->config->sink.window_slabs)) return 1;
    return 0;
}

static struct store_state state_after(const struct desk *d, uint64_t free_after, uint64_t now_ns)
{
    struct store_state state = *store_state(d->stock.store);
    state.checkpoint_request = d->checkpoint_request;
    state.producers = d->sessions.producers;
    state.replaced_slabs = d->replaced_slabs;
    state.ended = (uint32_t)sessions_all_ended(&d->sessions);
    state.more_is_coming = !state.ended && is_more_coming(d, free_after, now_ns);
    return state;
}

static int is_same_state(const struct store_state *a, const struct store_state *b)
{
    return a->checkpoint_request == b->checkpoint_request && a->producers == b->producers &&
           a->replaced_slabs == b->replaced_slabs && a->ended == b->ended &&
           a->more_is_coming == b->more_is_coming;
}

/* A transaction of small records: `change` puts them (may be NULL), the state goes with it. */
static int put_small(struct desk *d, uint64_t now_ns, int (*change)(struct desk *d, void *arg),
                     void *arg)
{
    int rc = store_begin(d->stock.store);
    if (rc) return rc;
    if (change) rc = change(d, arg);
    struct store_state state = state_after(d, free_slabs(d), now_ns);
    if (!rc) rc = store_state_put(d->stock.store, &state);
    if (!rc) {
        rc = store_commit(d->stock.store);
        if (!rc) forget_trouble(d);
        return rc;
    }
    store_abort(d->stock.store);
    return rc;
}

static void publish(struct desk *d, uint64_t now_ns)
{
    if (!d->stock.store || now_ns < d->retry_ns) return;
    struct store_state want = state_after(d, free_slabs(d), now_ns);
    if (is_same_state(&want, store_state(d->stock.store))) return;
    int rc = put_small(d, now_ns, NULL, NULL);
    if (rc) note_trouble(d, rc, now_ns);
}

/* ---- records of producers ---- */

struct record_change {
    uint32_t producer;
    struct store_producer record;
};

static int put_record(struct desk *d, void *arg)
{
    struct record_change *c = arg;
    return store_producer_put(d->stock.store, c->producer, &c->record);
}

static int commit_record(struct desk *d, uint32_t producer, const struct store_producer *record,
                         uint64_t now_ns)
{
    struct record_change change = {producer, *record};
    struct store_producer before = d->sessions.session[producer].record;
    d->sessions.session[producer].record = *record; /* the state that goes with it counts it */
    int rc = put_small(d, now_ns, put_record, &change);
    if (rc) d->sessions.session[producer].record = before;
    return rc;
}

static void end_session(struct desk *d, uint32_t producer)
{
    if (d->intake) intake_drop(d->intake, producer);
    sessions_end(&d->sessions, producer);
}

static void break_off(struct desk *d, uint32_t producer, int code, int may_retry, const char *text)
{
    struct session *s = &d->sessions.session[producer];
    if (!s->session) return;
    say_refuse(d, s->link, s->session, code, may_retry, text);
    end_session(d, producer);
}

/* ---- opening ---- */

static int open_store(struct desk *d, const struct descriptor *like, uint64_t now_ns)
{
    uint32_t rewound;
    int changed;
    if (d->stock.store && d->intake) return ERR_OK;
    int rc = stock_prepare(&d->stock, like);
    if (rc) return rc;
    rc = consumers_poll(d->consumers, &changed);
    if (!rc) rc = stock_records(&d->stock, d->consumers, &d->sessions, &rewound);
    if (rc) return rc;
    d->counters.rewinds += rewound;
    d->checkpoint_request = store_state(d->stock.store)->checkpoint_request;
    d->replaced_slabs = store_state(d->stock.store)->replaced_slabs;
    rc = intake_new(frame_raw_bytes(stock_rows_a_slab(&d->stock), like->width, like->dtype),
                    &d->intake);
    if (rc) return rc;
    count_stored(d);
    forget_trouble(d);
    publish(d, now_ns);
    return ERR_OK;
}

int desk_new(const struct desk_options *options, uint64_t now_ns, struct desk **desk)
{
    char dir[CONFIG_PATH_BYTES];
    struct desk *d = calloc(1, sizeof *d);
    if (!d) return err_set(ERR_NOMEM, "no memory for the sink");
    d->options = *options;
    d->config = options->config;
    d->stream = stream_key(options->config->stream.name);
    d->is_live = options->config->stream.policy == CONFIG_SHED;
    d->started_ns = now_ns;
    d->wants_attach = 1;
    sessions_init(&d->sessions, options->config->capture.producers, options->life);
    int rc = config_buffer_dir(d->config, dir);
    if (!rc) rc = consumers_new(dir, &d->config->trainer.consumers, &d->consumers);
    if (!rc) rc = stock_open(&d->stock, d->config);
    if (!rc && d->stock.store) rc = open_store(d, &d->stock.descriptor, now_ns);
    if (rc)
        desk_free(d);
    else
        *desk = d;
    return rc;
}

void desk_free(struct desk *d)
{
    if (!d) return;
    intake_free(d->intake);
    stock_close(&d->stock);
    consumers_free(d->consumers);
    free(d);
}

/* ---- HELLO ---- */

static int check_hello(struct desk *d, const struct message *m, const struct descriptor *own)
{
    uint32_t producers = d->sessions.producers;
    if (strcmp(own->stream, d->config->stream.name))
        return err_set(ERR_MISMATCH, "this sink is of stream %s, the producer's is %s",
                       d->config->stream.name, own->stream);
    if (m->share_count != producers || own->share_count != producers)
        return err_set(ERR_MISMATCH,
                       "the producer's stream has %u producers, the sink's %u; HINT: "
                       "capture.producers must be the same for all",
                       m->share_count, producers);
    if (m->producer >= producers)
        return err_set(ERR_MISMATCH, "there is no producer %u of %u", m->producer, producers);
    if (!!own->shed != d->is_live || !!(m->flags & MESSAGE_SHED) != d->is_live)
        return err_set(ERR_MISMATCH,
                       "the producer's policy is %s, the sink's is %s; HINT: "
                       "stream.policy must be the same for all",
                       own->shed ? "shed" : "block", d->is_live ? "shed" : "block");
    return ERR_OK;
}

static int all_declined(const struct desk *d)
{
    for (uint32_t p = 0; p < d->sessions.producers; p++)
        if (!d->has_declined[p]) return 0;
    return err_set(
        ERR_USAGE,
        "the corpus is empty: not one row to measure came of it, in the shares of all %u "
        "producers (what the filters leave out does not count); HINT: look at "
        "capture.corpus (or capture.files, capture.synthetic.rows)",
        d->sessions.producers);
}

/* The producer that measures is asked to; the others wait for it, and so does one that has nothing
 * to measure, unless that is true of all. A new life may have another corpus. */
static int may_measure(struct desk *d, const struct message *m)
{
    if (!m->epoch) d->has_declined[m->producer] = 0;
    int rc = all_declined(d);
    if (rc) return rc;
    int busy = d->has_declined[m->producer];
    for (uint32_t p = 0; p < d->sessions.producers; p++)
        busy |= p != m->producer && d->sessions.session[p].session &&
                d->sessions.session[p].is_measuring;
    return busy ? err_set(ERR_AGAIN, "another producer measures the stream") : ERR_OK;
}

static int commit_epoch(struct desk *d, uint32_t producer, uint32_t epoch, uint64_t now_ns)
{
    struct store_producer r = d->sessions.session[producer].record;
    if (r.epoch == epoch) return ERR_OK;
    r.epoch = epoch;
    r.past_totals.captured_rows += r.totals.captured_rows;
    r.past_totals.shed_rows += r.totals.shed_rows;
    r.past_totals.rejected_rows += r.totals.rejected_rows;
    r.past_totals.filtered_rows += r.totals.filtered_rows;
    r.totals = (struct frame_totals){0};
    return commit_record(d, producer, &r, now_ns);
}

static void say_welcome(struct desk *d, uint32_t producer, const char *text, size_t bytes)
{
    struct message m = position(d, MESSAGE_WELCOME, producer);
    if (d->sessions.session[producer].is_measuring) m.flags |= MESSAGE_MEASURE;
    m.text = text;
    m.text_bytes = (uint32_t)bytes;
    say(d, d->sessions.session[producer].link, &m);
}

/* The producer's own descriptor back, with what the sink knows: it is to measure the rest. */
static int welcome_to_measure(struct desk *d, uint32_t producer, struct descriptor *own)
{
    char *text;
    size_t bytes;
    own->rows_a_slab = stock_rows_a_slab(&d->stock);
    own->run = store_state(d->stock.store)->run;
    int rc = descriptor_encode(own, &text, &bytes);
    if (rc) return rc;
    d->sessions.session[producer].is_measuring = 1;
    say_welcome(d, producer, text, bytes);
    free(text);
    return ERR_OK;
}

static int open_session(struct desk *d, uint32_t link, const struct message *m,
                        struct descriptor *own, uint64_t now_ns)
{
    uint32_t epoch, replaced, producer = m->producer;
    uint64_t old_session = d->sessions.session[producer].session;
    int rc = sessions_epoch(&d->sessions, producer, m->epoch, link, &epoch);
    if (rc) return rc;
    int is_new_life = epoch != d->sessions.session[producer].record.epoch;
    rc = commit_epoch(d, producer, epoch, now_ns);
    if (rc) return rc;
    intake_drop(d->intake, producer);
    int other = sessions_on_link(&d->sessions, link);
    if (other >= 0 && other != (int)producer) end_session(d, (uint32_t)other);
    sessions_begin(&d->sessions, producer, link, now_ns, &replaced);
    if (replaced && is_new_life)
        say_refuse(d, replaced, old_session, ERR_FENCED, 0,
                   "a newer process has taken over this producer's share");
    if (!d->stock.descriptor.measured) return welcome_to_measure(d, producer, own);
    grant(d, 0);
    say_welcome(d, producer, d->stock.text, d->stock.text_bytes);
    publish(d, now_ns);
    return ERR_OK;
}

/* What may pass with time: no room on the disk, somebody else who measures, a stale lock. */
static int passes(int code)
{
    return code == ERR_NOSPC || code == ERR_IO || code == ERR_AGAIN || code == ERR_EXISTS;
}

static int answer_hello(struct desk *d, uint32_t link, const struct message *m,
                        struct descriptor *own, uint64_t now_ns)
{
    int rc = descriptor_decode(m->text, m->text_bytes, own);
    if (!rc) rc = check_hello(d, m, own);
    if (!rc) rc = open_store(d, own, now_ns);
    if (!rc && d->stock.descriptor.measured) rc = descriptor_match(&d->stock.descriptor, own);
    if (!rc && !d->stock.descriptor.measured) rc = may_measure(d, m);
    return rc ? rc : open_session(d, link, m, own, now_ns);
}

static void on_hello(struct desk *d, uint32_t link, const struct message *m, uint64_t now_ns)
{
    struct descriptor own = {0};
    int rc = answer_hello(d, link, m, &own, now_ns);
    if (is_of_the_disk(rc)) snprintf(d->trouble, sizeof d->trouble, "%s", err_text());
    if (rc) {
        log_event(LOG_WARN, "producer refused", LOG_U("producer", m->producer),
                  LOG_S("why", err_text()));
        say_refuse(d, link, 0, rc, passes(rc), err_text());
    }
    descriptor_free(&own);
}

/* ---- other messages of a session ---- */

static void on_describe(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    struct session *s = &d->sessions.session[producer];
    int is_new = !d->stock.descriptor.measured;
    int rc = is_new ? stock_describe(&d->stock, m->text, m->text_bytes) : ERR_OK;
    if (is_of_the_disk(rc)) snprintf(d->trouble, sizeof d->trouble, "%s", err_text());
    if (rc) {
        break_off(d, producer, rc, passes(rc), err_text());
        return;
    }
    if (is_new) forget_trouble(d);
    log_event(LOG_INFO, "stream described", LOG_U("width", d->stock.descriptor.width),
              LOG_U("rows_a_slab", d->stock.descriptor.rows_a_slab),
              LOG_U("planned_rows", d->stock.descriptor.planned_rows));
    s->is_measuring = 0;
    grant(d, 0);
    say_welcome(d, producer, d->stock.text, d->stock.text_bytes);
    publish(d, now_ns);
}

/* Its end is not committed: it comes back once the stream is described, and ends then. So nothing
 * that is kept depends on a corpus that nobody has described. */
static void on_declined(struct desk *d, uint32_t producer)
{
    d->has_declined[producer] = 1;
    log_event(LOG_INFO, "a producer's share has no row to measure",
              LOG_U("producer", (uint64_t)producer));
    if (all_declined(d))
        break_off(d, producer, ERR_USAGE, 0, err_text());
    else
        break_off(d, producer, ERR_AGAIN, 1, "its share has no row to measure: another's has");
}

static void on_end(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    struct session *s = &d->sessions.session[producer];
    if (s->is_measuring) {
        on_declined(d, producer);
        return;
    }
    if (s->expected != s->record.next_number) return; /* not committed yet: it asks again */
    if (m->next_number > s->record.next_number) {
        if (sessions_resync_due(s, now_ns)) say_state(d, producer, MESSAGE_RESYNC);
        return;
    }
    struct store_producer r = s->record;
    r.ended = 1;
    r.totals = m->totals;
    int rc = s->record.ended ? ERR_OK : commit_record(d, producer, &r, now_ns);
    if (rc) {
        note_trouble(d, rc, now_ns);
        return;
    }
    log_event(LOG_INFO, "producer has ended", LOG_U("producer", producer),
              LOG_U("frames", r.next_number - 1), LOG_U("rows", r.rows));
    say_state(d, producer, 0);
    grant(d, 1);
}

/* What a live producer has shed since its last frame is told by its PINGs; committed with the next
 * frame, or here. */
static void keep_totals(struct desk *d, uint32_t producer, const struct message *m)
{
    if (d->is_live) d->sessions.session[producer].record.totals = m->totals;
}

/* What was sent before the PING has come before it, or was lost. */
static void on_ping(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    struct session *s = &d->sessions.session[producer];
    int is_lost = m->next_number > s->expected && s->expected == s->record.next_number;
    say_state(d, producer, is_lost && sessions_resync_due(s, now_ns) ? MESSAGE_RESYNC : 0);
}

static void on_bye(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    keep_totals(d, producer, m);
    end_session(d, producer);
    int rc = d->is_live ? commit_record(d, producer, &d->sessions.session[producer].record, now_ns)
                        : ERR_OK;
    if (rc) note_trouble(d, rc, now_ns);
    grant(d, 1);
    publish(d, now_ns);
}

static void in_session(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    struct session *s = &d->sessions.session[producer];
    s->heard_ns = now_ns;
    switch (m->type) {
    case MESSAGE_DESCRIBE:
        on_describe(d, producer, m, now_ns);
        break;
    case MESSAGE_PING:
        keep_totals(d, producer, m);
        on_ping(d, producer, m, now_ns);
        break;
    case MESSAGE_END:
        on_end(d, producer, m, now_ns);
        break;
    case MESSAGE_BYE:
        on_bye(d, producer, m, now_ns);
        break;
    default:
        break;
    }
}

/* ---- the broker ---- */

static void end_all_sessions(struct desk *d)
{
    for (uint32_t p = 0; p < d->sessions.producers; p++) end_session(d, p);
}

static void from_broker(struct desk *d, const struct message *m, uint64_t now_ns)
{
    if (m->type == MESSAGE_REFUSE) {
        d->is_attached = 0;
        d->wants_attach = 1;
        d->broker_ns = now_ns;
    } else if (m->type == MESSAGE_ATTACHED) {
        if (m->session != d->sessions.broker_life) {
            end_all_sessions(d); /* their links are of another broker */
            d->sessions.broker_life = m->session;
            log_info("attached to the broker");
        }
        d->is_attached = 1;
        d->wants_attach = 0;
    }
}

static void say_to_broker(struct desk *d, uint64_t now_ns)
{
    if (now_ns < d->broker_ns) return;
    struct message m = blank(d, d->wants_attach ? MESSAGE_ATTACH : MESSAGE_PING);
    if (d->wants_attach) snprintf(m.name, sizeof m.name, "%s", d->options.name);
    d->broker_ns = now_ns + BROKER_EACH;
    say(d, 0, &m);
}

/* ---- everything that comes in ---- */

static void count_malformed(struct desk *d)
{
    d->counters.malformed++;
    if (log_allowed(&d->dropped))
        log_event(LOG_WARN, "message dropped", LOG_S("why", err_text()),
                  LOG_U("suppressed", d->dropped.suppressed));
}

void desk_message(struct desk *d, uint32_t link, const uint8_t *data, size_t bytes, uint64_t now_ns)
{
    struct message m;
    if (message_decode(data, bytes, &m)) {
        count_malformed(d);
        return;
    }
    if (!link) {
        from_broker(d, &m, now_ns);
        return;
    }
    if (m.stream != d->stream) return;
    desk_flush(d, now_ns); /* what came before it counts */
    int producer = sessions_find(&d->sessions, link, m.session);
    if (m.type == MESSAGE_HELLO) {
        on_hello(d, link, &m, now_ns);
    } else if (m.type == MESSAGE_GONE) {
        producer = sessions_on_link(&d->sessions, link);
        if (producer >= 0) end_session(d, (uint32_t)producer);
        grant(d, 1);
        publish(d, now_ns);
    } else if (producer >= 0) {
        in_session(d, (uint32_t)producer, &m, now_ns);
    } else if (m.type != MESSAGE_BYE) {
        say_refuse(d, link, m.session, ERR_STATE, 1, "this session is over");
    }
}

/* Whether a frame is one of this stream at all. */
static int check_frame(const struct desk *d, uint32_t producer, const struct frame_header *h)
{
    const struct descriptor *own = &d->stock.descriptor;
    const struct session *s = &d->sessions.session[producer];
    if (h->stream != d->stream || h->producer != producer || h->epoch != s->record.epoch)
        return err_set(ERR_MISMATCH, "frame %" PRIu64 " is of another producer or epoch",
                       h->number);
    if (h->width != own->width || h->dtype != own->dtype)
        return err_set(ERR_MISMATCH, "frame %" PRIu64 " has rows of width %u, dtype %u, not %u, %u",
                       h->number, h->width, h->dtype, own->width, own->dtype);
    if (h->rows > own->rows_a_slab)
        return err_set(ERR_MISMATCH, "frame %" PRIu64 " has %u rows, a slab holds %u", h->number,
                       h->rows, own->rows_a_slab);
    return ERR_OK;
}

static void on_gap(struct desk *d, uint32_t producer, uint64_t now_ns)
{
    struct session *s = &d->sessions.session[producer];
    d->counters.gap_frames++;
    desk_flush(d, now_ns);
    if (s->expected == s->record.next_number && sessions_resync_due(s, now_ns))
        say_state(d, producer, MESSAGE_RESYNC);
}

static int judge_frame(struct desk *d, uint32_t producer, const struct frame_header *h,
                       const struct parcel *parcel, uint64_t now_ns)
{
    struct session *s = &d->sessions.session[producer];
    s->heard_ns = now_ns;
    switch (sessions_judge(s, h->number)) {
    case SESSIONS_DUPLICATE:
        d->counters.duplicate_frames++;
        if (h->number < s->record.next_number) say_state(d, producer, 0); /* acked again */
        return 0;
    case SESSIONS_BEYOND_CREDIT:
        d->counters.beyond_credit_frames++;
        return 0;
    case SESSIONS_GAP:
        on_gap(d, producer, now_ns);
        return 0;
    default:
        break;
    }
    if (s->record.ended || intake_add(d->intake, h, parcel)) return 0;
    s->expected++;
    s->resync_ns = 0;
    return 1;
}

int desk_frame(struct desk *d, uint32_t link, const struct parcel *parcel, uint64_t now_ns)
{
    struct frame_header h;
    if (frame_decode(parcel->data, parcel->bytes, &h)) {
        count_malformed(d);
        return 0;
    }
    int producer = sessions_find(&d->sessions, link, h.session);
    if (producer < 0 || d->sessions.session[producer].is_measuring) {
        d->counters.stale_frames++;
        say_refuse(d, link, h.session, ERR_STATE, 1, "this session is over");
        return 0;
    }
    if (check_frame(d, (uint32_t)producer, &h)) {
        d->counters.refused_frames++;
        break_off(d, (uint32_t)producer, ERR_MISMATCH, 0, err_text());
        return 0;
    }
    return judge_frame(d, (uint32_t)producer, &h, parcel, now_ns);
}

/* ---- committing ---- */

int desk_has_frames(const struct desk *d)
{
    return d->intake && intake_count(d->intake) > 0;
}

/* A damaged frame is asked for again; one that its producer made wrong ends that producer. */
static void answer_refused(struct desk *d, const struct intake_result *result, uint64_t now_ns)
{
    for (uint32_t p = 0; p < d->sessions.producers; p++) {
        struct session *s = &d->sessions.session[p];
        if (!result->refused[p] || !s->session) continue;
        d->counters.refused_frames++;
        log_event(LOG_WARN, "frame refused", LOG_U("producer", p), LOG_S("why", result->why));
        intake_drop(d->intake, p);
        s->expected = s->record.next_number;
        if (result->refused[p] != ERR_CHECKSUM)
            break_off(d, p, result->refused[p], 0, result->why);
        else if (sessions_resync_due(s, now_ns))
            say_state(d, p, MESSAGE_RESYNC);
    }
}

static void count_commit(struct desk *d, const struct intake_result *result, double seconds)
{
    d->trouble[0] = 0;
    d->counters.commits++;
    d->counters.commit_seconds += seconds;
    d->counters.frames += result->stored_frames;
    d->counters.rows += result->stored_rows;
    d->counters.bytes += result->stored_bytes;
    d->counters.known_frames += result->known_frames;
    for (uint32_t p = 0; p < d->sessions.producers; p++) d->stored[p] += result->stored[p];
    if (result->newest_captured_ns > d->counters.newest_captured_ns)
        d->counters.newest_captured_ns = result->newest_captured_ns;
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void desk_flush(struct desk *d, uint64_t now_ns)
{
    struct intake_result result;
    if (!desk_has_frames(d) || now_ns < d->retry_ns || now_ns < d->room_ns || d->fatal) return;
    double begun = seconds_now();
    uint64_t waiting = intake_count(d->intake), unused = free_slabs(d);
    struct store_state state = state_after(d, unused > waiting ? unused - waiting : 0, now_ns);
    struct coverage coverage = consumers_coverage(d->consumers);
    int rc = intake_commit(d->intake, d->stock.store, &d->sessions, &coverage, &state, &result);
    if (rc && rc != ERR_AGAIN)
        note_trouble(d, rc, now_ns);
    else
        count_commit(d, &result, seconds_now() - begun);
    if (rc == ERR_AGAIN) {
        d->room_ns = now_ns + ROOM_EACH;
        if (!d->short_ns || result.stored_frames) d->short_ns = now_ns;
    } else if (!rc) {
        d->short_ns = 0;
    }
    answer_refused(d, &result, now_ns);
    if (rc && rc != ERR_AGAIN) return;
    grant(d, 0);
    for (uint32_t p = 0; p < d->sessions.producers; p++)
        if (result.acked[p] && d->sessions.session[p].session) say_state(d, p, 0);
}

/* ---- freeing ---- */

struct id_list {
    uint64_t *ids;
    size_t count;
};

static int free_ids(struct desk *d, void *arg)
{
    struct id_list *list = arg;
    return store_free(d->stock.store, list->ids, list->count);
}

/* In groups: LMDB writes down all pages that a transaction frees as one value, for which a nearly
 * full map may have no room in one piece. */
static int free_list(struct desk *d, const struct id_list *list, uint64_t now_ns)
{
    int rc = ERR_OK;
    for (size_t done = 0; done < list->count && !rc; done += FREE_AT_ONCE) {
        size_t left = list->count - done;
        struct id_list group = {list->ids + done, left < FREE_AT_ONCE ? left : FREE_AT_ONCE};
        rc = put_small(d, now_ns, free_ids, &group);
    }
    if (rc) note_trouble(d, rc, now_ns);
    count_stored(d);
    return rc;
}

static void free_covered(struct desk *d, uint64_t now_ns)
{
    struct coverage coverage = consumers_coverage(d->consumers);
    size_t room = store_count(d->stock.store);
    struct id_list list = {malloc((room + 1) * sizeof *list.ids), 0};
    if (!list.ids) return;
    list.count = coverage_freeable(&coverage, d->stock.store, list.ids, room);
    if (!free_list(d, &list, now_ns)) d->counters.freed_slabs += list.count;
    free(list.ids);
}

/* A live stream never waits: its oldest slabs make room for what comes. */
static void replace_oldest(struct desk *d, uint64_t now_ns)
{
    uint64_t want = (uint64_t)LIVE_FRAMES * d->sessions.producers;
    uint64_t quarter = store_capacity(d->stock.store) / 4;
    if (want > quarter) want = quarter;
    uint64_t unused = free_slabs(d);
    if (!d->is_live || sessions_all_ended(&d->sessions) || unused >= want) return;
    uint64_t ids[STORE_MAX_PRODUCERS * LIVE_FRAMES];
    struct id_list list = {ids, 0};
    while (list.count < want - unused && list.count < store_count(d->stock.store)) {
        ids[list.count] = store_slab(d->stock.store, list.count).id;
        list.count++;
    }
    d->replaced_slabs += list.count;
    if (free_list(d, &list, now_ns)) d->replaced_slabs -= list.count;
    d->counters.replaced_slabs = d->replaced_slabs;
}

/* A consumer has come back with an older checkpoint: what it needs and is gone is made again. */
static void rewind_producers(struct desk *d, uint64_t now_ns)
{
    struct coverage coverage = consumers_coverage(d->consumers);
    for (uint32_t p = 0; p < d->sessions.producers && !d->is_live; p++) {
        struct store_producer r = d->sessions.session[p].record;
        if (!coverage_rewind(&coverage, d->stock.store, p, &r)) continue;
        int rc = commit_record(d, p, &r, now_ns);
        if (rc) {
            note_trouble(d, rc, now_ns);
            return;
        }
        d->counters.rewinds++;
        log_event(LOG_WARN, "a consumer needs frames that are gone: they are made again",
                  LOG_U("producer", p), LOG_U("from_number", r.next_number));
        break_off(d, p, ERR_STATE, 1, "go back: a consumer needs earlier frames again");
        sessions_record(&d->sessions, p, &r);
    }
}

/* Nobody needs more rows: the stream ends here. */
static void stop_stream(struct desk *d, uint64_t now_ns)
{
    struct coverage coverage = consumers_coverage(d->consumers);
    if (sessions_all_ended(&d->sessions) || !coverage_all_finished(&coverage)) return;
    log_info("all consumers are finished: the stream ends");
    for (uint32_t p = 0; p < d->sessions.producers; p++) {
        struct session *s = &d->sessions.session[p];
        struct store_producer r = s->record;
        r.ended = 1;
        int rc = commit_record(d, p, &r, now_ns);
        if (rc) {
            note_trouble(d, rc, now_ns);
            return;
        }
        intake_drop(d->intake, p);
        s->expected = r.next_number;
        if (s->session) say_state(d, p, MESSAGE_STOP);
    }
}

/* Slabs are finished and can't be freed for want of a checkpoint. */
static void request_checkpoint(struct desk *d, uint64_t now_ns)
{
    struct coverage coverage = consumers_coverage(d->consumers);
    const struct consumer_progress *progress = consumers_progress(d->consumers);
    uint64_t uncovered = coverage_uncovered(&coverage, d->stock.store, progress);
    uint64_t most =
        (uint64_t)(d->config->sink.checkpoint_share * (double)store_capacity(d->stock.store));
    int is_stuck = consumers_waiting(d->consumers) && !is_more_coming(d, free_slabs(d), now_ns);
    if (!uncovered || (uncovered <= most && !is_stuck)) return;
    if (sessions_all_ended(&d->sessions)) return; /* there is nothing to make room for */
    if (!consumers_answered(d->consumers, d->checkpoint_request)) return;
    d->checkpoint_request++;
    d->counters.checkpoint_requests++;
}

static void poll_consumers(struct desk *d, uint64_t now_ns)
{
    int changed;
    int rc = consumers_poll(d->consumers, &changed);
    if (rc && log_allowed(&d->failed)) log_error("a consumer's state: %s", err_text());
    d->has_news |= changed;
    if (!d->stock.store || !d->intake || now_ns < d->retry_ns) return;
    if (d->has_news) {
        rewind_producers(d, now_ns);
        if (now_ns >= d->retry_ns) free_covered(d, now_ns);
        d->has_news =
            now_ns < d->retry_ns; /* one of them failed: again, once a commit may be tried */
    }
    stop_stream(d, now_ns);
    request_checkpoint(d, now_ns);
}

/* ---- time ---- */

static void end_silent(struct desk *d, uint64_t now_ns)
{
    int producer;
    while ((producer = sessions_silent(&d->sessions, now_ns)) >= 0) {
        log_event(LOG_WARN, "producer is silent: its session is over",
                  LOG_U("producer", (uint64_t)producer));
        end_session(d, (uint32_t)producer);
    }
}

void desk_tick(struct desk *d, uint64_t now_ns)
{
    if (d->fatal) return;
    say_to_broker(d, now_ns);
    end_silent(d, now_ns);
    if (now_ns >= d->poll_ns) {
        d->poll_ns = now_ns + POLL_EACH;
        poll_consumers(d, now_ns);
    }
    desk_flush(d, now_ns);
    if (!d->stock.store || !d->intake) return;
    replace_oldest(d, now_ns);
    grant(d, 1);
    publish(d, now_ns);
    if (now_ns < d->store_ns) return;
    d->store_ns = now_ns + STORE_EACH;
    store_tick(d->stock.store);
}

/* ---- the end ---- */

static int is_wanted(const struct desk *d)
{
    struct coverage coverage = consumers_coverage(d->consumers);
    return coverage.consumers && !coverage_all_finished(&coverage);
}

static int has_ended(const struct desk *d)
{
    return d->stock.store && sessions_all_ended(&d->sessions);
}

void desk_leave(struct desk *d, uint64_t now_ns)
{
    desk_flush(d, now_ns);
    struct message m = blank(d, MESSAGE_BYE);
    if (has_ended(d) && !is_wanted(d)) m.flags = MESSAGE_ENDED;
    say(d, 0, &m);
}

int desk_is_over(struct desk *d, uint64_t now_ns, int *code)
{
    *code = ERR_OK;
    if (d->fatal) {
        *code = err_set(d->fatal, "%s", d->fatal_text);
        return 1;
    }
    if (!has_ended(d) || is_wanted(d)) {
        d->ended_ns = 0;
        return 0;
    }
    if (!d->ended_ns) d->ended_ns = now_ns;
    return !sessions_live(&d->sessions) || now_ns > d->ended_ns + LINGER;
}

/* ---- asking ---- */

struct desk_counters desk_counters(const struct desk *d)
{
    return d->counters;
}

const struct sessions *desk_sessions(const struct desk *d)
{
    return &d->sessions;
}

struct desk_gauges desk_gauges(const struct desk *d)
{
    struct desk_gauges g = {.producers = d->sessions.producers,
                            .live_producers = sessions_live(&d->sessions),
                            .is_attached = d->is_attached,
                            .trouble = d->trouble};
    for (uint32_t p = 0; p < d->sessions.producers; p++) {
        g.ended_producers += d->sessions.session[p].record.ended;
        g.reserved_slabs += reserved(&d->sessions.session[p]);
        g.stream_rows += d->sessions.session[p].record.rows;
    }
    if (!d->stock.store) return g;
    const struct store_state *state = store_state(d->stock.store);
    g.slabs = state->slabs;
    g.rows = state->rows;
    g.capacity_slabs = store_capacity(d->stock.store);
    g.capacity_rows = g.capacity_slabs * state->rows_a_slab;
    g.planned_rows = d->stock.descriptor.planned_rows;
    g.slab_bytes =
        frame_raw_bytes(state->rows_a_slab, d->stock.descriptor.width, d->stock.descriptor.dtype);
    g.has_ended = (int)state->ended;
    g.more_is_coming = (int)state->more_is_coming;
    return g;
}
