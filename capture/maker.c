#include "capture/maker.h"

#include "base/err.h"
#include "capture/cutter.h"
#include "capture/measure.h"
#include "capture/teller.h"
#include "wiring/bounds.h"
#include "wiring/source.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const uint64_t shed_flush_ns = UINT64_C(1000000000); /* a live row waits no longer */

struct maker {
    const struct config *config;
    uint32_t producer;
    struct sender *sender;
    pthread_t thread;

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
    uint64_t oldest_ns; /* when the oldest row that waits in the cutter was captured */
    struct teller *teller;
    uint64_t number;   /* of the next frame (block) */
    struct cursor end; /* behind the last batch */

    pthread_mutex_t lock; /* over what follows */
    struct maker_counters counters;
    char preparing[CONFIG_PATH_BYTES]; /* the model that is being prepared; "" at first */
    uint64_t preparing_bytes;          /* that it will have, about */
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
    pthread_mutex_unlock(&m->lock);
    return teller_documents(m->teller, m->engine, 0);
}

static void tell(struct maker *m, int at_once)
{
    struct sender_status status;
    sender_status(m->sender, &status);
    teller_tell(m->teller, status.counters.totals.shed_rows, at_once);
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
    return result != ERR_OK ? result : count_engine(m);
}

/* ---- measuring ---- */

static int fill_measure(struct maker *m, uint64_t generation)
{
    int result = measure_new(m->own.width, BOUNDS_MEASURED_BYTES, &m->measure);
    while (result == ERR_OK && measure_wants(m->measure, m->config->capture.measure_contexts)) {
        struct engine_batch batch;
        if (!is_current(m, generation)) return ERR_STATE;
        m->has_read = 1;
        result = source_error(engine_next(m->engine, &batch));
        if (result == ERR_OK) result = count_engine(m);
        if (result != ERR_OK || !batch.rows) {
            m->engine_ended = result == ERR_OK;
            break;
        }
        result = measure_add(m->measure, &batch);
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
    int result = m->measure ? ERR_OK : fill_measure(m, generation);
    if (result == ERR_OK && has_nothing_to_measure(m)) {
        result = decline(m);
        if (result != ERR_OK || m->config->capture.producers > 1) return result;
    }
    if (result == ERR_OK && !m->config->capture.rows && !m->config->trainer.planned_rows)
        result = source_error(engine_count_rows(m->engine, &counted_rows, NULL, NULL));
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
        struct producer_place place = {cutter_totals(m->cutter), cutter_rows(m->cutter), *end};
        cutter_drop(m->cutter);
        teller_mark(m->teller, m->number, end);
        return marked(m, sender_shed(m->sender, generation, &place));
    }
    if (result != ERR_OK) return result;
    result = cutter_seal(m->cutter, process_wall_ns(), &frame->header,
                         frame->bytes + FRAME_HEADER_BYTES);
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

/* Filter and cut one batch, up to the row that is enough. */
static int take_batch(struct maker *m, uint64_t generation, const struct engine_batch *batch)
{
    uint64_t left_out[FILTER_NOT_FINITE + 1] = {0};
    int result = ERR_OK;
    for (size_t i = 0; i < batch->rows && result == ERR_OK && !is_enough(m); i++) {
        const float *x = batch->values + i * m->descriptor->width;
        enum filter_verdict verdict = filter_row(m->descriptor, batch->flags[i], x);
        result = teller_row(m->teller, verdict);
        if (result != ERR_OK) break;
        if (verdict != FILTER_KEEP) {
            cutter_leave_out(m->cutter, verdict);
            left_out[verdict]++;
            continue;
        }
        if (!cutter_rows(m->cutter)) m->oldest_ns = process_now_ns();
        cutter_add(m->cutter, &batch->ids[i], x, &batch->cursors[i], &batch->cursors[i + 1]);
        m->kept_rows++;
        if (cutter_full(m->cutter)) result = cut(m, generation, &batch->cursors[i + 1]);
    }
    count_filtered(m, left_out);
    return result;
}

/* All rows so far, cut or not. A live stream's are put down first. */
static int tell_sender(struct maker *m, uint64_t generation)
{
    struct producer_place place = {cutter_totals(m->cutter), cutter_rows(m->cutter), m->end};
    if (m->descriptor->shed) teller_mark(m->teller, m->number, &m->end);
    return marked(m, sender_count(m->sender, generation, &place));
}

static int end_share(struct maker *m, uint64_t generation)
{
    int has_part = m->limit_rows != UINT64_MAX;
    int is_short = has_part && m->kept_rows < m->limit_rows;
    teller_part(m->teller, has_part ? m->limit_rows : 0, is_short);
    int result = teller_end(m->teller, m->engine);
    if (result == ERR_OK && is_short)
        log_event(LOG_WARN, "this share has fewer rows than its part of capture.rows",
                  LOG_U("rows", m->kept_rows), LOG_U("part", m->limit_rows));
    if (result == ERR_OK && cutter_rows(m->cutter)) result = cut(m, generation, &m->end);
    if (result == ERR_OK) result = tell_sender(m, generation);
    if (result != ERR_OK) return result;
    tell(m, 1);
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
        if (!is_enough(m)) result = next_batch(m, &batch);
        if (result != ERR_OK || !batch.rows) break;
        result = take_batch(m, generation, &batch);
        m->end = batch.cursors[batch.rows];
        if (result == ERR_OK) result = flush_live(m, generation);
        if (result == ERR_OK) result = tell_sender(m, generation);
        if (result == ERR_OK) result = teller_batch(m->teller);
        if (result == ERR_OK) tell(m, 0);
    }
    return result != ERR_OK ? result : end_share(m, generation);
}

/* ---- the thread ---- */

static void preparing(void *arg, const char *file, uint64_t bytes)
{
    struct maker *m = arg;
    pthread_mutex_lock(&m->lock);
    snprintf(m->preparing, sizeof m->preparing, "%s", file);
    m->preparing_bytes = bytes;
    pthread_mutex_unlock(&m->lock);
}

static void tell_engine(void *arg, int is_warning, const char *sentence)
{
    (void)arg;
    log_printf(is_warning ? LOG_WARN : LOG_INFO, "%s", sentence);
}

static int open_source(struct maker *m)
{
    char *text = NULL;
    size_t bytes;
    struct engine_watch watch = {preparing, tell_engine, m};
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

static void *run(void *arg)
{
    struct maker *m = arg;
    int result = open_source(m);
    if (result == ERR_OK) result = follow_orders(m);
    if (result != ERR_OK) sender_fail(m->sender, result, err_text());
    tell(m, 1);
    teller_log(m->teller);
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
    int failed = pthread_create(&m->thread, NULL, run, m);
    if (failed) {
        teller_free(m->teller);
        free(m);
        return err_set(ERR_NOMEM, "the engine's thread could not be started: %s", strerror(failed));
    }
    *maker = m;
    return ERR_OK;
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

double maker_prepared(struct maker *m)
{
    struct stat st;
    pthread_mutex_lock(&m->lock);
    double share = -1; /* the file has its name only while it is made */
    if (m->preparing[0] && stat(m->preparing, &st) == 0)
        share = fmin(1, (double)st.st_size / (double)m->preparing_bytes);
    pthread_mutex_unlock(&m->lock);
    return share;
}
