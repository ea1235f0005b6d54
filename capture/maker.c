#include "capture/maker.h"

#include "base/err.h"
#include "capture/cutter.h"
#include "capture/measure.h"
#include "capture/teller.h"
#include "wiring/bounds.h"
#include "wiring/source.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Sequences of a live stream come interleaved, and are of any length: so many rows are measured for each
 * of capture.measure_contexts. */
enum { LIVE_ROWS = 128 };

static const uint64_t one_time_ns = UINT64_C(10000000000);  /* of the rows of a live frame */
static const uint64_t shed_flush_ns = UINT64_C(1000000000); /* a live row waits no longer */
static const uint64_t last_room_ns = UINT64_C(3000000000);

struct maker {
    const struct config *config;
    uint32_t producer;
    struct sender *sender;
    pthread_t thread;

    struct opening opening;
    struct source *source;
    struct engine *engine;
    struct descriptor own; /* without what is measured */
    const struct descriptor *descriptor;
    struct cutter *cutter;
    struct measure
        *measure;        /* the first rows, kept until they have been streamed or are not needed */
    size_t replayed;     /* batches of `measure` that were streamed */
    int has_read;        /* batches were taken from the engine since it was opened or put back */
    int engine_ended;    /* it did so while measuring */
    uint64_t limit_rows; /* kept rows at which this share ends; UINT64_MAX: with the corpus */
    uint64_t kept_rows;
    uint64_t oldest_ns;              /* when the oldest row that waits in the cutter came */
    uint64_t first_wall_ns, wall_ns; /* when it, and the last one, was captured; wall clock */
    struct teller *teller;
    atomic_int is_told_to_end;
    uint64_t lost_rows; /* that programs could not hand over, as told to the sender */
    uint64_t number;    /* of the next frame (block) */
    struct cursor end;  /* behind the last batch */

    pthread_mutex_t lock; /* over what follows */
    struct maker_counters counters;
};

/* ---- orders ---- */

static int is_current(struct maker *m, uint64_t generation)
{
    return sender_order(m->sender).generation == generation &&
           sender_order(m->sender).task != PRODUCER_HALT;
}

/* What the engine has done, after each call of it. ERR_USAGE: it skips too much. */
static int count_engine(struct maker *m)
{
    struct engine_counters e = engine_counters(m->engine);
    pthread_mutex_lock(&m->lock);
    m->counters.tokens = e.tokens;
    m->counters.documents = e.documents;
    m->counters.bad_text = e.bad_text;
    engine_rings(m->engine, &m->counters.rings);
    pthread_mutex_unlock(&m->lock);
    return teller_documents(m->teller, m->engine, 0);
}

static void tell(struct maker *m, int at_once)
{
    struct sender_status status;
    sender_status(m->sender, &status);
    teller_tell(m->teller, status.counters.totals.shed_rows, m->counters.expired_rows, at_once);
}

/* What the sender was told after a mark; where it did not listen, it was not so. */
static int marked(struct maker *m, int result)
{
    if (result == ERR_STATE) teller_take_back(m->teller);
    return result;
}

/* ---- batches ---- */

static int next_batch(struct maker *m, struct engine_batch *batch)
{
    if (m->measure) {
        *batch = measure_batch(m->measure, m->replayed++);
        if (batch->rows) return ERR_OK;
        measure_free(m->measure);
        m->measure = NULL;
    }
    if (m->engine_ended) {
        *batch = (struct engine_batch){0};
        return ERR_OK;
    }
    m->has_read = 1;
    int result = source_error(engine_next(m->engine, batch));
    int none = result == ERR_AGAIN; /* for now */
    if (none) result = ERR_OK;
    if (result == ERR_OK) result = count_engine(m);
    return result == ERR_OK && none ? ERR_AGAIN : result;
}

/* ---- measuring ---- */

/* Either may take long: a model's first contexts, and what comes of a live stream. */
static void count_measured(struct maker *m, int is_live)
{
    uint32_t contexts = m->config->capture.measure_contexts;
    pthread_mutex_lock(&m->lock);
    m->counters.measures_live = is_live;
    m->counters.measured = is_live ? measure_rows(m->measure) : measure_contexts(m->measure);
    m->counters.measured_of = is_live ? (uint64_t)contexts * LIVE_ROWS : contexts;
    pthread_mutex_unlock(&m->lock);
}

static void count_tokens(void *arg, uint64_t tokens)
{
    struct maker *m = arg;
    pthread_mutex_lock(&m->lock);
    m->counters.is_counting = 1;
    m->counters.counted_tokens = tokens;
    pthread_mutex_unlock(&m->lock);
}

/* Rows that the corpus will make before any filter. It is read and tokenized for that. */
static int count_corpus(struct maker *m, uint64_t *rows)
{
    count_tokens(m, 0);
    int result = source_error(engine_count_rows(m->engine, rows, count_tokens, m));
    pthread_mutex_lock(&m->lock);
    m->counters.is_counting = 0;
    pthread_mutex_unlock(&m->lock);
    return result;
}

static int fill_measure(struct maker *m, uint64_t generation)
{
    uint32_t contexts = m->config->capture.measure_contexts;
    int is_live = engine_info(m->engine)->is_live;
    int result =
        m->measure ? ERR_OK : measure_new(m->own.width, BOUNDS_MEASURED_BYTES, &m->measure);
    if (result == ERR_OK) count_measured(m, is_live);
    while (result == ERR_OK && (is_live ? measure_wants_rows(m->measure, contexts * LIVE_ROWS)
                                        : measure_wants(m->measure, contexts))) {
        struct engine_batch batch;
        if (!is_current(m, generation)) return ERR_STATE;
        m->has_read = 1;
        result = source_error(engine_next(m->engine, &batch));
        if (result == ERR_OK || result == ERR_AGAIN) {
            int counted = count_engine(m);
            if (counted != ERR_OK) return counted;
        }
        if (result == ERR_AGAIN) {
            result = ERR_OK;
            continue;
        }
        if (result != ERR_OK || !batch.rows) {
            m->engine_ended = result == ERR_OK;
            break;
        }
        result = measure_add(m->measure, &batch);
        count_measured(m, is_live);
    }
    return result;
}

/* Kept rows of the whole stream, as far as that can be known beforehand. */
static int plan_rows(struct maker *m, uint64_t counted_rows, struct descriptor *d)
{
    const struct config *c = m->config;
    double kept_share = (double)d->measured_rows / (double)measure_rows(m->measure);
    if (c->capture.rows)
        d->planned_rows = c->capture.rows;
    else if (c->trainer.planned_rows)
        d->planned_rows = c->trainer.planned_rows / c->trainer.reuse;
    else
        d->planned_rows = (uint64_t)((double)counted_rows * kept_share);
    d->held_out_one_in = descriptor_held_out(d->planned_rows, c->trainer.eval_rows);
    log_event(LOG_INFO, "measured the stream", LOG_U("rows", d->measured_rows),
              LOG_D("kept_share", kept_share), LOG_D("norm_median", d->hook[0].norm_median),
              LOG_D("scale", d->hook[0].scale), LOG_U("planned_rows", d->planned_rows),
              LOG_U("held_out_one_in", d->held_out_one_in));
    return ERR_OK;
}

/* Fewer documents than producers: this share has none, or only rows that every filter leaves
 * out. */
static int has_nothing_to_measure(const struct maker *m)
{
    return m->engine_ended && !measure_candidates(m->measure, &m->own);
}

static int decline(struct maker *m)
{
    if (m->config->capture.producers > 1) {
        log_info("this share has no row to measure: another producer must");
        sender_decline(m->sender);
        return ERR_OK;
    }
    if (measure_rows(m->measure)) return ERR_OK; /* measure_finish() says what is wrong with them */
    return err_set(ERR_USAGE, "the corpus is empty: not one row came of it; HINT: look at "
                              "capture.corpus (or capture.files, capture.synthetic.rows)");
}

static int do_measure(struct maker *m, uint64_t generation)
{
    uint64_t counted_rows = 0;
    int result = fill_measure(m, generation);
    if (result == ERR_OK && has_nothing_to_measure(m)) {
        result = decline(m);
        if (result != ERR_OK || m->config->capture.producers > 1) return result;
    }
    if (result == ERR_OK && !m->config->capture.rows && !m->config->trainer.planned_rows)
        result = count_corpus(m, &counted_rows);
    if (result == ERR_OK) result = teller_corpus(m->teller, m->engine);
    if (result == ERR_OK && !is_current(m, generation)) result = ERR_STATE;
    if (result != ERR_OK) return result;
    struct descriptor d = m->own;
    char *text = NULL;
    size_t bytes;
    result = measure_finish(m->measure, &d);
    if (result == ERR_OK) result = plan_rows(m, counted_rows, &d);
    if (result == ERR_OK) result = descriptor_encode(&d, &text, &bytes);
    if (result == ERR_OK) result = sender_described(m->sender, text, bytes);
    free(text);
    free(d.mean);
    return result;
}

/* ---- making ---- */

/* The share of capture.rows that this producer makes; it may be none. */
static uint64_t share_of(uint64_t rows, uint32_t producers, uint32_t producer)
{
    if (!rows) return UINT64_MAX;
    return rows / producers + (producer < rows % producers);
}

static int is_beginning(const struct cursor *c)
{
    static const struct cursor beginning;
    return !memcmp(c, &beginning, sizeof beginning);
}

/* Put the engine where the order says; the rows that were measured need no second computation. */
static int seek(struct maker *m, const struct producer_order *order)
{
    if (is_beginning(&order->cursor) && (m->measure || !m->has_read)) {
        m->replayed = 0;
        return ERR_OK;
    }
    if (engine_info(m->engine)->is_live)
        return source_error(engine_seek(m->engine, &order->cursor));
    if (!engine_info(m->engine)->resumable) {
        log_warn(
            "the corpus cannot be read again: rows that were under way when a process died are "
            "lost (capture.resumable: false)");
        teller_gap(m->teller);
        return ERR_OK;
    }
    measure_free(m->measure);
    m->measure = NULL;
    m->engine_ended = 0;
    m->has_read = 1;
    return source_error(engine_seek(m->engine, &order->cursor));
}

static int prepare(struct maker *m, const struct producer_order *order)
{
    m->descriptor = sender_descriptor(m->sender);
    struct cutter_options options = {
        .stream = stream_key(m->config->stream.name),
        .producer = m->producer,
        .rows_per_slab = m->descriptor->rows_per_slab,
        .width = m->descriptor->width,
        .dtype = m->descriptor->dtype,
        .codec = (uint8_t)m->config->stream.codec,
        .drops_tokens = m->descriptor->drops_tokens,
    };
    int result = m->cutter ? ERR_OK : cutter_new(&options, &m->cutter);
    if (result == ERR_OK)
        result = teller_seek(m->teller, m->descriptor->run, order->number, &order->cursor);
    if (result != ERR_OK) return result;
    cutter_restart(m->cutter, &order->totals);
    m->number = order->number;
    /* Under block every frame but the last is full, so the number tells how many rows were kept. */
    m->kept_rows = m->descriptor->shed ? teller_kept_rows(m->teller)
                                       : (order->number - 1) * m->descriptor->rows_per_slab;
    pthread_mutex_lock(&m->lock);
    m->counters.planned_rows = m->descriptor->planned_rows;
    pthread_mutex_unlock(&m->lock);
    return seek(m, order);
}

/* Cut what waits and hand it over. `end`: of the source, behind those rows. */
static int cut(struct maker *m, uint64_t generation, const struct cursor *end)
{
    struct window_frame *frame;
    int result = sender_take(m->sender, generation, &frame);
    if (result == ERR_AGAIN) {
        struct producer_place place = {cutter_totals(m->cutter), cutter_rows(m->cutter), *end, 0};
        cutter_drop(m->cutter);
        teller_mark(m->teller, m->number, end);
        return marked(m, sender_shed(m->sender, generation, &place));
    }
    if (result != ERR_OK) return result;
    result = cutter_seal(m->cutter, m->wall_ns, &frame->header, frame->bytes + FRAME_HEADER_BYTES);
    if (result != ERR_OK) {
        sender_return(m->sender, frame);
        return result;
    }
    teller_mark(m->teller, ++m->number, &frame->header.end); /* before it can leave */
    return marked(m, sender_push(m->sender, generation, frame));
}

static void count_filtered(struct maker *m, const uint64_t *left_out)
{
    pthread_mutex_lock(&m->lock);
    m->counters.special_rows += left_out[FILTER_SPECIAL];
    m->counters.first_rows += left_out[FILTER_FIRST];
    m->counters.norm_rows += left_out[FILTER_NORM];
    pthread_mutex_unlock(&m->lock);
}

static int is_enough(const struct maker *m)
{
    return m->kept_rows >= m->limit_rows;
}

/* A slab goes by the age of its youngest row: rows of two times are of two frames. */
static int is_of_another_time(const struct maker *m, uint64_t wall_ns)
{
    uint64_t apart =
        wall_ns > m->first_wall_ns ? wall_ns - m->first_wall_ns : m->first_wall_ns - wall_ns;
    return m->config->sink.retention_seconds && cutter_rows(m->cutter) && apart > one_time_ns;
}

/* It waited in a program's ring for too long. */
static int is_expired(struct maker *m, uint64_t wall_ns, uint64_t now_ns)
{
    uint64_t seconds = m->config->sink.retention_seconds;
    if (!seconds || now_ns < wall_ns || (now_ns - wall_ns) / UINT64_C(1000000000) < seconds)
        return 0;
    pthread_mutex_lock(&m->lock);
    m->counters.expired_rows++;
    pthread_mutex_unlock(&m->lock);
    return 1;
}

/* Filter and cut one batch, up to the row that is enough. */
static int take_batch(struct maker *m, uint64_t generation, const struct engine_batch *batch)
{
    uint64_t left_out[FILTER_NOT_FINITE + 1] = {0}, now_ns = process_wall_ns();
    int result = ERR_OK;
    for (size_t i = 0; i < batch->rows && result == ERR_OK && !is_enough(m); i++) {
        const float *x = batch->values + i * m->descriptor->width;
        uint64_t wall_ns = batch->captured_ns ? batch->captured_ns[i] : now_ns;
        if (is_expired(m, wall_ns, now_ns)) continue;
        enum filter_verdict verdict = filter_row(m->descriptor, batch->flags[i], x);
        result = teller_row(m->teller, verdict);
        if (result != ERR_OK) break;
        if (verdict != FILTER_KEEP) {
            cutter_leave_out(m->cutter, verdict);
            left_out[verdict]++;
            continue;
        }
        if (is_of_another_time(m, wall_ns)) result = cut(m, generation, &batch->cursors[i]);
        if (result != ERR_OK) break;
        if (!cutter_rows(m->cutter)) {
            m->oldest_ns = process_now_ns();
            m->first_wall_ns = m->wall_ns = wall_ns;
        }
        if (wall_ns > m->wall_ns) m->wall_ns = wall_ns;
        cutter_add(m->cutter, &batch->ids[i], x, &batch->cursors[i], &batch->cursors[i + 1]);
        m->kept_rows++;
        if (cutter_full(m->cutter)) result = cut(m, generation, &batch->cursors[i + 1]);
    }
    count_filtered(m, left_out);
    return result;
}

/* Rows that programs made and could not hand over: captured, and shed. */
static int count_lost(struct maker *m, uint64_t generation)
{
    uint64_t lost = m->counters.rings.lost_rows - m->lost_rows; /* this thread's to change */
    if (!lost) return ERR_OK;
    cutter_lose(m->cutter, lost);
    struct producer_place place = {cutter_totals(m->cutter), cutter_rows(m->cutter), m->end, lost};
    int result = sender_count(m->sender, generation, &place);
    if (result != ERR_OK) return result;
    m->lost_rows += lost;
    engine_rings_counted(m->engine);
    return ERR_OK;
}

/* All rows so far, cut or not. A live stream's are put down first. */
static int tell_sender(struct maker *m, uint64_t generation)
{
    struct producer_place place = {cutter_totals(m->cutter), cutter_rows(m->cutter), m->end, 0};
    if (m->descriptor->shed) teller_mark(m->teller, m->number, &m->end);
    return marked(m, sender_count(m->sender, generation, &place));
}

/* A live stream that is told to end has time: what has been captured is not to be shed for want of room
 * that comes with the next ack. */
static void await_room(struct maker *m, uint64_t generation)
{
    uint64_t until_ns = process_now_ns() + last_room_ns;
    struct sender_status status;
    if (!m->descriptor->shed || !atomic_load(&m->is_told_to_end)) return;
    do {
        sender_status(m->sender, &status);
        if (status.credit_frames && status.in_flight_rows <= cutter_rows(m->cutter)) return;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    } while (process_now_ns() < until_ns && is_current(m, generation));
}

static int end_share(struct maker *m, uint64_t generation)
{
    int has_part = m->limit_rows != UINT64_MAX;
    int is_short = has_part && m->kept_rows < m->limit_rows && !atomic_load(&m->is_told_to_end);
    teller_part(m->teller, has_part ? m->limit_rows : 0, is_short);
    int result = teller_end(m->teller, m->engine);
    if (result == ERR_OK && is_short)
        log_event(LOG_WARN, "this share has fewer rows than its part of capture.rows",
                  LOG_U("rows", m->kept_rows), LOG_U("part", m->limit_rows));
    if (result == ERR_OK && cutter_rows(m->cutter)) {
        await_room(m, generation);
        result = cut(m, generation, &m->end);
    }
    if (result == ERR_OK) result = tell_sender(m, generation);
    if (result != ERR_OK) return result;
    tell(m, 1);
    engine_finish(m->engine);
    return sender_end(m->sender, generation);
}

static int flush_live(struct maker *m, uint64_t generation)
{
    if (!m->descriptor->shed || !cutter_rows(m->cutter)) return ERR_OK;
    return process_now_ns() - m->oldest_ns < shed_flush_ns ? ERR_OK : cut(m, generation, &m->end);
}

static int make(struct maker *m, const struct producer_order *order)
{
    uint64_t generation = order->generation;
    int result = prepare(m, order);
    m->end = order->cursor;
    while (result == ERR_OK) {
        struct engine_batch batch = {0};
        if (!is_enough(m) && !atomic_load(&m->is_told_to_end)) result = next_batch(m, &batch);
        int none = result == ERR_AGAIN;
        if ((result != ERR_OK && !none) || (!none && !batch.rows)) break;
        result = count_lost(m, generation);
        if (result == ERR_OK && !none) {
            result = take_batch(m, generation, &batch);
            m->end = batch.cursors[batch.rows];
        }
        if (result == ERR_OK) result = flush_live(m, generation);
        if (result == ERR_OK) result = tell_sender(m, generation);
        if (result == ERR_OK) result = teller_batch(m->teller);
        if (result == ERR_OK) tell(m, 0);
    }
    return result != ERR_OK ? result : end_share(m, generation);
}

/* ---- the thread ---- */

static int open_source(struct maker *m)
{
    char *text = NULL;
    size_t bytes;
    struct engine_watch watch = opening_watch(&m->opening);
    int result = source_open(m->config, m->producer, &watch, &m->source);
    if (result != ERR_OK) return result;
    m->engine = source_engine(m->source);
    log_info("the engine is open: %s", engine_info(m->engine)->model);
    m->limit_rows = share_of(m->config->capture.rows, m->config->capture.producers, m->producer);
    result = source_describe(m->source, m->config, &m->own);
    if (result == ERR_OK) result = descriptor_encode(&m->own, &text, &bytes);
    if (result == ERR_OK) result = sender_introduce(m->sender, text, bytes);
    free(text);
    return result;
}

static int follow_orders(struct maker *m)
{
    struct producer_order order = {0};
    int result = ERR_OK;
    while (result == ERR_OK) {
        order = sender_wait_order(m->sender, order.generation);
        if (order.task == PRODUCER_HALT) break;
        if (order.task == PRODUCER_MEASURE) result = do_measure(m, order.generation);
        if (order.task == PRODUCER_MAKE) result = make(m, &order);
        if (result == ERR_STATE && !is_current(m, order.generation))
            result = ERR_OK; /* a newer order */
    }
    return result;
}

/* A live stream's rows that were read to measure it, and cannot be made again. */
static void tell_unstreamed(const struct maker *m)
{
    uint64_t rows = 0;
    size_t n = 0;
    if (!m->measure || !engine_info(m->engine)->is_live) return;
    for (size_t i = m->replayed; (n = measure_batch(m->measure, i).rows); i++) rows += n;
    if (rows)
        log_event(LOG_WARN,
                  "stopped before the stream was measured: the rows read for that are lost",
                  LOG_U("rows", rows));
}

static void *run(void *arg)
{
    struct maker *m = arg;
    int result = open_source(m);
    if (result == ERR_OK) result = follow_orders(m);
    if (result != ERR_OK) sender_fail(m->sender, result, err_text());
    tell(m, 1);
    teller_log(m->teller);
    tell_unstreamed(m);
    cutter_free(m->cutter);
    measure_free(m->measure);
    source_close(m->source);
    return NULL;
}

int maker_start(const struct config *config, uint32_t producer, struct sender *sender,
                struct room *room, struct maker **maker)
{
    struct maker *m = calloc(1, sizeof *m);
    if (!m) return err_set(ERR_NOMEM, "no memory for the engine's thread");
    m->config = config;
    m->producer = producer;
    m->sender = sender;
    int result = teller_new(config, producer, room, &m->teller);
    if (result != ERR_OK) {
        free(m);
        return result;
    }
    pthread_mutex_init(&m->lock, NULL);
    opening_init(&m->opening, sender);
    int failed = pthread_create(&m->thread, NULL, run, m);
    if (failed) {
        teller_free(m->teller);
        free(m);
        return err_set(ERR_NOMEM, "the engine's thread could not be started: %s", strerror(failed));
    }
    *maker = m;
    return ERR_OK;
}

void maker_end(struct maker *m)
{
    atomic_store(&m->is_told_to_end, 1);
}

int maker_join(struct maker *m, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)seconds;
    if (pthread_timedjoin_np(m->thread, NULL, &until)) return ERR_AGAIN;
    tell(m, 1); /* what was shed at the very end */
    teller_free(m->teller);
    pthread_mutex_destroy(&m->lock);
    opening_end(&m->opening);
    free(m);
    return ERR_OK;
}

struct maker_counters maker_counters(struct maker *m)
{
    pthread_mutex_lock(&m->lock);
    struct maker_counters c = m->counters;
    pthread_mutex_unlock(&m->lock);
    c.left_out = teller_left_out(m->teller);
    return c;
}

struct opening *maker_opening(struct maker *m)
{
    return &m->opening;
}
