#include "capture/maker.h"

#include "base/err.h"
#include "base/fileio.h"
#include "capture/cutter.h"
#include "capture/judge.h"
#include "capture/measure.h"
#include "capture/source.h"
#include "capture/tally.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const size_t measure_limit_bytes = (size_t)256 << 20;
static const uint64_t shed_flush_ns = UINT64_C(1000000000); /* a live row waits no longer */
static const uint64_t tell_each_ns = UINT64_C(2000000000);

struct maker {
    const struct config *config;
    uint32_t producer;
    struct sender *sender;
    struct room *room;
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
    uint64_t limit_rows; /* kept rows of this share at which the run ends; 0: none */
    uint64_t kept_rows;
    uint64_t oldest_ns;      /* when the oldest row that waits in the cutter was captured */
    struct tally *tally;     /* NULL before the first order to make rows */
    uint64_t number;         /* of the next frame (block) */
    struct left_out earlier; /* of the lives before, as they told last */
    uint64_t told_ns;        /* when RUN/capture/NAME.json was written last */
    struct log_limit unwritten;
    int has_told_skips; /* the log has named the first document that was skipped */

    pthread_mutex_t lock; /* over what follows */
    struct maker_counters counters;
    char preparing[CONFIG_PATH_BYTES]; /* the file of the model that is being prepared; "" at first
                                        */
    uint64_t preparing_bytes;          /* that it will have, about */
};

/* ---- orders ---- */

static int is_current(struct maker *m, uint64_t generation)
{
    return sender_order(m->sender).generation == generation &&
           sender_order(m->sender).task != PRODUCER_HALT;
}

/* ---- telling what is left out ---- */

/* The corpus up to where the engine is. One that cannot be read again begins anew with each life:
 * what the lives before have read comes before it. */
static struct engine_documents documents(const struct maker *m)
{
    struct engine_documents d;
    const struct left_out *e = &m->earlier;
    engine_documents(m->engine, &d);
    if (engine_info(m->engine)->resumable) return d;
    d.read += e->documents;
    d.replaced += e->replaced;
    for (int i = 0; i < ENGINE_SKIP_REASONS; i++) d.skipped[i] += e->skipped[i];
    if (e->first_skipped[0]) memcpy(d.first_skipped, e->first_skipped, sizeof d.first_skipped);
    return d;
}

static void count_documents(struct left_out *l, const struct engine_documents *d)
{
    l->documents = d->read;
    memcpy(l->skipped, d->skipped, sizeof l->skipped);
    l->replaced = d->replaced;
    memcpy(l->first_skipped, d->first_skipped, sizeof l->first_skipped);
}

static void tell_first_skip(struct maker *m, const struct engine_documents *d)
{
    if (m->has_told_skips || !d->first_skipped[0]) return;
    m->has_told_skips = 1;
    log_event(LOG_WARN, "a document of the corpus is skipped", LOG_S("first", d->first_skipped),
              LOG_D("max_bad_documents", m->config->capture.max_bad_documents));
}

/* After each call of the engine. ERR_USAGE: too many documents were skipped. */
static int count_engine(struct maker *m, int final)
{
    struct engine_counters e = engine_counters(m->engine);
    struct engine_documents d = documents(m);
    pthread_mutex_lock(&m->lock);
    m->counters.tokens = e.tokens;
    m->counters.documents = e.documents;
    m->counters.bad_text = e.bad_text;
    count_documents(&m->counters.left_out, &d);
    pthread_mutex_unlock(&m->lock);
    tell_first_skip(m, &d);
    return judge_documents(&d, m->config->capture.max_bad_documents, final);
}

static void count_rows(struct maker *m)
{
    struct sender_status status;
    const struct tally_counts *c = tally_counts(m->tally);
    sender_status(m->sender, &status);
    pthread_mutex_lock(&m->lock);
    struct left_out *l = &m->counters.left_out;
    l->kept_rows = c->kept_rows;
    l->special_rows = c->special_rows;
    l->first_rows = c->first_rows;
    l->norm_rows = c->norm_rows;
    l->rejected_rows = c->rejected_rows;
    l->shed_rows = m->earlier.shed_rows + status.counters.totals.shed_rows;
    l->is_partial = tally_is_partial(m->tally);
    pthread_mutex_unlock(&m->lock);
}

/* A disk that is full ends nothing here; it is told. */
static void note_written(struct maker *m, int rc)
{
    if (!rc) {
        room_found(m->room);
        return;
    }
    room_short(m->room, m->config->run_dir, 0, err_text());
    if (log_allowed(&m->unwritten))
        log_event(LOG_WARN, "the count of what is left out cannot be kept",
                  LOG_S("why", err_text()));
}

/* Into RUN/capture, each two seconds or at once. */
static void tell(struct maker *m, int at_once)
{
    uint64_t now_ns = process_now_ns();
    count_rows(m);
    if (!at_once && now_ns < m->told_ns + tell_each_ns) return;
    m->told_ns = now_ns;
    struct maker_counters c = maker_counters(m);
    note_written(m, left_out_write(m->config, m->producer, &c.left_out));
}

static void tell_at_end(struct maker *m)
{
    char text[LEFT_OUT_TEXT_BYTES];
    if (!m->tally) return;
    tell(m, 1);
    struct left_out l = maker_counters(m).left_out;
    if (l.has_corpus) {
        left_out_documents_text(&l, text, sizeof text);
        log_info("documents: %s", text);
    }
    left_out_rows_text(&l, text, sizeof text);
    log_info("rows: %s", text);
}

/* The file of an earlier life, for as long as this one has nothing to say. */
static void begin_telling(struct maker *m)
{
    if (left_out_read(m->config, m->producer, &m->earlier)) m->earlier = (struct left_out){0};
    pthread_mutex_lock(&m->lock);
    m->counters.left_out = m->earlier;
    m->counters.left_out.has_corpus = m->config->capture.engine == CONFIG_LLAMA;
    pthread_mutex_unlock(&m->lock);
}

/* Where the rows so far end, before their frame can leave. */
static void mark(struct maker *m, const struct window_frame *frame)
{
    int is_shed = m->descriptor->shed;
    uint64_t number = is_shed ? sender_next_number(m->sender) : m->number++;
    note_written(m, tally_mark(m->tally, number + 1, &frame->header.end));
}

static int open_tally(struct maker *m)
{
    char dir[CONFIG_PATH_BYTES], path[CONFIG_PATH_BYTES + 32];
    int rc = config_capture_dir(m->config, dir);
    if (rc || m->tally) return rc;
    note_written(m, dir_make(dir, 0700));
    snprintf(path, sizeof path, "%s/capture-%" PRIu32 ".tally", dir, m->producer);
    return tally_open(path, m->descriptor->run, &m->tally);
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
    int rc = engine_next(m->engine, batch);
    return rc ? rc : count_engine(m, 0);
}

/* ---- measuring ---- */

static int fill_measure(struct maker *m, uint64_t generation)
{
    int rc = measure_new(m->own.width, measure_limit_bytes, &m->measure);
    while (!rc && measure_wants(m->measure, m->config->capture.measure_contexts)) {
        struct engine_batch batch;
        if (!is_current(m, generation)) return ERR_STATE;
        m->has_read = 1;
        rc = engine_next(m->engine, &batch);
        if (!rc) rc = count_engine(m, 0);
        if (rc || !batch.rows) {
            m->engine_ended = !rc;
            break;
        }
        rc = measure_add(m->measure, &batch);
    }
    return rc;
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

/* What the whole corpus would lose is known before it is captured. */
static int count_corpus(struct maker *m, uint64_t *rows)
{
    struct engine_documents d;
    int rc = engine_count_rows(m->engine, rows, NULL, NULL);
    if (rc) return rc;
    engine_documents_counted(m->engine, &d);
    tell_first_skip(m, &d);
    return judge_documents(&d, m->config->capture.max_bad_documents, 1);
}

static int do_measure(struct maker *m, uint64_t generation)
{
    uint64_t counted_rows = 0;
    int rc = ERR_OK;
    if (!m->config->capture.rows && !m->config->trainer.planned_rows)
        rc = count_corpus(m, &counted_rows);
    if (!rc && !is_current(m, generation)) rc = ERR_STATE;
    if (!rc && !m->measure) rc = fill_measure(m, generation);
    if (rc) return rc;
    if (!measure_rows(m->measure))
        return err_set(ERR_USAGE, "the corpus is empty: not one row came of it; HINT: look at "
                                  "capture.corpus (or capture.files, capture.synthetic.rows)");
    struct descriptor d = m->own;
    char *text = NULL;
    size_t bytes;
    rc = measure_finish(m->measure, &d);
    if (rc == ERR_FORMAT) rc = ERR_USAGE; /* the rows are what they are: no second try */
    if (!rc) rc = plan_rows(m, counted_rows, &d);
    if (!rc) rc = descriptor_encode(&d, &text, &bytes);
    if (!rc) rc = sender_described(m->sender, text, bytes);
    free(text);
    free(d.mean);
    return rc;
}

/* ---- making ---- */

/* The share of capture.rows that this producer makes. */
static uint64_t share_of(uint64_t rows, uint32_t producers, uint32_t producer)
{
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
        pthread_mutex_lock(&m->lock);
        m->counters.left_out.gaps++;
        pthread_mutex_unlock(&m->lock);
        return ERR_OK;
    }
    measure_free(m->measure);
    m->measure = NULL;
    m->engine_ended = 0;
    m->has_read = 1;
    return engine_seek(m->engine, &order->cursor);
}

static int prepare(struct maker *m, const struct producer_order *order)
{
    m->descriptor = sender_descriptor(m->sender);
    struct cutter_options options = {
        .stream = stream_key(m->config->stream.name),
        .producer = m->producer,
        .rows_a_slab = m->descriptor->rows_a_slab,
        .width = m->descriptor->width,
        .dtype = m->descriptor->dtype,
        .codec = (uint8_t)m->config->stream.codec,
    };
    int rc = m->cutter ? ERR_OK : cutter_new(&options, &m->cutter);
    if (!rc) rc = open_tally(m);
    if (rc) return rc;
    cutter_restart(m->cutter, &order->totals);
    tally_seek(m->tally, order->number, &order->cursor);
    m->number = order->number;
    /* Under block every frame but the last is full, so the number tells how many rows were kept. */
    m->kept_rows = m->descriptor->shed ? tally_counts(m->tally)->kept_rows
                                       : (order->number - 1) * m->descriptor->rows_a_slab;
    pthread_mutex_lock(&m->lock);
    m->counters.planned_rows = m->descriptor->planned_rows;
    pthread_mutex_unlock(&m->lock);
    return seek(m, order);
}

/* Cut what waits and hand it over. */
static int cut(struct maker *m, uint64_t generation)
{
    struct window_frame *frame;
    int rc = sender_take(m->sender, generation, &frame);
    if (rc == ERR_AGAIN) {
        struct frame_totals totals = cutter_totals(m->cutter);
        sender_shed(m->sender, generation, &totals, cutter_drop(m->cutter));
        return ERR_OK;
    }
    if (rc) return rc;
    rc = cutter_seal(m->cutter, process_wall_ns(), &frame->header,
                     frame->bytes + FRAME_HEADER_BYTES);
    if (rc) {
        sender_return(m->sender, frame);
        return rc;
    }
    mark(m, frame);
    return sender_push(m->sender, generation, frame);
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
    return m->limit_rows && m->kept_rows >= m->limit_rows;
}

/* Filter and cut one batch, up to the row that is enough. */
static int take_batch(struct maker *m, uint64_t generation, const struct engine_batch *batch)
{
    uint64_t left_out[FILTER_NOT_FINITE + 1] = {0};
    int rc = ERR_OK;
    for (size_t i = 0; i < batch->rows && !rc && !is_enough(m); i++) {
        const float *x = batch->values + i * m->descriptor->width;
        enum filter_verdict verdict = filter_row(m->descriptor, batch->flags[i], x);
        tally_add(m->tally, verdict);
        rc = judge_filtered(tally_window(m->tally), m->config->capture.max_filtered_share, 0);
        if (rc) break;
        if (verdict != FILTER_KEEP) {
            cutter_leave_out(m->cutter, verdict);
            left_out[verdict]++;
            continue;
        }
        if (!cutter_rows(m->cutter)) m->oldest_ns = process_now_ns();
        cutter_add(m->cutter, &batch->ids[i], x, &batch->cursors[i], &batch->cursors[i + 1]);
        m->kept_rows++;
        if (cutter_full(m->cutter)) rc = cut(m, generation);
    }
    count_filtered(m, left_out);
    return rc;
}

static int judge_rejected(const struct maker *m, int final)
{
    const struct tally_counts *c = tally_counts(m->tally);
    return filter_rejected(c->rejected_rows, c->kept_rows + c->rejected_rows,
                           m->config->capture.max_rejected_share, final);
}

static int judge_all(struct maker *m)
{
    int rc = count_engine(m, 1);
    if (!rc) rc = judge_rejected(m, 1);
    return rc ? rc
              : judge_filtered(tally_window(m->tally), m->config->capture.max_filtered_share, 1);
}

static int end_share(struct maker *m, uint64_t generation)
{
    int rc = judge_all(m);
    if (!rc && cutter_rows(m->cutter)) rc = cut(m, generation);
    struct frame_totals t = cutter_totals(m->cutter);
    if (!rc) rc = sender_count(m->sender, generation, &t, 0);
    if (rc) return rc;
    tell(m, 1);
    return sender_end(m->sender, generation);
}

static int flush_live(struct maker *m, uint64_t generation)
{
    if (!m->descriptor->shed || !cutter_rows(m->cutter)) return ERR_OK;
    return process_now_ns() - m->oldest_ns < shed_flush_ns ? ERR_OK : cut(m, generation);
}

static int make(struct maker *m, const struct producer_order *order)
{
    uint64_t generation = order->generation;
    int rc = prepare(m, order);
    while (!rc) {
        struct engine_batch batch = {0};
        if (!is_enough(m)) rc = next_batch(m, &batch);
        if (rc || !batch.rows) break;
        rc = take_batch(m, generation, &batch);
        struct frame_totals t = cutter_totals(m->cutter);
        if (!rc) rc = flush_live(m, generation);
        if (!rc) rc = sender_count(m->sender, generation, &t, cutter_rows(m->cutter));
        if (!rc) rc = judge_rejected(m, 0);
        if (!rc) tell(m, 0);
    }
    return rc ? rc : end_share(m, generation);
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

static int open_source(struct maker *m)
{
    char *text = NULL;
    size_t bytes;
    struct engine_watch watch = {preparing, m};
    int rc = source_open(m->config, m->producer, &watch, &m->source);
    if (rc) return rc;
    m->engine = source_engine(m->source);
    m->limit_rows = share_of(m->config->capture.rows, m->config->capture.producers, m->producer);
    rc = source_describe(m->source, m->config, &m->own);
    if (!rc) rc = descriptor_encode(&m->own, &text, &bytes);
    if (!rc) rc = sender_introduce(m->sender, text, bytes);
    free(text);
    return rc;
}

static int follow_orders(struct maker *m)
{
    struct producer_order order = {0};
    int rc = ERR_OK;
    while (!rc) {
        order = sender_wait_order(m->sender, order.generation);
        if (order.task == PRODUCER_HALT) break;
        if (order.task == PRODUCER_MEASURE) rc = do_measure(m, order.generation);
        if (order.task == PRODUCER_MAKE) rc = make(m, &order);
        if (rc == ERR_STATE && !is_current(m, order.generation)) rc = ERR_OK; /* a newer order */
    }
    return rc;
}

static void *run(void *arg)
{
    struct maker *m = arg;
    begin_telling(m);
    int rc = open_source(m);
    if (!rc) rc = follow_orders(m);
    if (rc) sender_fail(m->sender, rc, err_text());
    tell_at_end(m);
    tally_close(m->tally);
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
    m->room = room;
    pthread_mutex_init(&m->lock, NULL);
    int failed = pthread_create(&m->thread, NULL, run, m);
    if (failed) {
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
    pthread_mutex_destroy(&m->lock);
    free(m);
    return ERR_OK;
}

struct maker_counters maker_counters(struct maker *m)
{
    pthread_mutex_lock(&m->lock);
    struct maker_counters c = m->counters;
    pthread_mutex_unlock(&m->lock);
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
