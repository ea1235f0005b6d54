#include "sink/desk.h"

#include "base/err.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "sink/admission.h"
#include "sink/keeper.h"
#include "sink/ledger.h"
#include "sink/retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLISECONDS UINT64_C(1000000)
#define BROKER_EACH  (1000 * MILLISECONDS) /* heartbeat */
#define POLL_EACH    (200 * MILLISECONDS)  /* consumers' files */
#define STORE_EACH   (5000 * MILLISECONDS) /* dead readers */
#define LINGER       (3000 * MILLISECONDS) /* for producers to hear of the end */

struct desk {
    struct desk_options options;
    uint64_t stream;
    struct ledger ledger;
    struct keeper keeper;
    struct retention retention;
    struct admission admission;
    struct desk_counters counters; /* what ledger and keeper count is theirs */

    int is_attached;
    int wants_attach;
    uint64_t broker_ns, poll_ns, store_ns;
    uint64_t ended_ns; /* when the stream was seen to have ended; 0: it has not */
    struct log_limit dropped, refused, frame_refused;
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
    struct session *s = &d->ledger.sessions.session[producer];
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
    say(d, d->ledger.sessions.session[producer].link, &m);
}

/* Promise what may be promised, and tell whoever has more than it knows. */
static void grant_and_tell(struct desk *d)
{
    uint32_t n = d->ledger.sessions.producers;
    if (!d->ledger.stock.store) return;
    ledger_grant(&d->ledger);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t p = (i + d->ledger.grant_turn) % n;
        const struct session *s = &d->ledger.sessions.session[p];
        if (s->session && !s->is_measuring && s->credit > s->told_credit) say_state(d, p, 0);
    }
}

static void break_off(struct desk *d, uint32_t producer, int code, int may_retry, const char *text)
{
    struct session *s = &d->ledger.sessions.session[producer];
    if (!s->session) return;
    say_refuse(d, s->link, s->session, code, may_retry, text);
    ledger_end_session(&d->ledger, producer);
}

/* ---- opening ---- */

static void say_rewound(void *arg, uint32_t producer)
{
    struct desk *d = arg;
    const struct session *s = &d->ledger.sessions.session[producer];
    say_refuse(d, s->link, s->session, ERR_STATE, 1,
               "go back: a consumer needs earlier frames again");
}

static void say_stopped(void *arg, uint32_t producer)
{
    say_state(arg, producer, MESSAGE_STOP);
}

int desk_new(const struct desk_options *options, uint64_t now_ns, struct desk **desk)
{
    struct desk *d = calloc(1, sizeof *d);
    if (!d) return err_set(ERR_NOMEM, "no memory for the sink");
    d->options = *options;
    d->stream = stream_key(options->config->stream.name);
    d->wants_attach = 1;
    d->keeper.options = (struct keeper_options){&d->ledger, say_rewound, say_stopped, d};
    d->retention.keeper = &d->keeper;
    int result = ledger_init(&d->ledger, options->config, options->life, now_ns);
    if (result != ERR_OK)
        desk_free(d);
    else
        *desk = d;
    return result;
}

void desk_free(struct desk *d)
{
    if (!d) return;
    ledger_fini(&d->ledger);
    free(d);
}

/* ---- HELLO ---- */

static void say_welcome(struct desk *d, uint32_t producer, const char *text, size_t bytes)
{
    struct message m = position(d, MESSAGE_WELCOME, producer);
    if (d->ledger.sessions.session[producer].is_measuring) m.flags |= MESSAGE_MEASURE;
    m.text = text;
    m.text_bytes = (uint32_t)bytes;
    say(d, d->ledger.sessions.session[producer].link, &m);
}

/* The producer's own descriptor back, with what the sink knows: it is to measure the rest. */
static int welcome_to_measure(struct desk *d, uint32_t producer, struct descriptor *own)
{
    char *text;
    size_t bytes;
    own->rows_per_slab = stock_rows_per_slab(&d->ledger.stock);
    own->run = store_state(d->ledger.stock.store)->run;
    int result = descriptor_encode(own, &text, &bytes);
    if (result != ERR_OK) return result;
    d->ledger.sessions.session[producer].is_measuring = 1;
    d->admission.asked = *own;
    d->admission.asked.mean = NULL;
    say_welcome(d, producer, text, bytes);
    free(text);
    return ERR_OK;
}

static int open_session(struct desk *d, uint32_t link, const struct message *m,
                        struct descriptor *own, uint64_t now_ns)
{
    uint32_t epoch, replaced, producer = m->producer;
    uint64_t old_session = d->ledger.sessions.session[producer].session;
    int result = sessions_epoch(&d->ledger.sessions, producer, m->epoch, link, &epoch);
    if (result != ERR_OK) return result;
    int is_new_life = epoch != d->ledger.sessions.session[producer].record.epoch;
    result = admission_epoch(&d->ledger, producer, epoch, now_ns);
    if (result != ERR_OK) return result;
    intake_drop(d->ledger.intake, producer);
    int other = sessions_on_link(&d->ledger.sessions, link);
    if (other >= 0 && other != (int)producer) ledger_end_session(&d->ledger, (uint32_t)other);
    sessions_begin(&d->ledger.sessions, producer, link, now_ns, &replaced);
    if (replaced && is_new_life)
        say_refuse(d, replaced, old_session, ERR_FENCED, 0,
                   "a newer process has taken over this producer's share");
    if (!d->ledger.stock.descriptor.measured) return welcome_to_measure(d, producer, own);
    ledger_grant(&d->ledger);
    say_welcome(d, producer, d->ledger.stock.text, d->ledger.stock.text_bytes);
    ledger_publish(&d->ledger, now_ns);
    return ERR_OK;
}

/* What may pass with time: no room on the disk, somebody else who measures, a stale lock. */
static int passes(int code)
{
    return code == ERR_NOSPC || code == ERR_IO || code == ERR_AGAIN || code == ERR_EXISTS;
}

/* The descriptor in a message: whose it is. */
static int blame_message(const char *type, const struct message *m, uint32_t producer, int code)
{
    if (code != ERR_FORMAT && code != ERR_VERSION && code != ERR_LIMIT) return code;
    return err_set(
        code,
        "the descriptor in the %s of producer %u%s%s: %.500s; HINT: run the same build of "
        "Sluice on both sides",
        type, producer, m->name[0] ? ", " : "", m->name, err_text());
}

static int answer_hello(struct desk *d, uint32_t link, const struct message *m,
                        struct descriptor *own, uint64_t now_ns)
{
    int result = descriptor_decode(m->text, m->text_bytes, own);
    result = blame_message("HELLO", m, m->producer, result);
    if (result == ERR_OK) result = admission_check(&d->admission, &d->ledger, m, own, now_ns);
    return result != ERR_OK ? result : open_session(d, link, m, own, now_ns);
}

static void on_hello(struct desk *d, uint32_t link, const struct message *m, uint64_t now_ns)
{
    struct descriptor own = {0};
    int result = answer_hello(d, link, m, &own, now_ns);
    ledger_show_trouble(&d->ledger, result);
    if (result != ERR_OK) {
        if (log_allowed(&d->refused))
            log_event(LOG_WARN, "producer refused", LOG_U("producer", m->producer),
                      LOG_S("why", err_text()), LOG_U("suppressed", d->refused.suppressed));
        say_refuse(d, link, 0, result, passes(result), err_text());
    }
    descriptor_free(&own);
}

/* ---- other messages of a session ---- */

static void on_describe(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    struct session *s = &d->ledger.sessions.session[producer];
    int is_new = !d->ledger.stock.descriptor.measured;
    int result = is_new
                     ? stock_describe(&d->ledger.stock, &d->admission.asked, m->text, m->text_bytes)
                     : ERR_OK;
    result = blame_message("DESCRIBE", m, producer, result);
    ledger_show_trouble(&d->ledger, result);
    if (result != ERR_OK) {
        break_off(d, producer, result, passes(result), err_text());
        return;
    }
    if (is_new) ledger_forget_trouble(&d->ledger);
    log_event(LOG_INFO, "stream described", LOG_U("width", d->ledger.stock.descriptor.width),
              LOG_U("rows_per_slab", d->ledger.stock.descriptor.rows_per_slab),
              LOG_U("planned_rows", d->ledger.stock.descriptor.planned_rows));
    s->is_measuring = 0;
    ledger_grant(&d->ledger);
    say_welcome(d, producer, d->ledger.stock.text, d->ledger.stock.text_bytes);
    ledger_publish(&d->ledger, now_ns);
}

/* Its end is not committed: it comes back once the stream is described, and ends then. So nothing
 * that is kept depends on a corpus that nobody has described. */
static void on_declined(struct desk *d, uint32_t producer)
{
    d->admission.has_declined[producer] = 1;
    log_event(LOG_INFO, "a producer's share has no row to measure",
              LOG_U("producer", (uint64_t)producer));
    if (admission_all_declined(&d->admission, &d->ledger))
        break_off(d, producer, ERR_USAGE, 0, err_text());
    else
        break_off(d, producer, ERR_AGAIN, 1, "its share has no row to measure: another's has");
}

static void on_end(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    struct session *s = &d->ledger.sessions.session[producer];
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
    claims_totals(&r.totals, &m->totals);
    int result = s->record.ended ? ERR_OK : ledger_record(&d->ledger, producer, &r, now_ns);
    if (result != ERR_OK) {
        ledger_note_trouble(&d->ledger, result, now_ns);
        return;
    }
    log_event(LOG_INFO, "producer has ended", LOG_U("producer", producer),
              LOG_U("frames", r.next_number - 1), LOG_U("rows", r.rows));
    say_state(d, producer, 0);
    grant_and_tell(d);
}

/* What a live producer has shed since its last frame is told by its PINGs; committed with the next
 * frame, or here. */
static void keep_totals(struct desk *d, uint32_t producer, const struct message *m)
{
    if (d->ledger.is_live)
        claims_totals(&d->ledger.sessions.session[producer].record.totals, &m->totals);
}

/* What was sent before the PING has come before it, or was lost. */
static void on_ping(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    struct session *s = &d->ledger.sessions.session[producer];
    int is_lost = m->next_number > s->expected && s->expected == s->record.next_number;
    say_state(d, producer, is_lost && sessions_resync_due(s, now_ns) ? MESSAGE_RESYNC : 0);
}

/* A live producer that leaves counts as shed what it has sent and no ack came for. What was stored
 * of that all the same is not. Of slabs that were replaced since nobody knows; there are no more
 * than its credit had room for. */
static void take_back_shed(struct desk *d, uint32_t producer, uint64_t from)
{
    struct store_producer *r = &d->ledger.sessions.session[producer].record;
    uint64_t window = d->ledger.config->sink.window_slabs;
    if (!from || !d->ledger.stock.store) return;
    if (r->next_number > window && from < r->next_number - window) from = r->next_number - window;
    for (; from < r->next_number; from++) {
        struct slab_ref ref;
        if (store_find(d->ledger.stock.store, producer, from, &ref) != ERR_OK) continue;
        r->totals.shed_rows -= ref.rows < r->totals.shed_rows ? ref.rows : r->totals.shed_rows;
    }
}

/* Its rows are not made again, so whoever goes on does so where it was. */
static void keep_place(struct desk *d, uint32_t producer, const struct message *m)
{
    static const struct cursor unknown;
    if (memcmp(&m->cursor, &unknown, sizeof unknown) != 0)
        d->ledger.sessions.session[producer].record.cursor = m->cursor;
}

static void on_bye(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    keep_totals(d, producer, m);
    if (d->ledger.is_live) {
        take_back_shed(d, producer, m->next_number);
        keep_place(d, producer, m);
    }
    ledger_end_session(&d->ledger, producer);
    int result = d->ledger.is_live
                     ? ledger_record(&d->ledger, producer,
                                     &d->ledger.sessions.session[producer].record, now_ns)
                     : ERR_OK;
    if (result != ERR_OK) ledger_note_trouble(&d->ledger, result, now_ns);
    grant_and_tell(d);
    ledger_publish(&d->ledger, now_ns);
}

static void in_session(struct desk *d, uint32_t producer, const struct message *m, uint64_t now_ns)
{
    struct session *s = &d->ledger.sessions.session[producer];
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
    for (uint32_t p = 0; p < d->ledger.sessions.producers; p++) ledger_end_session(&d->ledger, p);
}

static void from_broker(struct desk *d, const struct message *m, uint64_t now_ns)
{
    if (m->type == MESSAGE_REFUSE) {
        d->is_attached = 0;
        d->wants_attach = 1;
        d->broker_ns = now_ns;
    } else if (m->type == MESSAGE_ATTACHED) {
        if (m->session != d->ledger.sessions.broker_life) {
            end_all_sessions(d); /* their links are of another broker */
            d->ledger.sessions.broker_life = m->session;
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
    int producer = sessions_find(&d->ledger.sessions, link, m.session);
    if (m.type == MESSAGE_HELLO) {
        on_hello(d, link, &m, now_ns);
    } else if (m.type == MESSAGE_GONE) {
        producer = sessions_on_link(&d->ledger.sessions, link);
        if (producer >= 0) ledger_end_session(&d->ledger, (uint32_t)producer);
        grant_and_tell(d);
        ledger_publish(&d->ledger, now_ns);
    } else if (producer >= 0) {
        in_session(d, (uint32_t)producer, &m, now_ns);
    } else if (m.type != MESSAGE_BYE) {
        say_refuse(d, link, m.session, ERR_STATE, 1, "this session is over");
    }
}

/* Whether a frame is one of this stream at all. */
static int check_frame(const struct desk *d, uint32_t producer, const struct frame_header *h)
{
    const struct descriptor *own = &d->ledger.stock.descriptor;
    const struct session *s = &d->ledger.sessions.session[producer];
    if (h->stream != d->stream || h->producer != producer || h->epoch != s->record.epoch)
        return err_set(ERR_MISMATCH, "frame %" PRIu64 " is of another producer or epoch",
                       h->number);
    if (h->width != own->width || h->dtype != own->dtype)
        return err_set(ERR_MISMATCH, "frame %" PRIu64 " has rows of width %u, dtype %u, not %u, %u",
                       h->number, h->width, h->dtype, own->width, own->dtype);
    if (h->rows > own->rows_per_slab)
        return err_set(ERR_MISMATCH, "frame %" PRIu64 " has %u rows, a slab holds %u", h->number,
                       h->rows, own->rows_per_slab);
    return ERR_OK;
}

static void on_gap(struct desk *d, uint32_t producer, uint64_t now_ns)
{
    struct session *s = &d->ledger.sessions.session[producer];
    d->counters.gap_frames++;
    desk_flush(d, now_ns);
    if (s->expected == s->record.next_number && sessions_resync_due(s, now_ns))
        say_state(d, producer, MESSAGE_RESYNC);
}

static int judge_frame(struct desk *d, uint32_t producer, const struct frame_header *h,
                       const struct parcel *parcel, uint64_t now_ns)
{
    struct session *s = &d->ledger.sessions.session[producer];
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
    if (s->record.ended || intake_add(d->ledger.intake, h, parcel)) return 0;
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
    int producer = sessions_find(&d->ledger.sessions, link, h.session);
    if (producer < 0 || d->ledger.sessions.session[producer].is_measuring) {
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
    return ledger_has_frames(&d->ledger);
}

/* A damaged frame is asked for again; one that its producer made wrong ends that producer. */
static void answer_refused(struct desk *d, const struct intake_result *result, uint64_t now_ns)
{
    for (uint32_t p = 0; p < d->ledger.sessions.producers; p++) {
        struct session *s = &d->ledger.sessions.session[p];
        if (!result->refused[p] || !s->session) continue;
        d->counters.refused_frames++;
        if (log_allowed(&d->frame_refused))
            log_event(LOG_WARN, "frame refused", LOG_U("producer", p), LOG_S("why", result->why),
                      LOG_U("suppressed", d->frame_refused.suppressed));
        intake_drop(d->ledger.intake, p);
        s->expected = s->record.next_number;
        if (result->refused[p] != ERR_CHECKSUM)
            break_off(d, p, result->refused[p], 0, result->why);
        else if (sessions_resync_due(s, now_ns))
            say_state(d, p, MESSAGE_RESYNC);
    }
}

void desk_flush(struct desk *d, uint64_t now_ns)
{
    struct intake_result result;
    int code;
    if (!ledger_flush(&d->ledger, now_ns, &result, &code)) return;
    answer_refused(d, &result, now_ns);
    if (code && code != ERR_AGAIN) return;
    ledger_grant(&d->ledger);
    for (uint32_t p = 0; p < d->ledger.sessions.producers; p++)
        if (result.acked[p] && d->ledger.sessions.session[p].session) say_state(d, p, 0);
}

/* ---- time ---- */

static void end_silent(struct desk *d, uint64_t now_ns)
{
    int producer;
    while ((producer = sessions_silent(&d->ledger.sessions, now_ns)) >= 0) {
        log_event(LOG_WARN, "producer is silent: its session is over",
                  LOG_U("producer", (uint64_t)producer));
        ledger_end_session(&d->ledger, (uint32_t)producer);
    }
}

void desk_tick(struct desk *d, uint64_t now_ns)
{
    if (d->ledger.fatal) return;
    say_to_broker(d, now_ns);
    end_silent(d, now_ns);
    if (now_ns >= d->poll_ns) {
        d->poll_ns = now_ns + POLL_EACH;
        keeper_poll(&d->keeper, now_ns);
        retention_poll(&d->retention, now_ns, process_wall_ns());
    }
    desk_flush(d, now_ns);
    if (!ledger_is_open(&d->ledger)) return;
    keeper_replace(&d->keeper, now_ns);
    grant_and_tell(d);
    ledger_publish(&d->ledger, now_ns);
    if (now_ns < d->store_ns) return;
    d->store_ns = now_ns + STORE_EACH;
    store_tick(d->ledger.stock.store);
}

/* ---- the end ---- */

static int is_wanted(const struct desk *d)
{
    struct coverage coverage = consumers_coverage(d->ledger.consumers);
    return coverage.consumers && !coverage_all_finished(&coverage);
}

static int has_ended(const struct desk *d)
{
    return d->ledger.stock.store && sessions_all_ended(&d->ledger.sessions);
}

void desk_leave(struct desk *d, uint64_t now_ns)
{
    desk_flush(d, now_ns);
    if (!d->ledger.fatal) keeper_settle(&d->keeper, now_ns); /* trainers may have just ended */
    struct message m = blank(d, MESSAGE_BYE);
    int is_over = has_ended(d) && !is_wanted(d);
    if (is_over) m.flags = MESSAGE_ENDED;
    say(d, 0, &m);
    if (is_over) retention_clear(&d->retention, now_ns);
}

int desk_is_over(struct desk *d, uint64_t now_ns, int *code)
{
    *code = ERR_OK;
    if (d->ledger.fatal) {
        *code = err_set(d->ledger.fatal, "%s", d->ledger.fatal_text);
        return 1;
    }
    if (!has_ended(d) || is_wanted(d)) {
        d->ended_ns = 0;
        return 0;
    }
    if (!d->ended_ns) d->ended_ns = now_ns;
    return !sessions_live(&d->ledger.sessions) || now_ns > d->ended_ns + LINGER;
}

/* ---- asking ---- */

struct desk_counters desk_counters(const struct desk *d)
{
    struct desk_counters c = d->counters;
    const struct ledger_counters *l = &d->ledger.counters;
    const struct keeper_counters *k = &d->keeper.counters;
    c.frames = l->frames;
    c.rows = l->rows;
    c.bytes = l->bytes;
    c.known_frames = l->known_frames;
    c.commits = l->commits;
    c.failed_commits = l->failed_commits;
    c.commit_seconds = l->commit_seconds;
    c.newest_captured_ns = l->newest_captured_ns;
    c.freed_slabs = k->freed_slabs;
    c.replaced_slabs = k->replaced_slabs;
    c.rewinds = l->rewinds + k->rewinds;
    c.checkpoint_requests = k->checkpoint_requests;
    c.expired_slabs = k->expired_slabs;
    c.scrubbed_pages = d->retention.counters.scrubbed_pages;
    c.set_aside = d->ledger.stock.set_aside;
    return c;
}

const struct sessions *desk_sessions(const struct desk *d)
{
    return &d->ledger.sessions;
}

int desk_finished(const struct desk *d, uint32_t index)
{
    return consumers_finished(d->ledger.consumers, index);
}

struct desk_gauges desk_gauges(const struct desk *d)
{
    struct desk_gauges g = {.producers = d->ledger.sessions.producers,
                            .live_producers = sessions_live(&d->ledger.sessions),
                            .is_attached = d->is_attached,
                            .trouble = d->ledger.trouble};
    for (uint32_t p = 0; p < d->ledger.sessions.producers; p++) {
        g.ended_producers += d->ledger.sessions.session[p].record.ended;
        g.reserved_slabs += ledger_reserved(&d->ledger.sessions.session[p]);
        g.stream_rows += d->ledger.sessions.session[p].record.rows;
    }
    if (!d->ledger.stock.store) return g;
    const struct store_state *state = store_state(d->ledger.stock.store);
    g.unscrubbed_seconds = d->retention.counters.oldest_seconds;
    g.slabs = state->slabs;
    g.rows = state->rows;
    g.capacity_slabs = store_capacity(d->ledger.stock.store);
    g.capacity_rows = g.capacity_slabs * state->rows_per_slab;
    g.planned_rows = d->ledger.stock.descriptor.planned_rows;
    g.slab_bytes = frame_raw_bytes(state->rows_per_slab, d->ledger.stock.descriptor.width,
                                   d->ledger.stock.descriptor.dtype);
    g.has_ended = (int)state->ended;
    g.more_is_coming = (int)state->more_is_coming;
    return g;
}
