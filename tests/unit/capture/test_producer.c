/*
 * The producer's side of the session protocol, driven by a script: the test plays the sink, the
 * broker and the clock.
 */
#include "base/err.h"
#include "capture/producer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 4, SLAB = 3 };
static const uint64_t second = 1000000000;

struct script {
    struct producer *p;
    uint64_t now;
    struct descriptor d;
    float mean[WIDTH];
};

static struct descriptor describe(struct script *s)
{
    struct descriptor d = {.dtype = DTYPE_F32, .width = WIDTH, .hooks = 1, .share_count = 1};
    strcpy(d.stream, "s");
    strcpy(d.hook[0].name, "h");
    d.hook[0].width = WIDTH;
    d.hook[0].scale = 1;
    d.mean = s->mean;
    return d;
}

static void start(struct script *s, int shed)
{
    struct producer_options o = {.stream = "s",
                                 .name = "capture-0",
                                 .share_count = 1,
                                 .shed = shed,
                                 .retained_bytes = 6 * 1024};
    char *text;
    size_t bytes;
    memset(s, 0, sizeof *s);
    s->now = 100 * second;
    s->d = describe(s);
    assert_int_equal(producer_new(&o, &s->p), 0);
    assert_int_equal(descriptor_encode(&s->d, &text, &bytes), 0);
    assert_int_equal(producer_introduce(s->p, text, bytes), 0);
    free(text);
}

/* What it sends next: the type, 0 for a frame, -1 for nothing. */
static int send_next(struct script *s, struct producer_send *send)
{
    if (!producer_next(s->p, s->now, send)) return -1;
    producer_sent(s->p, s->now, send);
    return send->frame ? 0 : send->message.type;
}

static void expect(struct script *s, int type)
{
    struct producer_send send;
    assert_int_equal(send_next(s, &send), type);
}

static void expect_frame(struct script *s, uint64_t number)
{
    struct producer_send send;
    assert_int_equal(send_next(s, &send), 0);
    assert_int_equal(send.frame->header.number, number);
}

static void welcome(struct script *s, uint32_t flags, uint64_t session, uint32_t epoch,
                    uint64_t next_number, uint64_t credit)
{
    char *text;
    size_t bytes;
    s->d.rows_per_slab = SLAB;
    s->d.measured = !(flags & MESSAGE_MEASURE);
    assert_int_equal(descriptor_encode(&s->d, &text, &bytes), 0);
    struct message m = {.type = MESSAGE_WELCOME,
                        .flags = flags,
                        .stream = stream_key("s"),
                        .session = session,
                        .epoch = epoch,
                        .next_number = next_number,
                        .credit = credit,
                        .cursor = {.position = (uint32_t)next_number},
                        .text = text,
                        .text_bytes = (uint32_t)bytes};
    producer_message(s->p, &m, s->now);
    free(text);
}

static void state(struct script *s, uint32_t flags, uint64_t session, uint64_t next_number,
                  uint64_t credit)
{
    struct message m = {.type = MESSAGE_STATE,
                        .flags = flags,
                        .stream = stream_key("s"),
                        .session = session,
                        .next_number = next_number,
                        .credit = credit,
                        .cursor = {.position = (uint32_t)next_number}};
    producer_message(s->p, &m, s->now);
}

static void refuse(struct script *s, uint32_t flags, uint64_t session, uint32_t code)
{
    struct message m = {.type = MESSAGE_REFUSE,
                        .flags = flags,
                        .stream = stream_key("s"),
                        .session = session,
                        .code = code,
                        .text = "because",
                        .text_bytes = 7};
    producer_message(s->p, &m, s->now);
}

/* A frame of SLAB rows; captured rows count up to and with it. */
static int push(struct script *s, uint64_t generation, uint64_t captured)
{
    struct window_frame *f = producer_take(s->p);
    if (!f) return ERR_AGAIN;
    f->header = (struct frame_header){
        .rows = SLAB, .packed_bytes = 100, .totals = {.captured_rows = captured}};
    return producer_push(s->p, generation, f);
}

static uint64_t adds_up(const struct script *s)
{
    struct producer_counters c = producer_counters(s->p);
    return c.totals.captured_rows == c.acked_rows + producer_in_flight_rows(s->p) +
                                         c.totals.shed_rows + c.totals.rejected_rows;
}

/* As far as streaming from number 1 in session 11, epoch 1. */
static uint64_t stream(struct script *s, int shed, uint64_t credit)
{
    start(s, shed);
    expect(s, MESSAGE_HELLO);
    welcome(s, 0, 11, 1, 1, credit);
    struct producer_order order = producer_order(s->p);
    assert_int_equal(order.task, PRODUCER_MAKE);
    assert_int_equal(order.number, 1);
    assert_int_equal(producer_phase(s->p), PRODUCER_STREAMING);
    return order.generation;
}

static void measures_first(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, 0);
    expect(&s, MESSAGE_HELLO);
    expect(&s, -1);
    welcome(&s, MESSAGE_MEASURE, 5, 1, 1, 0);
    assert_int_equal(producer_order(s.p).task, PRODUCER_MEASURE);
    uint64_t generation = producer_order(s.p).generation;
    refuse(&s, MESSAGE_RETRY, 5, ERR_STATE); /* the session breaks off while it measures */
    s.now += second;
    expect(&s, MESSAGE_HELLO);
    welcome(&s, MESSAGE_MEASURE, 6, 1, 1, 0);
    assert_int_equal(producer_order(s.p).generation, generation); /* it goes on measuring */
    assert_int_equal(producer_described(s.p, "{}", 2), 0);
    struct producer_send send;
    assert_int_equal(send_next(&s, &send), MESSAGE_DESCRIBE);
    assert_int_equal(send.message.session, 6);
    welcome(&s, 0, 6, 1, 1, 8);
    assert_int_equal(producer_order(s.p).task, PRODUCER_MAKE);
    assert_int_equal(producer_descriptor(s.p)->rows_per_slab, SLAB);
    producer_free(s.p);
}

static void a_share_without_rows_does_not_measure(void **unused)
{
    (void)unused;
    struct script s;
    struct producer_send send;
    start(&s, 0);
    expect(&s, MESSAGE_HELLO);
    welcome(&s, MESSAGE_MEASURE, 5, 1, 1, 0);
    producer_decline(s.p);
    assert_int_equal(send_next(&s, &send), MESSAGE_END);
    assert_int_equal(send.message.session, 5);
    assert_int_equal(send.message.next_number, 1);
    refuse(&s, MESSAGE_RETRY, 5, ERR_AGAIN);
    s.now += second;
    assert_int_equal(send_next(&s, &send), MESSAGE_HELLO);
    assert_int_equal(send.message.epoch, 1);
    uint64_t generation = producer_order(s.p).generation;
    welcome(&s, MESSAGE_MEASURE, 6, 1, 1, 0); /* of a sink that has forgotten it */
    assert_int_equal(producer_order(s.p).generation, generation);
    expect(&s, MESSAGE_END);
    welcome(&s, 0, 6, 1, 1, 2); /* another has measured */
    assert_int_equal(producer_order(s.p).task, PRODUCER_MAKE);
    expect(&s, -1);
    assert_int_equal(producer_end(s.p, producer_order(s.p).generation), ERR_OK);
    assert_int_equal(send_next(&s, &send), MESSAGE_END);
    assert_int_equal(send.message.next_number, 1);
    state(&s, MESSAGE_ENDED, 6, 1, 2);
    assert_int_equal(producer_phase(s.p), PRODUCER_ENDED);
    producer_free(s.p);
}

/* An older sink takes that END as the end. */
static void an_end_while_measuring_may_be_committed(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, 0);
    expect(&s, MESSAGE_HELLO);
    welcome(&s, MESSAGE_MEASURE, 5, 1, 1, 0);
    producer_decline(s.p);
    expect(&s, MESSAGE_END);
    state(&s, 0, 5, 1, 0);
    assert_int_equal(producer_phase(s.p), PRODUCER_MEASURING);
    state(&s, MESSAGE_ENDED, 5, 1, 0);
    assert_int_equal(producer_phase(s.p), PRODUCER_ENDED);
    producer_free(s.p);
}

static void sends_within_credit(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 0, 2);
    for (int i = 1; i <= 4; i++) assert_int_equal(push(&s, g, (uint64_t)SLAB * i), ERR_OK);
    expect_frame(&s, 1);
    expect_frame(&s, 2);
    expect(&s, -1);
    state(&s, 0, 11, 2, 3);
    expect_frame(&s, 3);
    expect(&s, -1);
    assert_int_equal(producer_counters(s.p).acked_rows, SLAB);
    assert_true(adds_up(&s));
    state(&s, 0, 99, 4, 100); /* another session's */
    expect(&s, -1);
    producer_free(s.p);
}

static void window_is_bounded(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 0, 1000);
    int frames = 0;
    while (push(&s, g, (uint64_t)SLAB * (frames + 1)) == ERR_OK) frames++;
    assert_true(frames >= 3 && frames < 100);
    state(&s, 0, 11, 2, 1000);
    assert_int_equal(push(&s, g, (uint64_t)SLAB * (frames + 1)), ERR_OK);
    assert_int_equal(push(&s, g, 0), ERR_AGAIN);
    producer_free(s.p);
}

/* The sink was killed and comes back a frame behind: what it lacks is still kept, and goes
 * again. */
static void sink_restarts(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 0, 10);
    for (int i = 1; i <= 4; i++) push(&s, g, (uint64_t)SLAB * i);
    for (int i = 1; i <= 4; i++) expect_frame(&s, (uint64_t)i);
    state(&s, 0, 11, 3, 10); /* 1 and 2 are committed */
    s.now += 6 * second;     /* silence */
    producer_tick(s.p, s.now);
    struct producer_send send;
    assert_int_equal(send_next(&s, &send), MESSAGE_HELLO);
    assert_int_equal(send.message.epoch, 1);
    expect(&s, -1); /* nothing else without a session */
    welcome(&s, 0, 12, 1, 4, 9);
    assert_int_equal(producer_order(s.p).generation, g);
    assert_int_equal(send_next(&s, &send), 0);
    assert_int_equal(send.frame->header.number, 4);
    assert_int_equal(send.frame->header.session, 12);
    assert_int_equal(producer_counters(s.p).resent_frames, 1);
    assert_int_equal(push(&s, g, SLAB * 5), ERR_OK);
    assert_true(adds_up(&s));
    producer_free(s.p);
}

static void gap_is_filled_from_the_window(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 0, 10);
    for (int i = 1; i <= 3; i++) push(&s, g, (uint64_t)SLAB * i);
    for (int i = 1; i <= 3; i++) expect_frame(&s, (uint64_t)i);
    state(&s, MESSAGE_RESYNC, 11, 2, 10);
    expect_frame(&s, 2);
    expect_frame(&s, 3);
    assert_int_equal(producer_order(s.p).generation, g);
    producer_free(s.p);
}

/* The sink asks for a number that was acked long ago: the engine has to go back. */
static void rewind_makes_again(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 0, 10);
    for (int i = 1; i <= 4; i++) push(&s, g, (uint64_t)SLAB * i);
    state(&s, 0, 11, 4, 10);
    refuse(&s, MESSAGE_RETRY, 11, ERR_STATE);
    s.now += second;
    expect(&s, MESSAGE_HELLO);
    welcome(&s, 0, 12, 1, 2, 10);
    assert_true(adds_up(&s)); /* what is made again is not counted twice */
    struct producer_order order = producer_order(s.p);
    assert_int_equal(order.generation, g + 1);
    assert_int_equal(order.task, PRODUCER_MAKE);
    assert_int_equal(order.number, 2);
    assert_int_equal(order.cursor.position, 2);
    assert_int_equal(order.totals.captured_rows, SLAB * 3); /* as of the last acked frame */
    assert_int_equal(push(&s, g, SLAB * 5), ERR_STATE);     /* of the old order */
    assert_int_equal(push(&s, order.generation, SLAB * 4), ERR_OK);
    expect_frame(&s, 2);
    assert_true(adds_up(&s));
    producer_free(s.p);
}

static void new_life_goes_on(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, 0);
    struct producer_send send;
    assert_int_equal(send_next(&s, &send), MESSAGE_HELLO);
    assert_int_equal(send.message.epoch, 0);
    welcome(&s, 0, 20, 7, 58, 60);
    struct producer_order order = producer_order(s.p);
    assert_int_equal(order.number, 58);
    assert_int_equal(order.cursor.position, 58);
    push(&s, order.generation, SLAB);
    assert_int_equal(send_next(&s, &send), 0);
    assert_int_equal(send.frame->header.number, 58);
    assert_int_equal(send.frame->header.epoch, 7);
    producer_free(s.p);
}

static void refused_for_good(void **unused)
{
    (void)unused;
    struct script s;
    const char *text;
    stream(&s, 0, 10);
    refuse(&s, 0, 999, ERR_FENCED); /* about a session that is not ours */
    assert_int_equal(producer_phase(s.p), PRODUCER_STREAMING);
    refuse(&s, 0, 11, ERR_FENCED);
    assert_int_equal(producer_phase(s.p), PRODUCER_FAILED);
    assert_int_equal(producer_error(s.p, &text), ERR_FENCED);
    assert_string_equal(text, "because");
    assert_int_equal(producer_order(s.p).task, PRODUCER_HALT);
    s.now += 100 * second;
    expect(&s, MESSAGE_BYE); /* its credit goes back, and it does not ask again */
    expect(&s, -1);
    producer_free(s.p);
}

static void refused_for_now(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, 0);
    expect(&s, MESSAGE_HELLO);
    refuse(&s, MESSAGE_RETRY, 0, ERR_NOTFOUND);
    assert_string_equal(producer_waiting_for(s.p), "because");
    s.now += second / 2;
    expect(&s, -1);
    s.now += second;
    expect(&s, MESSAGE_HELLO);
    s.now += 3 * second; /* no answer at all */
    expect(&s, MESSAGE_HELLO);
    producer_free(s.p);
}

/* END, then its answer is lost: it is said again until it is answered. */
static void end_is_repeated(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 0, 1);
    push(&s, g, SLAB);
    push(&s, g, 2 * SLAB);
    assert_int_equal(producer_end(s.p, g), ERR_OK);
    expect_frame(&s, 1);
    expect(&s, -1); /* not before the last frame has left */
    state(&s, 0, 11, 2, 2);
    expect_frame(&s, 2);
    struct producer_send send;
    assert_int_equal(send_next(&s, &send), MESSAGE_END);
    assert_int_equal(send.message.next_number, 3);
    assert_int_equal(send.message.totals.captured_rows, 2 * SLAB);
    expect(&s, -1);
    s.now += second + 1;
    expect(&s, MESSAGE_PING);
    expect(&s, MESSAGE_END);
    s.now += 6 * second;
    producer_tick(s.p, s.now);
    expect(&s, MESSAGE_HELLO);
    welcome(&s, 0, 12, 1, 2, 2); /* a sink that has lost the last frame, too */
    expect_frame(&s, 2);
    expect(&s, MESSAGE_END);
    state(&s, MESSAGE_ENDED, 12, 3, 2);
    assert_int_equal(producer_phase(s.p), PRODUCER_ENDED);
    assert_true(adds_up(&s));
    expect(&s, MESSAGE_BYE);
    expect(&s, -1);
    producer_free(s.p);
}

static void ended_before(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, 0);
    expect(&s, MESSAGE_HELLO);
    welcome(&s, MESSAGE_ENDED, 12, 2, 9, 8);
    assert_int_equal(producer_phase(s.p), PRODUCER_ENDED);
    assert_int_equal(producer_order(s.p).task, PRODUCER_HALT);
    producer_free(s.p);
    start(&s, 0);
    expect(&s, MESSAGE_HELLO);
    refuse(&s, MESSAGE_RETRY | MESSAGE_ENDED, 0, ERR_STATE); /* the broker remembers */
    assert_int_equal(producer_phase(s.p), PRODUCER_ENDED);
    producer_free(s.p);
}

static void nobody_needs_more(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 0, 10);
    for (int i = 1; i <= 3; i++) push(&s, g, (uint64_t)SLAB * i);
    expect_frame(&s, 1);
    state(&s, MESSAGE_STOP, 11, 2, 10);
    assert_int_equal(producer_order(s.p).task, PRODUCER_HALT);
    struct producer_send send;
    assert_int_equal(send_next(&s, &send), MESSAGE_END);
    assert_int_equal(send.message.next_number, 2);
    assert_true(adds_up(&s));
    producer_free(s.p);
}

static void drain_drops_and_says_bye(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 0, 10);
    for (int i = 1; i <= 3; i++) push(&s, g, (uint64_t)SLAB * i);
    state(&s, 0, 11, 2, 10);
    producer_leave(s.p, s.now);
    struct producer_send send;
    assert_int_equal(send_next(&s, &send), MESSAGE_BYE);
    assert_int_equal(send.message.totals.captured_rows, SLAB);
    assert_int_equal(producer_phase(s.p), PRODUCER_GONE);
    assert_int_equal(push(&s, g, SLAB * 4), ERR_STATE);
    producer_free(s.p);
    start(&s, 0); /* without a session there is nobody to say it to */
    producer_leave(s.p, s.now);
    assert_int_equal(producer_phase(s.p), PRODUCER_GONE);
    producer_free(s.p);
}

/* Live: no credit, no session or no buffer, no number; what is shed is counted, to the row. */
static void sheds_and_counts(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 1, 2), captured = 0;
    for (int i = 0; i < 5; i++) assert_int_equal(push(&s, g, captured += SLAB), ERR_OK);
    expect_frame(&s, 1);
    expect_frame(&s, 2);
    expect(&s, -1);
    assert_int_equal(producer_counters(s.p).totals.shed_rows, 3 * SLAB);
    assert_true(adds_up(&s));
    refuse(&s, MESSAGE_RETRY, 11, ERR_STATE);
    assert_int_equal(push(&s, g, captured += SLAB), ERR_OK); /* no session */
    assert_int_equal(producer_counters(s.p).totals.shed_rows, 4 * SLAB);
    s.now += second;
    expect(&s, MESSAGE_HELLO);
    welcome(&s, 0, 12, 1, 2, 5);
    struct producer_send send;
    assert_int_equal(send_next(&s, &send), 0);
    assert_int_equal(send.frame->header.number, 2); /* 1 was committed, 2 goes again */
    assert_int_equal(push(&s, g, captured += SLAB), ERR_OK);
    assert_int_equal(send_next(&s, &send), 0);
    assert_int_equal(send.frame->header.number, 3);
    assert_int_equal(send.frame->header.totals.shed_rows, 4 * SLAB);
    struct producer_place place = {.totals = {.captured_rows = captured += 2}, .waiting_rows = 2};
    assert_int_equal(producer_shed(s.p, g, &place), ERR_OK);
    assert_int_equal(producer_counters(s.p).totals.shed_rows, 4 * SLAB + 2);
    assert_true(adds_up(&s));
    producer_free(s.p);
}

/* Three frames and two rows that wait to be cut; two frames were sent. */
static uint64_t stream_live(struct script *s)
{
    uint64_t g = stream(s, 1, 10);
    struct producer_place place = {
        {.captured_rows = 3 * SLAB + 2}, 2, {.document = 7, .position = 3 * SLAB + 2}, 0};
    for (int i = 1; i <= 2; i++) push(s, g, (uint64_t)SLAB * i);
    for (int i = 1; i <= 2; i++) expect_frame(s, (uint64_t)i);
    push(s, g, 3 * SLAB);
    assert_int_equal(producer_count(s->p, g, &place), ERR_OK);
    return g;
}

/* It tells where the source is, and from which frame on what was sent counts as shed. */
static void expect_bye(struct script *s, uint64_t captured, uint64_t shed, uint64_t shed_from)
{
    struct producer_send send;
    assert_int_equal(send_next(s, &send), MESSAGE_BYE);
    assert_int_equal(send.message.totals.captured_rows, captured);
    assert_int_equal(send.message.totals.shed_rows, shed);
    assert_int_equal(send.message.next_number, shed_from);
    assert_int_equal(send.message.cursor.document, 7);
    assert_int_equal(send.message.cursor.position, captured);
    assert_int_equal(producer_phase(s->p), PRODUCER_GONE);
    assert_true(adds_up(s));
}

/* Live rows cannot be made again: a drain waits for those that are under way, and counts those that
 * have not got that far. */
static void live_drain_accounts_for_all(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream_live(&s);
    producer_leave(s.p, s.now);
    assert_int_equal(producer_order(s.p).task, PRODUCER_HALT);
    struct producer_place later = {.totals = {.captured_rows = 4 * SLAB}, .waiting_rows = SLAB};
    assert_int_equal(producer_shed(s.p, g, &later), ERR_STATE); /* of an order that is over */
    assert_int_equal(producer_count(s.p, g, &later), ERR_STATE);
    expect_frame(&s, 3);
    expect(&s, -1);
    state(&s, MESSAGE_RESYNC, 11, 2, 10); /* 2 was lost */
    expect_frame(&s, 2);
    expect_frame(&s, 3);
    assert_int_equal(producer_order(s.p).task, PRODUCER_HALT);
    state(&s, 0, 11, 3, 10);
    expect(&s, -1);
    assert_true(adds_up(&s));
    state(&s, 0, 11, 4, 10);
    expect_bye(&s, 3 * SLAB + 2, 2, 0);
    producer_free(s.p);
}

static void live_drain_does_not_wait_for_ever(void **unused)
{
    (void)unused;
    struct script s;
    stream_live(&s);
    producer_leave(s.p, s.now);
    expect_frame(&s, 3);
    state(&s, 0, 11, 2, 10);
    s.now += 3 * second;
    producer_tick(s.p, s.now);
    expect_bye(&s, 3 * SLAB + 2, 2 * SLAB + 2, 2);
    producer_free(s.p);
    stream_live(&s); /* and not for a session that is over */
    producer_leave(s.p, s.now);
    refuse(&s, MESSAGE_RETRY, 11, ERR_STATE);
    expect(&s, -1);
    assert_int_equal(producer_phase(s.p), PRODUCER_GONE);
    assert_int_equal(producer_counters(s.p).totals.shed_rows, 3 * SLAB + 2);
    assert_true(adds_up(&s));
    producer_free(s.p);
}

/* A live stream cannot go back: the sink's number is taken, what was kept is lost and counted. */
static void live_numbers_on(void **unused)
{
    (void)unused;
    struct script s;
    uint64_t g = stream(&s, 1, 9);
    push(&s, g, SLAB);
    push(&s, g, 2 * SLAB);
    state(&s, 0, 11, 2, 9);
    refuse(&s, MESSAGE_RETRY, 11, ERR_STATE);
    s.now += second;
    expect(&s, MESSAGE_HELLO);
    welcome(&s, 0, 12, 1, 80, 90);
    assert_int_equal(producer_order(s.p).generation, g);
    assert_int_equal(producer_counters(s.p).totals.shed_rows, SLAB);
    push(&s, g, 3 * SLAB);
    expect_frame(&s, 80);
    assert_true(adds_up(&s));
    producer_free(s.p);
}

/* Nobody needs more rows: what was captured and finds nobody is shed, and not forgotten. */
static void live_stop_accounts_for_all(void **unused)
{
    (void)unused;
    struct script s;
    stream_live(&s);
    state(&s, MESSAGE_STOP, 11, 2, 10);
    assert_int_equal(producer_order(s.p).task, PRODUCER_HALT);
    assert_int_equal(producer_counters(s.p).totals.captured_rows, 3 * SLAB + 2);
    assert_int_equal(producer_counters(s.p).totals.shed_rows, 2 * SLAB + 2);
    assert_true(adds_up(&s));
    struct producer_send send;
    assert_int_equal(send_next(&s, &send), MESSAGE_END);
    assert_int_equal(send.message.next_number, 2);
    producer_free(s.p);
}

static void another_buffer_is_refused(void **unused)
{
    (void)unused;
    struct script s;
    const char *text;
    stream(&s, 0, 10);
    s.now += 6 * second;
    producer_tick(s.p, s.now);
    expect(&s, MESSAGE_HELLO);
    strcpy(s.d.model, "another");
    welcome(&s, 0, 12, 1, 1, 10);
    assert_int_equal(producer_phase(s.p), PRODUCER_STREAMING); /* a name alone does not count */
    s.d.model_hash = 3;
    welcome(&s, 0, 13, 1, 1, 10);
    assert_int_equal(producer_phase(s.p), PRODUCER_FAILED);
    assert_int_equal(producer_error(s.p, &text), ERR_MISMATCH);
    producer_free(s.p);
}

static void a_broken_welcome_is_named(void **unused)
{
    (void)unused;
    static const char cut[] = "{\"version\":1,\"stream\":";
    struct script s;
    const char *text;
    stream(&s, 0, 10);
    s.now += 6 * second;
    producer_tick(s.p, s.now);
    expect(&s, MESSAGE_HELLO);
    struct message m = {.type = MESSAGE_WELCOME,
                        .stream = stream_key("s"),
                        .session = 12,
                        .epoch = 1,
                        .next_number = 1,
                        .text = cut,
                        .text_bytes = sizeof cut - 1};
    producer_message(s.p, &m, s.now);
    assert_int_equal(producer_phase(s.p), PRODUCER_FAILED);
    assert_int_equal(producer_error(s.p, &text), ERR_FORMAT);
    print_message("%s\n", text);
    assert_non_null(strstr(text, "the descriptor in the WELCOME of the sink of stream s: "));
    assert_non_null(strstr(text, "; HINT: "));
    producer_free(s.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures_first),
        cmocka_unit_test(a_share_without_rows_does_not_measure),
        cmocka_unit_test(an_end_while_measuring_may_be_committed),
        cmocka_unit_test(sends_within_credit),
        cmocka_unit_test(window_is_bounded),
        cmocka_unit_test(sink_restarts),
        cmocka_unit_test(gap_is_filled_from_the_window),
        cmocka_unit_test(rewind_makes_again),
        cmocka_unit_test(new_life_goes_on),
        cmocka_unit_test(refused_for_good),
        cmocka_unit_test(refused_for_now),
        cmocka_unit_test(end_is_repeated),
        cmocka_unit_test(ended_before),
        cmocka_unit_test(nobody_needs_more),
        cmocka_unit_test(drain_drops_and_says_bye),
        cmocka_unit_test(sheds_and_counts),
        cmocka_unit_test(live_stop_accounts_for_all),
        cmocka_unit_test(live_drain_accounts_for_all),
        cmocka_unit_test(live_drain_does_not_wait_for_ever),
        cmocka_unit_test(live_numbers_on),
        cmocka_unit_test(another_buffer_is_refused),
        cmocka_unit_test(a_broken_welcome_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
