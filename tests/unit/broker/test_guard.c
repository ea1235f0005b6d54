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

static void a_flood_ends(void **state)
{
    (void)state;
    struct guard *g;
    assert_int_equal(guard_new(4, 0, &g), ERR_OK);
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
    struct guard *g;
    assert_int_equal(guard_new(4, 3000, &g), ERR_OK);
    for (uint64_t t = 1; t < 600; t++) {
        assert_int_equal(allowed(g, &anna, 4096, 4, t * second), 4);
        assert_int_equal(allowed(g, &anna, 8192, 1, t * second), 1);
        if (t % 60 == 0) assert_int_equal(allowed(g, &anna, 1 << 18, 40, t * second), 40);
    }
    guard_free(g);
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    struct guard *g;
    assert_int_equal(guard_new(4, 0, &g), ERR_OK);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_ends),
        cmocka_unit_test(who_keeps_to_the_protocol_never_runs_out),
        cmocka_unit_test(the_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
