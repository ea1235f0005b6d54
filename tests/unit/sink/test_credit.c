/* Credit: never more than there is room for, and room for two slabs for everyone who has not
 * ended. */
#include "buffer/store.h"
#include "sink/credit.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void alone(void **state)
{
    (void)state;
    struct credit_account a[1] = {{0, 1, 0, 0}};
    assert_int_equal(credit_slabs(a, 1, 0, 100, 64), 64);
    assert_int_equal(credit_slabs(a, 1, 0, 10, 64), 10);
    assert_int_equal(credit_slabs(a, 1, 0, 0, 64), 0);
    a[0].reserved_slabs = 5; /* what was promised stays */
    assert_int_equal(credit_slabs(a, 1, 0, 5, 64), 5);
    a[0].has_ended = 1;
    assert_int_equal(credit_slabs(a, 1, 0, 100, 64), 0);
    a[0] = (struct credit_account){0, 0, 0, 0}; /* no session */
    assert_int_equal(credit_slabs(a, 1, 0, 100, 64), 0);
}

static void room_is_kept_for_the_absent(void **state)
{
    (void)state;
    struct credit_account a[3] = {{0, 1, 0, 0}, {0, 0, 0, 0}, {1, 0, 0, 0}};
    assert_int_equal(credit_slabs(a, 3, 0, 3, 64), 1); /* two of three are the second's */
    assert_int_equal(credit_slabs(a, 3, 0, 2, 64), 0);
    assert_int_equal(credit_slabs(a, 3, 0, 40, 64), 20); /* a fair share */
    a[1].has_ended = 1;
    assert_int_equal(credit_slabs(a, 3, 0, 2, 64), 2);
}

/* Random sessions, commits and frees: the sum of what is reserved never passes what is free, and
 * nobody who is live and has room in the buffer stays without credit for ever. */
static void never_more_than_room(void **state)
{
    (void)state;
    enum { PRODUCERS = 5, CAPACITY = 40, WINDOW = 16 };
    struct credit_account a[PRODUCERS] = {{0}};
    struct rng rng;
    uint64_t stored = 0;
    rng_seed(&rng, 3);
    for (int step = 0; step < 200000; step++) {
        uint32_t p = (uint32_t)rng_below(&rng, PRODUCERS);
        switch (rng_below(&rng, 5)) {
        case 0: /* a session begins or ends: its credit goes back */
            a[p].is_live = !a[p].is_live;
            a[p].reserved_slabs = 0;
            break;
        case 1: /* a frame is committed */
            if (a[p].reserved_slabs) a[p].reserved_slabs--, a[p].stored_slabs++, stored++;
            break;
        case 2: /* a slab is freed */
            if (a[p].stored_slabs) a[p].stored_slabs--, stored--;
            break;
        default:
            a[p].reserved_slabs = credit_slabs(a, PRODUCERS, p, CAPACITY - stored, WINDOW);
            break;
        }
        uint64_t promised = 0;
        for (int q = 0; q < PRODUCERS; q++) {
            promised += a[q].reserved_slabs;
            assert_true(a[q].reserved_slabs <= WINDOW);
        }
        assert_true(promised + stored <= CAPACITY);
    }
    /* All others full of what they may have: this one still gets its two. */
    stored = 0;
    for (int q = 0; q < PRODUCERS; q++) a[q] = (struct credit_account){0, q > 0, 0, 0};
    for (int round = 0; round < 100; round++)
        for (uint32_t q = 1; q < PRODUCERS; q++) {
            uint64_t got = credit_slabs(a, PRODUCERS, q, CAPACITY - stored, WINDOW);
            a[q].stored_slabs += got; /* all committed at once */
            stored += got;
        }
    a[0].is_live = 1;
    assert_true(credit_slabs(a, PRODUCERS, 0, CAPACITY - stored, WINDOW) >= STORE_KEPT_SLABS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone),
        cmocka_unit_test(room_is_kept_for_the_absent),
        cmocka_unit_test(never_more_than_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
