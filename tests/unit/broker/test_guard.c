/* What a peer may ask of the broker. */
#include "broker/guard.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint64_t second = 1000000000;
static const struct link_route anna = {1, {1}}, bert = {1, {2}};

static unsigned allowed(struct guard *g, const struct link_route *peer, size_t bytes,
                        unsigned tries, uint64_t now)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++) n += (unsigned)guard_allows(g, peer, bytes, now);
    return n;
}

static struct guard *guard_of(uint32_t max_peers, uint32_t bursts, uint64_t burst_points)
{
    struct guard *g;
    struct guard_options options = {max_peers, bursts, burst_points};
    assert_int_equal(guard_new(&options, &g), ERR_OK);
    return g;
}

static void a_flood_ends(void **state)
{
    (void)state;
    struct guard *g = guard_of(4, 9, 0);
    assert_int_equal(allowed(g, &anna, 256, 5000, second), GUARD_POINTS);
    assert_int_equal(allowed(g, &bert, 256, 10, second), 10); /* nobody else pays for it */
    assert_int_equal(allowed(g, &anna, 256, 5000, 2 * second), GUARD_POINTS_A_SECOND);
    /* A mebibyte costs as much as 257 small ones. */
    assert_int_equal(allowed(g, &bert, 1 << 20, 50, second), (GUARD_POINTS - 10) / 257);
    guard_free(g);
}

/* HELLO and PING each second, a report of 8 KiB, a window of frames whose session is over. */
static void who_keeps_to_the_protocol_never_runs_out(void **state)
{
    (void)state;
    struct guard *g = guard_of(4, 9, 3000);
    for (uint64_t t = 1; t < 600; t++) {
        assert_int_equal(allowed(g, &anna, 4096, 4, t * second), 4);
        assert_int_equal(allowed(g, &anna, 8192, 1, t * second), 1);
        assert_int_equal(guard_reads_report(g, &anna, t * second), 1);
        if (t % 60 == 0) assert_int_equal(allowed(g, &anna, 1 << 18, 40, t * second), 40);
    }
    guard_free(g);
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    struct guard *g = guard_of(4, 9, 0);
    allowed(g, &anna, 256, 5000, second);
    for (uint8_t i = 0; i < 3; i++) {
        struct link_route other = {2, {9, i}};
        assert_int_equal(allowed(g, &other, 256, 1, 2 * second), 1);
    }
    assert_int_equal(allowed(g, &anna, 256, 1000, 2 * second), GUARD_POINTS_A_SECOND); /* kept */
    for (uint8_t i = 0; i < 4; i++) {
        struct link_route other = {2, {8, i}};
        guard_allows(g, &other, 256, 3 * second);
    }
    assert_int_equal(allowed(g, &anna, 256, 1000, 3 * second), 1000); /* forgotten: it is new */
    guard_free(g);
}

/* Who comes back at once as somebody new, again and again, may not say as much each time. */
static void who_comes_back_begins_with_little(void **state)
{
    (void)state;
    struct guard *g = guard_of(4, 3, 5000);
    for (uint8_t i = 0; i < 40; i++) {
        struct link_route other = {2, {9, i}};
        unsigned n = allowed(g, &other, 256, 10000, second);
        assert_int_equal(n, i < 3 ? 5000 : GUARD_LEAST_POINTS);
        assert_int_equal(guard_reads_report(g, &other, second), i < 4);
    }
    /* That is enough for what a process says when it starts, and more comes with time. */
    assert_int_equal(allowed(g, &bert, 65536, 10, second), 10);
    assert_int_equal(guard_reads_report(g, &bert, second), 0);
    assert_int_equal(guard_reads_report(g, &bert, 2 * second), 1);
    uint64_t later = (1 + GUARD_SECONDS_A_BURST) * second;
    for (uint8_t i = 0; i < 2; i++) {
        struct link_route other = {2, {7, i}};
        unsigned n = allowed(g, &other, 256, 10000, later);
        assert_int_equal(n, i < 1 ? 5000 : GUARD_LEAST_POINTS);
    }
    guard_free(g);
}

/* Who says little takes nothing away from who needs it. */
static void who_asks_once_takes_no_burst(void **state)
{
    (void)state;
    struct guard *g = guard_of(8, 1, 5000);
    for (uint8_t i = 0; i < 40; i++) {
        struct link_route other = {2, {9, i}};
        assert_int_equal(allowed(g, &other, 256, 10, second), 10);
    }
    assert_int_equal(allowed(g, &anna, 256, 10000, second), 5000);
    guard_free(g);
}

/* Those who keep to the protocol keep their places, however many come and flood. */
static void floods_push_out_each_other(void **state)
{
    (void)state;
    struct guard *g = guard_of(4, 1, 0);
    assert_int_equal(allowed(g, &anna, 256, 1000, second), 1000);
    for (uint8_t i = 0; i < 40; i++) {
        struct link_route other = {2, {9, i}};
        allowed(g, &other, 256, 10000, second + i);
    }
    assert_int_equal(allowed(g, &anna, 256, 10000, second + 40), GUARD_POINTS - 1000);
    guard_free(g);
}

static void reports_are_read_as_often_as_the_protocol_has_them(void **state)
{
    (void)state;
    struct guard *g = guard_of(4, 9, 0);
    for (int i = 0; i < 20; i++) /* its first and its last, however short it lived */
        assert_int_equal(guard_reads_report(g, &anna, second), i < GUARD_REPORTS);
    assert_int_equal(guard_reads_report(g, &bert, second), 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(guard_reads_report(g, &anna, 5 * second), i < GUARD_REPORTS);
    guard_free(g);
}

/* Who comes back as somebody new is read no more often for it. */
static void new_peers_share_their_first_reports(void **state)
{
    (void)state;
    struct guard *g = guard_of(4, 9, 0);
    int read = 0;
    for (uint8_t i = 0; i < 40; i++) {
        struct link_route other = {2, {9, i}};
        for (int k = 0; k < 10; k++) read += guard_reads_report(g, &other, second);
    }
    assert_int_equal(read, 4 * GUARD_REPORTS);
    guard_free(g);
}

/* What was answered is paid for as what was asked. */
static void answers_cost(void **state)
{
    (void)state;
    struct guard *g = guard_of(4, 9, 0);
    unsigned answers = 0;
    for (; guard_allows(g, &anna, 64, second); answers++) guard_charge(g, &anna, 1 << 20, second);
    assert_int_equal(answers, GUARD_POINTS / 257 + 1);
    guard_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_ends),
        cmocka_unit_test(who_keeps_to_the_protocol_never_runs_out),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(who_comes_back_begins_with_little),
        cmocka_unit_test(who_asks_once_takes_no_burst),
        cmocka_unit_test(floods_push_out_each_other),
        cmocka_unit_test(reports_are_read_as_often_as_the_protocol_has_them),
        cmocka_unit_test(new_peers_share_their_first_reports),
        cmocka_unit_test(answers_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
