/* Who may send what where: links, sessions, credit, sinks that come and go. */
#include "base/err.h"
#include "broker/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t second = 1000000000;
static const struct link_route anna = {1, {1}}, bert = {1, {2}}, sink = {1, {9}}, sink2 = {1, {8}};

struct net {
    struct routes *r;
    uint64_t now;
    struct routes_verdict v;
};

static struct message of(uint8_t type, uint64_t session)
{
    struct message m = {.type = type, .stream = stream_key("s"), .session = session};
    if (type == MESSAGE_HELLO || type == MESSAGE_ATTACH) strcpy(m.name, "n");
    return m;
}

static void front(struct net *n, const struct link_route *from, struct message m)
{
    uint8_t data[4096];
    assert_int_equal(message_encode(&m, data), 0);
    routes_from_producer(n->r, from, KEYS_ALL, data, message_bytes(&m), n->now, &n->v);
}

static void back(struct net *n, const struct link_route *from, uint32_t link, struct message m)
{
    uint8_t data[4096];
    assert_int_equal(message_encode(&m, data), 0);
    routes_from_sink(n->r, from, KEYS_ALL, link, data, message_bytes(&m), n->now, &n->v);
}

static void frame(struct net *n, const struct link_route *from, uint64_t session, uint64_t number)
{
    uint8_t data[FRAME_HEADER_BYTES + 4096] = {0};
    struct frame_header h = {.stream = stream_key("s"),
                             .session = session,
                             .number = number,
                             .epoch = 1,
                             .rows = 1,
                             .width = 1,
                             .dtype = DTYPE_F32};
    assert_int_equal(frame_seal(&h, data + FRAME_HEADER_BYTES, data + FRAME_HEADER_BYTES, NULL), 0);
    frame_encode(&h, data);
    routes_from_producer(n->r, from, KEYS_ALL, data, FRAME_HEADER_BYTES + h.packed_bytes, n->now,
                         &n->v);
}

/* A sink is attached, and anna has a session 5 with credit up to 3. Gives her link. */
static uint32_t set_up(struct net *n)
{
    memset(n, 0, sizeof *n);
    n->now = 100 * second;
    assert_int_equal(routes_new(77, 1024, &n->r), 0);
    back(n, &sink, 0, of(MESSAGE_ATTACH, 0));
    assert_int_equal(n->v.answer.type, MESSAGE_ATTACHED);
    assert_int_equal(n->v.answer.session, 77);
    front(n, &anna, of(MESSAGE_HELLO, 0));
    assert_int_equal(n->v.forward, ROUTES_TO_SINK);
    uint32_t link = n->v.link;
    assert_int_not_equal(link, 0);
    struct message welcome = of(MESSAGE_WELCOME, 5);
    welcome.credit = 3;
    back(n, &sink, link, welcome);
    assert_int_equal(n->v.forward, ROUTES_TO_PRODUCER);
    assert_true(link_route_equal(&n->v.route, &anna));
    return link;
}

static void expect_refused(const struct net *n, enum routes_drop why)
{
    assert_int_equal(n->v.drop, why);
    assert_int_equal(n->v.forward, ROUTES_NOWHERE);
    assert_true(n->v.has_answer);
    assert_int_equal(n->v.answer.type, MESSAGE_REFUSE);
    assert_true(n->v.answer.flags & MESSAGE_RETRY);
}

static void nobody_there(void **state)
{
    (void)state;
    struct net n = {.now = second};
    assert_int_equal(routes_new(77, 1024, &n.r), 0);
    front(&n, &anna, of(MESSAGE_HELLO, 0));
    expect_refused(&n, ROUTES_NO_SINK);
    frame(&n, &anna, 5, 1);
    expect_refused(&n, ROUTES_NO_SINK);
    back(&n, &sink, 0, of(MESSAGE_PING, 0)); /* a sink that knew another life of the broker */
    expect_refused(&n, ROUTES_NO_SINK);
    assert_int_equal(routes_links(n.r), 0);
    routes_free(n.r);
}

static void credit_bounds_frames(void **state)
{
    (void)state;
    struct net n;
    uint32_t link = set_up(&n);
    frame(&n, &anna, 5, 3);
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    assert_int_equal(n.v.link, link);
    frame(&n, &anna, 5, 4);
    assert_int_equal(n.v.drop, ROUTES_NO_CREDIT);
    assert_int_equal(n.v.forward, ROUTES_NOWHERE);
    struct message m = of(MESSAGE_STATE, 5);
    m.credit = 4;
    back(&n, &sink, link, m);
    frame(&n, &anna, 5, 4);
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    m.session = 6; /* of another session: teaches nothing */
    m.credit = 100;
    back(&n, &sink, link, m);
    frame(&n, &anna, 5, 5);
    assert_int_equal(n.v.drop, ROUTES_NO_CREDIT);
    routes_free(n.r);
}

static void only_in_the_session(void **state)
{
    (void)state;
    struct net n;
    uint32_t link = set_up(&n);
    frame(&n, &anna, 4, 1);
    expect_refused(&n, ROUTES_NO_SESSION);
    assert_int_equal(n.v.answer.session, 4);
    frame(&n, &bert, 5, 1); /* somebody else's session */
    expect_refused(&n, ROUTES_NO_SESSION);
    front(&n, &anna, of(MESSAGE_PING, 5));
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    front(&n, &anna, of(MESSAGE_PING, 4));
    expect_refused(&n, ROUTES_NO_SESSION);
    struct message m = of(MESSAGE_REFUSE, 5); /* the sink ends it */
    back(&n, &sink, link, m);
    frame(&n, &anna, 5, 1);
    expect_refused(&n, ROUTES_NO_SESSION);
    routes_free(n.r);
}

static void new_sink_ends_sessions(void **state)
{
    (void)state;
    struct net n;
    uint32_t link = set_up(&n);
    back(&n, &sink2, 0, of(MESSAGE_ATTACH, 0));
    assert_int_equal(n.v.answer.type, MESSAGE_ATTACHED);
    assert_int_equal(routes_sinks(n.r), 1);
    frame(&n, &anna, 5, 1);
    expect_refused(&n, ROUTES_NO_SESSION);
    back(&n, &sink, link, of(MESSAGE_STATE, 5)); /* the old one has no say */
    assert_int_equal(n.v.forward, ROUTES_NOWHERE);
    back(&n, &sink, 0, of(MESSAGE_PING, 0));
    expect_refused(&n, ROUTES_NO_SINK);
    front(&n, &anna, of(MESSAGE_HELLO, 0));
    assert_true(link_route_equal(&n.v.route, &sink2));
    routes_free(n.r);
}

static void silence(void **state)
{
    (void)state;
    struct net n;
    struct routes_gone gone;
    uint32_t link = set_up(&n);
    n.now += 14 * second;
    back(&n, &sink, 0, of(MESSAGE_PING, 0));
    assert_int_equal(n.v.answer.type, MESSAGE_ATTACHED);
    assert_int_equal(routes_expire(n.r, n.now, &gone), 0);
    n.now += 2 * second;
    assert_int_equal(routes_expire(n.r, n.now, &gone), 1); /* anna */
    assert_int_equal(gone.link, link);
    assert_true(link_route_equal(&gone.sink, &sink));
    assert_int_equal(routes_expire(n.r, n.now, &gone), 0);
    back(&n, &sink, link, of(MESSAGE_STATE, 5));
    assert_int_equal(n.v.drop, ROUTES_NO_LINK);
    assert_int_equal(n.v.answer.type, MESSAGE_GONE);
    assert_int_equal(n.v.link, link);
    n.now += 20 * second;
    routes_expire(n.r, n.now, &gone);
    assert_int_equal(routes_sinks(n.r), 0);
    routes_free(n.r);
}

static void lost_peers(void **state)
{
    (void)state;
    struct net n;
    struct routes_gone gone;
    uint32_t link = set_up(&n);
    assert_int_equal(routes_lost(n.r, &bert, &gone), 0);
    assert_int_equal(routes_lost(n.r, &anna, &gone), 1);
    assert_int_equal(gone.link, link);
    assert_int_equal(routes_links(n.r), 0);
    routes_free(n.r);
}

static void ended_stream_is_remembered(void **state)
{
    (void)state;
    struct net n;
    set_up(&n);
    struct message bye = of(MESSAGE_BYE, 0);
    bye.flags = MESSAGE_ENDED;
    back(&n, &sink, 0, bye);
    assert_int_equal(routes_sinks(n.r), 0);
    front(&n, &anna, of(MESSAGE_HELLO, 0));
    expect_refused(&n, ROUTES_NO_SINK);
    assert_true(n.v.answer.flags & MESSAGE_ENDED);
    back(&n, &sink2, 0, of(MESSAGE_ATTACH, 0)); /* a new run of it */
    back(&n, &sink2, 0, of(MESSAGE_BYE, 0));
    front(&n, &anna, of(MESSAGE_HELLO, 0));
    assert_false(n.v.answer.flags & MESSAGE_ENDED);
    routes_free(n.r);
}

static void garbage_is_dropped(void **state)
{
    (void)state;
    struct net n;
    uint32_t link = set_up(&n);
    uint8_t junk[300] = "SLFRjunk";
    routes_from_producer(n.r, &anna, KEYS_ALL, junk, sizeof junk, n.now, &n.v);
    assert_int_equal(n.v.drop, ROUTES_MALFORMED);
    assert_false(n.v.has_answer);
    routes_from_sink(n.r, &sink, KEYS_ALL, link, junk, sizeof junk, n.now, &n.v);
    assert_int_equal(n.v.drop, ROUTES_MALFORMED);
    routes_from_producer(n.r, &anna, KEYS_ALL, junk, 0, n.now, &n.v);
    assert_int_equal(n.v.drop, ROUTES_MALFORMED);
    front(&n, &anna, of(MESSAGE_WELCOME, 5)); /* not a producer's to say */
    assert_int_equal(n.v.drop, ROUTES_MALFORMED);
    back(&n, &sink, link, of(MESSAGE_HELLO, 5));
    assert_int_equal(n.v.drop, ROUTES_MALFORMED);
    routes_free(n.r);
}

static void links_are_bounded(void **state)
{
    (void)state;
    struct net n;
    set_up(&n);
    for (uint32_t i = 0; i < 1024 + 5; i++) {
        struct link_route peer = {5, {7, (uint8_t)i, (uint8_t)(i >> 8), 1, 1}};
        front(&n, &peer, of(MESSAGE_HELLO, 0));
    }
    expect_refused(&n, ROUTES_NO_LINK);
    assert_int_equal(routes_links(n.r), 1024);
    routes_free(n.r);
}

static enum routes_drop by(uint32_t roles, uint8_t type)
{
    struct net n;
    uint8_t data[4096];
    uint32_t link = set_up(&n);
    struct message m = of(type, 5);
    int is_sinks = type == MESSAGE_ATTACH || type == MESSAGE_STATE || type == MESSAGE_BYE;
    if (type == MESSAGE_REPORT) strcpy(m.name, "n");
    assert_int_equal(message_encode(&m, data), 0);
    if (is_sinks)
        routes_from_sink(n.r, &sink, roles, type == MESSAGE_STATE ? link : 0, data,
                         message_bytes(&m), n.now, &n.v);
    else
        routes_from_producer(n.r, &anna, roles, data, message_bytes(&m), n.now, &n.v);
    routes_free(n.r);
    return n.v.drop;
}

/* Each message by each role: it goes its way, or is not allowed. */
static void roles_bound_what_is_said(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        uint32_t role;
    } says[] = {
        {MESSAGE_HELLO, KEYS_PRODUCE}, {MESSAGE_PING, KEYS_PRODUCE}, {MESSAGE_END, KEYS_PRODUCE},
        {MESSAGE_REPORT, KEYS_REPORT}, {MESSAGE_ASK, KEYS_STATUS},   {MESSAGE_ATTACH, KEYS_SINK},
        {MESSAGE_STATE, KEYS_SINK},    {MESSAGE_BYE, KEYS_SINK},
    };
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        for (uint32_t role = 1; role < KEYS_ALL; role *= 2)
            assert_int_equal(by(role, says[i].type),
                             role == says[i].role ? ROUTES_KEPT : ROUTES_NOT_ALLOWED);
    struct net n;
    set_up(&n);
    uint8_t data[FRAME_HEADER_BYTES] = "SLFR";
    routes_from_producer(n.r, &anna, KEYS_ALL & ~(uint32_t)KEYS_PRODUCE, data, sizeof data, n.now,
                         &n.v);
    assert_int_equal(n.v.drop, ROUTES_NOT_ALLOWED);
    routes_free(n.r);
}

/* A sink that does not answer is not buried under what it will have to answer. */
static void hellos_wait_for_their_answer(void **state)
{
    (void)state;
    struct net n;
    uint32_t link = set_up(&n);
    front(&n, &anna, of(MESSAGE_HELLO, 0));
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    front(&n, &anna, of(MESSAGE_HELLO, 0));
    assert_int_equal(n.v.drop, ROUTES_TOO_SOON);
    n.now += second + 1;
    front(&n, &anna, of(MESSAGE_HELLO, 0)); /* the answer may be lost */
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    back(&n, &sink, link, of(MESSAGE_REFUSE, 0));
    front(&n, &anna, of(MESSAGE_HELLO, 0)); /* it was answered */
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    back(&n, &sink2, 0, of(MESSAGE_ATTACH, 0)); /* another life of the sink */
    front(&n, &anna, of(MESSAGE_HELLO, 0));
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    routes_free(n.r);
}

/* Credit bounds how much is under way only where no frame goes twice unasked. */
static void frames_go_on_once(void **state)
{
    (void)state;
    struct net n;
    uint32_t link = set_up(&n);
    for (uint64_t number = 1; number <= 3; number++) {
        frame(&n, &anna, 5, number);
        assert_int_equal(n.v.forward, ROUTES_TO_SINK);
        frame(&n, &anna, 5, number);
        assert_int_equal(n.v.drop, ROUTES_REPEATED);
    }
    struct message back_to_2 = of(MESSAGE_STATE, 5);
    back_to_2.credit = 3;
    back_to_2.next_number = 2;
    back(&n, &sink, link, back_to_2); /* what is acked is not asked for again */
    frame(&n, &anna, 5, 2);
    assert_int_equal(n.v.drop, ROUTES_REPEATED);
    back_to_2.flags = MESSAGE_RESYNC;
    back(&n, &sink, link, back_to_2);
    frame(&n, &anna, 5, 1);
    assert_int_equal(n.v.drop, ROUTES_REPEATED);
    frame(&n, &anna, 5, 2);
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    struct message again = of(MESSAGE_WELCOME, 6);
    again.credit = 3;
    again.next_number = 1;
    back(&n, &sink, link, again);
    frame(&n, &anna, 6, 1);
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    routes_free(n.r);
}

static void descriptions_only_where_asked_for(void **state)
{
    (void)state;
    struct net n;
    uint32_t link = set_up(&n);
    front(&n, &anna, of(MESSAGE_DESCRIBE, 5));
    assert_int_equal(n.v.drop, ROUTES_TOO_SOON);
    struct message welcome = of(MESSAGE_WELCOME, 6);
    welcome.flags = MESSAGE_MEASURE;
    back(&n, &sink, link, welcome);
    front(&n, &anna, of(MESSAGE_DESCRIBE, 6));
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    front(&n, &anna, of(MESSAGE_DESCRIBE, 6));
    assert_int_equal(n.v.drop, ROUTES_TOO_SOON);
    n.now += second;
    front(&n, &anna, of(MESSAGE_DESCRIBE, 6));
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    back(&n, &sink, link, of(MESSAGE_WELCOME, 6)); /* which is lost: it describes once more */
    n.now += second;
    front(&n, &anna, of(MESSAGE_DESCRIBE, 6));
    assert_int_equal(n.v.forward, ROUTES_TO_SINK);
    routes_free(n.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(credit_bounds_frames),
        cmocka_unit_test(only_in_the_session),
        cmocka_unit_test(new_sink_ends_sessions),
        cmocka_unit_test(silence),
        cmocka_unit_test(lost_peers),
        cmocka_unit_test(ended_stream_is_remembered),
        cmocka_unit_test(garbage_is_dropped),
        cmocka_unit_test(links_are_bounded),
        cmocka_unit_test(roles_bound_what_is_said),
        cmocka_unit_test(hellos_wait_for_their_answer),
        cmocka_unit_test(descriptions_only_where_asked_for),
        cmocka_unit_test(frames_go_on_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
