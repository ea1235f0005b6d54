/* Whose the rows of a ubatch are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "tap/ubatch.h"

enum { ROOM = 64 };

static int set_up(void **state)
{
    static struct submitted submitted;
    *state = &submitted;
    return submitted_make(&submitted, ROOM);
}

static int tear_down(void **state)
{
    submitted_free(*state);
    return 0;
}

static uint32_t owner[ROOM];

static int matched(struct submitted *s, uint32_t n, const int32_t *tokens, const int32_t *positions)
{
    return ubatch_match(s, n, tokens, positions, owner);
}

/* Two sequences, one behind the other in the batch, side by side in the graph. */
static void rows_in_another_order_find_their_owners(void **state)
{
    struct submitted *s = *state;
    const int32_t tokens[] = {10, 20, 11, 21}, positions[] = {0, 5, 1, 6};
    submitted_add(s, 10, 0, 0, 1);
    submitted_add(s, 11, 1, 0, 1);
    submitted_add(s, 20, 5, 1, 1);
    submitted_add(s, 21, 6, 1, 1);
    assert_int_equal(matched(s, 4, tokens, positions), ERR_OK);
    assert_int_equal(owner[0], 0);
    assert_int_equal(owner[1], 2);
    assert_int_equal(owner[2], 1);
    assert_int_equal(owner[3], 3);
    assert_int_equal(s->ambiguous, 0);
}

static void a_batch_may_come_in_parts(void **state)
{
    struct submitted *s = *state;
    const int32_t tokens[] = {10, 11, 12}, positions[] = {0, 1, 2};
    for (int32_t i = 0; i < 3; i++) submitted_add(s, 10 + i, i, 0, 1);
    assert_int_equal(matched(s, 2, tokens, positions), ERR_OK);
    assert_int_equal(matched(s, 1, tokens + 2, positions + 2), ERR_OK);
    assert_int_equal(owner[0], 2);
}

/* The same token at another position, and another token at the same one. */
static void both_token_and_position_count(void **state)
{
    struct submitted *s = *state;
    const int32_t tokens[] = {7, 7, 8}, positions[] = {1, 0, 1};
    submitted_add(s, 7, 0, 0, 1);
    submitted_add(s, 7, 1, 0, 1);
    submitted_add(s, 8, 1, 1, 1);
    assert_int_equal(matched(s, 3, tokens, positions), ERR_OK);
    assert_int_equal(owner[0], 1);
    assert_int_equal(owner[1], 0);
    assert_int_equal(owner[2], 2);
}

static void what_two_sequences_could_claim_is_nobodys(void **state)
{
    struct submitted *s = *state;
    const int32_t tokens[] = {7, 7, 9}, positions[] = {3, 3, 4};
    submitted_add(s, 7, 3, 0, 1);
    submitted_add(s, 7, 3, 1, 1);
    submitted_add(s, 9, 4, 1, 1);
    assert_int_equal(matched(s, 3, tokens, positions), ERR_OK);
    assert_int_equal(owner[0], UBATCH_NOBODY);
    assert_int_equal(owner[1], UBATCH_NOBODY);
    assert_int_equal(owner[2], 2);
    assert_int_equal(s->ambiguous, 2);
}

static void three_that_could_claim_it_are_three(void **state)
{
    struct submitted *s = *state;
    for (int32_t slot = 0; slot < 3; slot++) submitted_add(s, 7, 3, slot, 1);
    assert_int_equal(s->ambiguous, 3);
}

static void a_token_of_several_sequences_is_nobodys(void **state)
{
    struct submitted *s = *state;
    const int32_t token = 7, position = 0;
    submitted_add(s, 7, 0, -1, 0);
    assert_int_equal(matched(s, 1, &token, &position), ERR_OK);
    assert_int_equal(owner[0], UBATCH_NOBODY);
    assert_int_equal(s->ambiguous, 1);
}

static void a_row_that_was_not_submitted_is_a_mismatch(void **state)
{
    struct submitted *s = *state;
    const int32_t token = 7, other = 8, position = 0, behind = 1;
    submitted_add(s, 7, 0, 0, 1);
    assert_int_equal(matched(s, 1, &other, &position), ERR_MISMATCH);
    assert_int_equal(matched(s, 1, &token, &behind), ERR_MISMATCH);
    assert_int_equal(matched(s, 1, &token, &position), ERR_OK);
}

static void a_row_that_comes_twice_is_a_mismatch(void **state)
{
    struct submitted *s = *state;
    const int32_t tokens[] = {7, 7}, positions[] = {0, 0};
    submitted_add(s, 7, 0, 0, 1);
    assert_int_equal(matched(s, 2, tokens, positions), ERR_MISMATCH);
}

/* Nothing of a pass is left in the table for the next one, whatever stood behind what. */
static void passes_do_not_mix(void **state)
{
    struct submitted *s = *state;
    for (int32_t pass = 0; pass < 200; pass++) {
        submitted_clear(s);
        for (uint32_t i = 0; i <= s->mask; i++) assert_int_equal(s->table[i], 0);
        int32_t n = 1 + pass * 7 % ROOM;
        for (int32_t i = 0; i < n; i++) {
            assert_true(submitted_add(s, pass + i % 5, i / 3, i % 2, 1));
        }
        assert_int_equal(matched(s, 1, &(int32_t){pass - 1}, &(int32_t){0}), ERR_MISMATCH);
    }
}

static void more_than_there_is_room_for_is_told(void **state)
{
    struct submitted *s = *state;
    for (int32_t i = 0; i < ROOM; i++) assert_true(submitted_add(s, i, i, 0, 1));
    assert_false(submitted_add(s, ROOM, ROOM, 0, 1));
    assert_int_equal(s->count, ROOM);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(rows_in_another_order_find_their_owners),
        CASE(a_batch_may_come_in_parts),
        CASE(both_token_and_position_count),
        CASE(what_two_sequences_could_claim_is_nobodys),
        CASE(three_that_could_claim_it_are_three),
        CASE(a_token_of_several_sequences_is_nobodys),
        CASE(a_row_that_was_not_submitted_is_a_mismatch),
        CASE(a_row_that_comes_twice_is_a_mismatch),
        CASE(passes_do_not_mix),
        CASE(more_than_there_is_room_for_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
