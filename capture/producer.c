#include "capture/producer_parts.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLISECONDS UINT64_C(1000000)
#define RETRY_AFTER  (1000 * MILLISECONDS) /* refused: not now */
#define RETRY_SOON   (250 * MILLISECONDS)  /* refused: the session is over */
#define PING_EACH    (1000 * MILLISECONDS)
#define SILENCE      (5000 * MILLISECONDS) /* of the sink: ask for a new session */
#define LEAVE_WAIT   (3000 * MILLISECONDS) /* for acks of what a live producer has sent */

enum { LEAST_FRAMES = 3, MOST_FRAMES = 4096 };

static int text_set(struct text *t, const char *data, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    if (!copy) return err_set(ERR_NOMEM, "no memory for a stream descriptor");
    memcpy(copy, data, bytes);
    copy[bytes] = 0;
    free(t->data);
    *t = (struct text){copy, bytes};
    return ERR_OK;
}

int producer_new(const struct producer_options *options, struct producer **producer)
{
    if (!message_name_ok(options->stream) || !message_name_ok(options->name))
        return err_set(ERR_USAGE,
                       "\"%s\" of stream \"%s\": names have 1 to 63 of A-Z a-z 0-9 . _ -",
                       options->name, options->stream);
    struct producer *p = calloc(1, sizeof *p);
    if (!p) return err_set(ERR_NOMEM, "no memory for a producer");
    p->options = *options;
    p->stream = stream_key(options->stream);
    *producer = p;
    return ERR_OK;
}

void producer_free(struct producer *p)
{
    if (!p) return;
    window_close(p->window);
    descriptor_free(&p->descriptor);
    free(p->introduction.data);
    free(p->described.data);
    free(p);
}

static void give_order(struct producer *p, enum producer_task task)
{
    p->order.generation++;
    p->order.task = task;
}

void producer_fail(struct producer *p, int code, const char *text)
{
    if (is_over(p)) return;
    p->phase = PRODUCER_FAILED;
    p->error = code;
    snprintf(p->error_text, sizeof p->error_text, "%s", text);
    give_order(p, PRODUCER_HALT);
}

int producer_introduce(struct producer *p, const char *descriptor, size_t bytes)
{
    int result = text_set(&p->introduction, descriptor, bytes);
    if (result == ERR_OK && p->phase == PRODUCER_WAITING) p->phase = PRODUCER_ASKING;
    return result;
}

int producer_described(struct producer *p, const char *descriptor, size_t bytes)
{
    int result = text_set(&p->described, descriptor, bytes);
    p->describe_ns = 0;
    return result;
}

void producer_decline(struct producer *p)
{
    p->declines = 1;
    p->end_ns = 0;
}

const struct descriptor *producer_descriptor(const struct producer *p)
{
    return p->has_descriptor ? &p->descriptor : NULL;
}

/* ---- numbers ---- */

static void acked(struct producer *p, uint64_t next_number)
{
    uint64_t before = window_first(p->window);
    struct window_frame *last = window_find(p->window, next_number - 1);
    if (!last) return; /* nothing new, or a number that is not kept */
    p->acked_totals = last->header.totals;
    p->counters.acked_rows += window_drop_below(p->window, next_number);
    p->counters.acked_frames += next_number - before;
    if (p->send_next < next_number) p->send_next = next_number;
}

/* Take back what is kept and have it made again from where the sink is. */
static void make_again(struct producer *p, uint64_t next_number, const struct cursor *cursor)
{
    window_restart(p->window, next_number);
    p->counters.totals = p->acked_totals;
    p->waiting_rows = 0;
    p->end = *cursor;
    p->order.number = next_number;
    p->order.cursor = *cursor;
    p->order.totals = p->acked_totals;
    give_order(p, PRODUCER_MAKE);
    p->has_ended = 0;
}

/* A live stream cannot be made again: what the sink does not wait for is lost, and counted. */
static void number_on(struct producer *p, uint64_t next_number)
{
    p->counters.shed_frames += window_next(p->window) - window_first(p->window);
    p->counters.totals.shed_rows += window_restart(p->window, next_number);
    if (p->has_ended) p->end_number = next_number;
}

/* The sink takes frame `next_number` next: go on from there. */
static void go_on(struct producer *p, uint64_t next_number, const struct cursor *cursor)
{
    int first = p->order.task != PRODUCER_MAKE && !p->has_ended && !p->leaving;
    acked(p, next_number);
    if (first) {
        make_again(p, next_number, cursor);
    } else if (next_number < window_first(p->window) || next_number > window_next(p->window)) {
        if (p->options.shed)
            number_on(p, next_number);
        else
            make_again(p, next_number, cursor);
    }
    p->send_next = next_number;
    p->end_ns = 0;
}

/* A live producer that leaves waits until what it keeps is acked; in vain, it counts it as shed.
 * Then it may say BYE, if there is anybody to say it to. */
static void settle(struct producer *p, uint64_t now_ns)
{
    if (!p->leaving || is_over(p)) return;
    if (p->window && window_rows(p->window) > 0) {
        if (p->session && now_ns < p->leave_ns) return;
        p->shed_from = window_first(p->window);
        number_on(p, window_next(p->window));
    }
    if (!p->session) p->phase = PRODUCER_GONE;
}

/* Nobody needs more rows: what is committed is all there will be. */
static void stop_here(struct producer *p, uint64_t next_number)
{
    acked(p, next_number);
    if (p->options.shed) {
        p->counters.totals.shed_rows += p->waiting_rows;
        number_on(p, next_number);
    } else {
        window_restart(p->window, next_number);
        p->counters.totals = p->acked_totals;
    }
    p->waiting_rows = 0;
    p->send_next = p->end_number = next_number;
    p->has_ended = 1;
    p->end_ns = 0;
    give_order(p, PRODUCER_HALT);
}

/* ---- messages ---- */

static int open_window(struct producer *p)
{
    const struct descriptor *d = &p->descriptor;
    size_t payload = frame_packed_bound(frame_raw_bytes(d->rows_per_slab, d->width, d->dtype));
    if (p->options.codec == CODEC_NONE)
        payload = frame_raw_bytes(d->rows_per_slab, d->width, d->dtype);
    size_t frames = p->options.retained_bytes / (FRAME_HEADER_BYTES + payload + 1);
    if (frames < LEAST_FRAMES) frames = LEAST_FRAMES;
    if (frames > MOST_FRAMES) frames = MOST_FRAMES;
    return window_open((uint32_t)frames, payload, &p->window);
}

/* The descriptor that the sink holds: the first is taken, later ones must cut the same frames. */
static int take_descriptor(struct producer *p, const struct message *m)
{
    struct descriptor d;
    int result = descriptor_decode(m->text, m->text_bytes, &d);
    if (result != ERR_OK)
        return err_set(result,
                       "the descriptor in the WELCOME of the sink of stream %s: %.500s; HINT: run "
                       "the same build of Sluice on both sides",
                       p->options.stream, err_text());
    if (!d.rows_per_slab || !d.measured != !!(m->flags & MESSAGE_MEASURE)) {
        result = err_set(
            ERR_FORMAT,
            "the descriptor in the WELCOME of the sink of stream %s is not complete; HINT: run "
            "the same build of Sluice on both sides",
            p->options.stream);
    } else if (p->has_descriptor) {
        result = descriptor_match(&p->descriptor, &d);
    } else if (d.measured) {
        p->descriptor = d;
        p->has_descriptor = 1;
        return open_window(p);
    }
    descriptor_free(&d);
    return result;
}

static void end_now(struct producer *p)
{
    p->phase = PRODUCER_ENDED;
    give_order(p, PRODUCER_HALT);
}

static void on_welcome(struct producer *p, const struct message *m, uint64_t now_ns)
{
    if (p->phase == PRODUCER_WAITING || (p->epoch && m->epoch != p->epoch)) return;
    if (!m->epoch || !m->session || !m->next_number) return;
    p->epoch = m->epoch;
    p->session = m->session;
    p->credit = m->credit;
    p->heard_ns = now_ns;
    p->ping_ns = now_ns + PING_EACH;
    p->waiting_for[0] = 0;
    p->counters.sessions++;
    if (m->flags & MESSAGE_ENDED) {
        if (p->window) acked(p, m->next_number);
        end_now(p);
        return;
    }
    int result = take_descriptor(p, m);
    if (result != ERR_OK) {
        producer_fail(p, result, err_text());
        return;
    }
    if (m->flags & MESSAGE_MEASURE) {
        p->phase = PRODUCER_MEASURING;
        p->describe_ns = p->end_ns = 0;
        p->end_number = m->next_number;
        if (!p->described.data && !p->declines && p->order.task != PRODUCER_MEASURE)
            give_order(p, PRODUCER_MEASURE);
        return;
    }
    p->phase = PRODUCER_STREAMING;
    if (m->flags & MESSAGE_STOP)
        stop_here(p, m->next_number);
    else
        go_on(p, m->next_number, &m->cursor);
}

static void on_state(struct producer *p, const struct message *m, uint64_t now_ns)
{
    if (m->session != p->session || !p->session) return;
    p->heard_ns = now_ns;
    if (p->phase == PRODUCER_MEASURING && m->flags & MESSAGE_ENDED) end_now(p);
    if (p->phase != PRODUCER_STREAMING) return;
    p->credit = m->credit;
    if (m->flags & MESSAGE_ENDED) {
        acked(p, m->next_number);
        end_now(p);
    } else if (m->flags & MESSAGE_STOP) {
        if (p->order.task != PRODUCER_HALT) stop_here(p, m->next_number);
    } else if (m->flags & MESSAGE_RESYNC) {
        p->counters.resyncs++;
        go_on(p, m->next_number, &m->cursor);
    } else {
        acked(p, m->next_number);
    }
}

static void on_refuse(struct producer *p, const struct message *m, uint64_t now_ns)
{
    if (m->session && m->session != p->session) return; /* about a session that is over */
    if (p->leaving) {
        p->session = 0;
        settle(p, now_ns);
        return;
    }
    if (m->flags & MESSAGE_ENDED) {
        end_now(p);
        return;
    }
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)m->text_bytes, m->text ? m->text : "");
    if (!(m->flags & MESSAGE_RETRY)) {
        producer_fail(p, m->code ? (int)m->code : ERR_STATE, text);
        return;
    }
    if (p->phase == PRODUCER_WAITING) return;
    memcpy(p->waiting_for, text, sizeof p->waiting_for);
    p->phase = PRODUCER_ASKING;
    p->session = 0;
    p->hello_ns = now_ns + (m->code == ERR_STATE ? RETRY_SOON : RETRY_AFTER);
}

void producer_message(struct producer *p, const struct message *m, uint64_t now_ns)
{
    if (is_over(p) || m->stream != p->stream) return;
    if (p->leaving && !p->options.shed) return;
    if (m->type == MESSAGE_WELCOME && m->producer == p->options.producer && !p->leaving)
        on_welcome(p, m, now_ns);
    else if (m->type == MESSAGE_STATE)
        on_state(p, m, now_ns);
    else if (m->type == MESSAGE_REFUSE)
        on_refuse(p, m, now_ns);
}

void producer_tick(struct producer *p, uint64_t now_ns)
{
    int in_session = p->phase == PRODUCER_MEASURING || p->phase == PRODUCER_STREAMING;
    settle(p, now_ns);
    if (p->leaving || !in_session || now_ns < p->heard_ns + SILENCE) return;
    p->phase = PRODUCER_ASKING;
    p->session = 0;
    p->hello_ns = now_ns;
    snprintf(p->waiting_for, sizeof p->waiting_for, "the sink, silent for %d seconds",
             (int)(SILENCE / MILLISECONDS / 1000));
}

/* ---- making ---- */

struct producer_order producer_order(const struct producer *p)
{
    return p->order;
}

struct window_frame *producer_take(struct producer *p)
{
    return p->window ? window_take(p->window) : NULL;
}

void producer_return(struct producer *p, struct window_frame *frame)
{
    window_return(p->window, frame);
}

static int has_credit(const struct producer *p)
{
    return p->phase == PRODUCER_STREAMING && window_next(p->window) <= p->credit;
}

static void count(struct producer *p, const struct frame_totals *totals, uint64_t waiting_rows,
                  const struct cursor *end)
{
    uint64_t shed_rows = p->counters.totals.shed_rows;
    p->counters.totals = *totals;
    p->counters.totals.shed_rows = shed_rows;
    p->waiting_rows = waiting_rows;
    p->end = *end;
}

int producer_push(struct producer *p, uint64_t generation, struct window_frame *frame)
{
    if (generation != p->order.generation || p->order.task != PRODUCER_MAKE) {
        producer_return(p, frame);
        return ERR_STATE;
    }
    count(p, &frame->header.totals, 0, &frame->header.end);
    if (p->options.shed && !has_credit(p)) {
        p->counters.shed_frames++;
        p->counters.totals.shed_rows += frame->header.rows;
        producer_return(p, frame);
        return ERR_OK;
    }
    frame->header.totals.shed_rows = p->counters.totals.shed_rows;
    window_push(p->window, frame);
    return ERR_OK;
}

int producer_count(struct producer *p, uint64_t generation, const struct producer_place *place)
{
    if (generation != p->order.generation || p->order.task != PRODUCER_MAKE) return ERR_STATE;
    count(p, &place->totals, place->waiting_rows, &place->end);
    p->counters.totals.shed_rows += place->lost_rows;
    return ERR_OK;
}

int producer_shed(struct producer *p, uint64_t generation, const struct producer_place *place)
{
    int result = producer_count(p, generation, place);
    if (result != ERR_OK) return result;
    p->counters.totals.shed_rows += p->waiting_rows;
    p->waiting_rows = 0;
    return ERR_OK;
}

int producer_end(struct producer *p, uint64_t generation)
{
    if (generation != p->order.generation || p->order.task != PRODUCER_MAKE) return ERR_STATE;
    p->has_ended = 1;
    p->end_number = window_next(p->window);
    p->end_ns = 0;
    return ERR_OK;
}

void producer_leave(struct producer *p, uint64_t now_ns)
{
    if (p->leaving || is_over(p)) return;
    p->leaving = 1;
    p->leave_ns = now_ns + LEAVE_WAIT;
    give_order(p, PRODUCER_HALT);
    if (p->options.shed) {
        p->counters.totals.shed_rows += p->waiting_rows;
    } else if (p->window) {
        window_restart(p->window, window_next(p->window));
        p->counters.totals = p->acked_totals;
    }
    p->waiting_rows = 0;
    settle(p, now_ns);
}

/* ---- asking ---- */

enum producer_phase producer_phase(const struct producer *p)
{
    return p->phase;
}

int producer_error(const struct producer *p, const char **text)
{
    *text = p->error_text;
    return p->error;
}

const char *producer_waiting_for(const struct producer *p)
{
    return p->waiting_for;
}

struct producer_counters producer_counters(const struct producer *p)
{
    return p->counters;
}

uint64_t producer_in_flight_rows(const struct producer *p)
{
    return (p->window ? window_rows(p->window) : 0) + p->waiting_rows;
}

uint64_t producer_window_bytes(const struct producer *p)
{
    return p->window ? window_bytes(p->window) : 0;
}

uint64_t producer_credit_frames(const struct producer *p)
{
    if (p->phase != PRODUCER_STREAMING || p->credit < p->send_next) return 0;
    return p->credit - p->send_next + 1;
}

uint64_t producer_unsent_frames(const struct producer *p)
{
    if (!p->window || window_next(p->window) < p->send_next) return 0;
    return window_next(p->window) - p->send_next;
}
