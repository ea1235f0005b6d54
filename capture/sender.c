#include "capture/sender.h"

#include "base/err.h"
#include "wiring/link.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 100, SEND_AHEAD = 64 };

struct sender {
    struct process *process;
    struct sender_options options;
    struct link *link;
    struct process_timer *timer;
    struct process_wake *wake;
    int is_over;

    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t changed;
    struct producer *producer;
    uint32_t flights; /* frames on their way out: they keep the sender's memory */
    int is_closed;
    int is_halted;
    uint64_t blocked_ns;
    struct log_limit malformed;
};

/* A frame on its way out. */
struct flight {
    struct sender *sender;
    struct window_frame *frame;
};

static void sender_free(struct sender *s)
{
    producer_free(s->producer);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void landed(void *arg)
{
    struct flight *flight = arg;
    struct sender *s = flight->sender;
    pthread_mutex_lock(&s->lock);
    flight->frame->holds--;
    s->flights--;
    int was_last = s->is_closed && !s->flights;
    if (!flight->frame->busy) pthread_cond_broadcast(&s->changed); /* it can be taken again */
    pthread_mutex_unlock(&s->lock);
    free(flight);
    if (was_last) sender_free(s);
}

/* The header of a frame that is still being sent for an earlier session must not change under the
 * socket: that one goes out as a copy. Rare: only after a session broke off. */
static int send_copy(struct sender *s, struct window_frame *frame)
{
    size_t bytes = FRAME_HEADER_BYTES + frame->header.packed_bytes;
    uint8_t *copy = malloc(bytes);
    if (!copy) return err_set(ERR_NOMEM, "no memory to send a frame again");
    memcpy(copy, frame->bytes, bytes);
    frame_encode(&frame->header, copy);
    int result = link_send_owned(s->link, NULL, NULL, 0, copy, bytes, free, copy);
    if (result != ERR_OK) free(copy);
    return result;
}

static int send_frame(struct sender *s, struct window_frame *frame)
{
    if (frame->holds) return send_copy(s, frame);
    struct flight *flight = malloc(sizeof *flight);
    if (!flight) return err_set(ERR_NOMEM, "no memory to send a frame");
    *flight = (struct flight){s, frame};
    frame_encode(&frame->header, frame->bytes);
    frame->holds++;
    s->flights++;
    int result = link_send_owned(s->link, NULL, NULL, 0, frame->bytes,
                                 FRAME_HEADER_BYTES + frame->header.packed_bytes, landed, flight);
    if (result == ERR_OK) return ERR_OK;
    frame->holds--;
    s->flights--;
    free(flight);
    return result;
}

static int send_message(struct sender *s, const struct message *m)
{
    size_t bytes = message_bytes(m);
    uint8_t *data = malloc(bytes);
    if (!data) return err_set(ERR_NOMEM, "no memory to send a message");
    int result = message_encode(m, data);
    if (result == ERR_OK) result = link_send(s->link, NULL, NULL, 0, data, bytes);
    free(data);
    return result;
}

/* Send what there is to send. With the lock. */
static void pump(struct sender *s)
{
    struct producer_send send;
    uint64_t now = process_now_ns();
    while (producer_next(s->producer, now, &send)) {
        int result = send.frame ? send_frame(s, send.frame) : send_message(s, &send.message);
        if (result != ERR_OK) break; /* full: on_writable or the timer comes back to it */
        producer_sent(s->producer, now, &send);
    }
}

static void report_over(struct sender *s)
{
    enum producer_phase phase = producer_phase(s->producer);
    int over = phase >= PRODUCER_ENDED && !s->is_over;
    if (over) s->is_over = 1;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (over) s->options.over(s->options.arg);
}

static void on_message(void *arg, struct link *link, struct link_message *message)
{
    (void)link;
    struct sender *s = arg;
    size_t bytes;
    const uint8_t *data = link_data(message, link_parts(message) - 1, &bytes);
    struct message m;
    if (message_decode(data, bytes, &m)) {
        if (log_allowed(&s->malformed))
            log_event(LOG_WARN, "message dropped", LOG_S("why", err_text()),
                      LOG_U("suppressed", s->malformed.suppressed));
        return;
    }
    pthread_mutex_lock(&s->lock);
    producer_message(s->producer, &m, process_now_ns());
    pump(s);
    report_over(s);
}

static void on_writable(void *arg, struct link *link)
{
    (void)link;
    struct sender *s = arg;
    pthread_mutex_lock(&s->lock);
    pump(s);
    report_over(s);
}

static void on_wake(void *arg)
{
    on_writable(arg, NULL);
}

static void on_tick(void *arg)
{
    struct sender *s = arg;
    pthread_mutex_lock(&s->lock);
    producer_tick(s->producer, process_now_ns());
    pump(s);
    report_over(s);
}

static int connect_broker(struct sender *s)
{
    struct link_options options = {
        .max_message_bytes = MESSAGE_HEADER_BYTES + MESSAGE_MAX_TEXT_BYTES,
        .send_high_water = SEND_AHEAD,
        .linger_ms = 300,
        .on_message = on_message,
        .on_writable = on_writable,
        .arg = s,
    };
    int result = wiring_connect(s->process, CONFIG_FRONT, options, &s->link);
    if (result != ERR_OK) return result;
    process_timer_set(s->timer, TICK_MS);
    return ERR_OK;
}

int sender_open(struct process *process, const struct sender_options *options,
                struct sender **sender)
{
    struct sender *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for a sender");
    s->process = process;
    s->options = *options;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->timer = process_timer_new(process, on_tick, s);
    s->wake = process_wake_new(process, on_wake, s);
    int result = producer_new(&options->producer, &s->producer);
    if (result == ERR_OK && (!s->timer || !s->wake))
        result = err_set(ERR_NOMEM, "no memory for a sender");
    if (result == ERR_OK) result = connect_broker(s);
    if (result != ERR_OK)
        sender_close(s);
    else
        *sender = s;
    return result;
}

void sender_disconnect(struct sender *s)
{
    if (s->timer) process_timer_set(s->timer, 0);
    if (!s->link) return;
    process_report_to(s->process, NULL);
    link_close(s->link);
    s->link = NULL;
}

void sender_close(struct sender *s)
{
    if (!s) return;
    sender_disconnect(s);
    s->is_closed = 1;
    if (!s->flights) sender_free(s);
}

void sender_leave(struct sender *s)
{
    pthread_mutex_lock(&s->lock);
    producer_leave(s->producer, process_now_ns());
    pump(s);
    report_over(s);
}

void sender_halt(struct sender *s)
{
    pthread_mutex_lock(&s->lock);
    s->is_halted = 1;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the maker's side ---- */

/* With the lock. Once halted, the process may be on its way out, and the wake with it. */
static void wake_loop(struct sender *s)
{
    if (!s->is_halted) process_wake_send(s->wake);
}

int sender_introduce(struct sender *s, const char *descriptor, size_t bytes)
{
    pthread_mutex_lock(&s->lock);
    int result = producer_introduce(s->producer, descriptor, bytes);
    wake_loop(s);
    pthread_mutex_unlock(&s->lock);
    return result;
}

int sender_described(struct sender *s, const char *descriptor, size_t bytes)
{
    pthread_mutex_lock(&s->lock);
    int result = producer_described(s->producer, descriptor, bytes);
    wake_loop(s);
    pthread_mutex_unlock(&s->lock);
    return result;
}

void sender_decline(struct sender *s)
{
    pthread_mutex_lock(&s->lock);
    producer_decline(s->producer);
    wake_loop(s);
    pthread_mutex_unlock(&s->lock);
}

static struct producer_order order_now(const struct sender *s)
{
    struct producer_order order = producer_order(s->producer);
    if (s->is_halted) order.task = PRODUCER_HALT;
    return order;
}

struct producer_order sender_wait_order(struct sender *s, uint64_t known)
{
    pthread_mutex_lock(&s->lock);
    struct producer_order order = order_now(s);
    while (order.generation == known && order.task != PRODUCER_HALT) {
        pthread_cond_wait(&s->changed, &s->lock);
        order = order_now(s);
    }
    pthread_mutex_unlock(&s->lock);
    return order;
}

struct producer_order sender_order(struct sender *s)
{
    pthread_mutex_lock(&s->lock);
    struct producer_order order = order_now(s);
    pthread_mutex_unlock(&s->lock);
    return order;
}

static int is_current(const struct sender *s, uint64_t generation)
{
    struct producer_order order = order_now(s);
    return order.task == PRODUCER_MAKE && order.generation == generation;
}

int sender_take(struct sender *s, uint64_t generation, struct window_frame **frame)
{
    int result = ERR_OK;
    *frame = NULL;
    pthread_mutex_lock(&s->lock);
    uint64_t since = 0;
    while (is_current(s, generation) && !(*frame = producer_take(s->producer)) &&
           !s->options.producer.shed) {
        uint64_t now = process_now_ns();
        if (since) s->blocked_ns += now - since;
        since = now;
        pthread_cond_wait(&s->changed, &s->lock);
    }
    if (since) s->blocked_ns += process_now_ns() - since;
    if (!*frame) result = is_current(s, generation) ? ERR_AGAIN : ERR_STATE;
    pthread_mutex_unlock(&s->lock);
    return result;
}

int sender_push(struct sender *s, uint64_t generation, struct window_frame *frame)
{
    pthread_mutex_lock(&s->lock);
    int result = producer_push(s->producer, generation, frame);
    /* Where others wait before it, the loop has been woken for them, or waits for credit. */
    if (producer_unsent_frames(s->producer) == 1) wake_loop(s);
    pthread_mutex_unlock(&s->lock);
    return result;
}

int sender_shed(struct sender *s, uint64_t generation, const struct producer_place *place)
{
    pthread_mutex_lock(&s->lock);
    int result = s->is_halted ? ERR_STATE : producer_shed(s->producer, generation, place);
    pthread_mutex_unlock(&s->lock);
    return result;
}

int sender_count(struct sender *s, uint64_t generation, const struct producer_place *place)
{
    pthread_mutex_lock(&s->lock);
    int result = s->is_halted ? ERR_STATE : producer_count(s->producer, generation, place);
    pthread_mutex_unlock(&s->lock);
    return result;
}

int sender_end(struct sender *s, uint64_t generation)
{
    pthread_mutex_lock(&s->lock);
    int result = producer_end(s->producer, generation);
    wake_loop(s);
    pthread_mutex_unlock(&s->lock);
    return result;
}

void sender_return(struct sender *s, struct window_frame *frame)
{
    pthread_mutex_lock(&s->lock);
    producer_return(s->producer, frame);
    pthread_mutex_unlock(&s->lock);
}

void sender_fail(struct sender *s, int code, const char *text)
{
    pthread_mutex_lock(&s->lock);
    producer_fail(s->producer, code, text);
    wake_loop(s);
    pthread_mutex_unlock(&s->lock);
}

const struct descriptor *sender_descriptor(struct sender *s)
{
    pthread_mutex_lock(&s->lock);
    const struct descriptor *d = producer_descriptor(s->producer);
    pthread_mutex_unlock(&s->lock);
    return d;
}

void sender_status(struct sender *s, struct sender_status *status)
{
    const char *text;
    pthread_mutex_lock(&s->lock);
    status->phase = producer_phase(s->producer);
    status->error = producer_error(s->producer, &text);
    if (status->phase != PRODUCER_FAILED) text = producer_waiting_for(s->producer);
    snprintf(status->text, sizeof status->text, "%s", text);
    status->counters = producer_counters(s->producer);
    status->in_flight_rows = producer_in_flight_rows(s->producer);
    status->window_bytes = producer_window_bytes(s->producer);
    status->credit_frames = producer_credit_frames(s->producer);
    status->blocked_seconds = (double)s->blocked_ns / 1e9;
    pthread_mutex_unlock(&s->lock);
}
