/* Which tokens of a slot belong together: each case is something that a server does to its cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tap/marker.h"
#include "tap/slots.h"

enum { SLOTS = 4 };

static uint64_t numbers; /* given so far */
static int is_outside;   /* of the share */

static uint64_t next(void *arg)
{
    (void)arg;
    numbers++;
    return is_outside ? 0 : numbers;
}

static int set_up(void **state)
{
    static struct slots slots;
    numbers = 0;
    is_outside = 0;
    *state = &slots;
    return slots_make(&slots, SLOTS);
}

static int tear_down(void **state)
{
    slots_free(*state);
    return 0;
}

/* A token is computed and captured: its sequence. */
static uint64_t token(struct slots *s, int32_t slot, int32_t position, uint32_t *reused)
{
    uint32_t generation = slots_submit(s, slot, position);
    return slots_sequence(s, slot, generation, next, NULL, reused);
}

/* Tokens from .. to - 1, all of one sequence, nothing reused but with the first. */
static uint64_t tokens(struct slots *s, int32_t slot, int32_t from, int32_t to)
{
    uint32_t reused;
    uint64_t sequence = token(s, slot, from, &reused);
    for (int32_t p = from + 1; p < to; p++) {
        assert_int_equal(token(s, slot, p, &reused), sequence);
        assert_int_equal(reused, 0);
    }
    return sequence;
}

static void a_conversation_is_one_sequence(void **state)
{
    struct slots *s = *state;
    assert_int_equal(tokens(s, 0, 0, 10), 1);
    assert_int_equal(tokens(s, 0, 10, 12), 1);
    assert_int_equal(tokens(s, 1, 0, 5), 2);
    assert_int_equal(tokens(s, 0, 12, 13), 1);
    assert_int_equal(numbers, 2);
}

static void a_number_is_asked_for_once_also_outside_the_share(void **state)
{
    is_outside = 1;
    assert_int_equal(tokens(*state, 0, 3, 10), 0);
    assert_int_equal(numbers, 1);
}

static void a_sequence_outside_the_share_reuses_nothing(void **state)
{
    uint32_t reused;
    is_outside = 1;
    token(*state, 0, 7, &reused);
    assert_int_equal(reused, 0);
}

static void a_position_that_was_submitted_begins_anew(void **state)
{
    struct slots *s = *state;
    assert_int_equal(tokens(s, 0, 0, 10), 1);
    assert_int_equal(tokens(s, 0, 9, 12), 2); /* the last one again, as for its logits */
    assert_int_equal(tokens(s, 0, 4, 6), 3);
}

static void a_cleared_slot_begins_anew(void **state)
{
    struct slots *s = *state;
    tokens(s, 0, 0, 10);
    tokens(s, 1, 0, 10);
    slots_renew(s, 0);
    assert_int_equal(tokens(s, 0, 10, 12), 3); /* positions alone would not tell */
    assert_int_equal(tokens(s, 1, 10, 12), 2);
    slots_renew(s, -1);
    assert_int_equal(tokens(s, 0, 12, 13), 4);
    assert_int_equal(tokens(s, 1, 12, 13), 5);
}

static void a_tail_that_is_removed_begins_anew(void **state)
{
    struct slots *s = *state;
    tokens(s, 0, 0, 10);
    tokens(s, 1, 0, 10);
    slots_remove(s, 0, 6, -1); /* a speculation that was rejected */
    assert_int_equal(tokens(s, 0, 10, 12), 3);
    assert_int_equal(tokens(s, 1, 10, 12), 2);
    slots_remove(s, -1, 11, 12); /* of all */
    assert_int_equal(tokens(s, 0, 12, 13), 4);
    assert_int_equal(tokens(s, 1, 12, 13), 5);
}

static void a_middle_that_is_removed_begins_anew(void **state)
{
    struct slots *s = *state;
    tokens(s, 0, 0, 10);
    slots_remove(s, 0, 2, 5);
    assert_int_equal(tokens(s, 0, 10, 12), 2);
}

/* As servers do before each prompt: nothing is there, so nothing changes. */
static void nothing_that_is_removed_changes_nothing(void **state)
{
    struct slots *s = *state;
    tokens(s, 0, 0, 10);
    slots_remove(s, 0, 10, -1);
    slots_remove(s, 0, 4, 0); /* an empty range */
    slots_remove(s, 3, 0, -1);
    slots_remove(s, 99, 0, -1);
    assert_int_equal(tokens(s, 0, 10, 12), 1);
}

static void a_shift_begins_anew(void **state)
{
    struct slots *s = *state;
    tokens(s, 0, 0, 10);
    slots_shift(s, 0, 4, 10, 2); /* up: positions alone would not tell */
    assert_int_equal(tokens(s, 0, 12, 14), 2);
    slots_shift(s, 0, 14, -1, -3); /* nothing is there */
    slots_shift(s, 0, 0, -1, 0);   /* by nothing */
    assert_int_equal(tokens(s, 0, 14, 15), 2);
}

static void a_division_begins_anew(void **state)
{
    struct slots *s = *state;
    tokens(s, 0, 0, 10);
    slots_divide(s, 0, 0, -1, 1);
    assert_int_equal(tokens(s, 0, 10, 11), 1);
    slots_divide(s, 0, 0, -1, 2);
    assert_int_equal(tokens(s, 0, 11, 12), 2);
}

static void a_copy_begins_anew_where_it_goes(void **state)
{
    struct slots *s = *state;
    tokens(s, 0, 0, 10);
    tokens(s, 1, 0, 10);
    slots_copy(s, 0, 1);
    slots_copy(s, 0, 0);
    assert_int_equal(tokens(s, 1, 10, 12), 3);
    assert_int_equal(tokens(s, 0, 10, 12), 1);
}

static void all_but_one_are_cleared(void **state)
{
    struct slots *s = *state;
    tokens(s, 0, 0, 10);
    tokens(s, 1, 0, 10);
    slots_keep(s, 1);
    assert_int_equal(tokens(s, 0, 10, 12), 3);
    assert_int_equal(tokens(s, 1, 10, 12), 2);
}

static void what_is_found_in_the_cache_is_counted_once(void **state)
{
    struct slots *s = *state;
    uint32_t reused;
    tokens(s, 0, 0, 10);
    slots_copy(s, 0, 1);
    token(s, 1, 10, &reused);
    assert_int_equal(reused, 10);
    token(s, 1, 11, &reused);
    assert_int_equal(reused, 0);
    token(s, 2, 0, &reused);
    assert_int_equal(reused, 0);
}

/* Switched on in the middle: what came before was computed, not found. */
static void tokens_before_the_first_captured_one_are_not_reused(void **state)
{
    struct slots *s = *state;
    uint32_t reused;
    for (int32_t p = 0; p < 8; p++) slots_submit(s, 0, p);
    assert_int_equal(token(s, 0, 8, &reused), 1);
    assert_int_equal(reused, 0);
}

static void an_entry_of_a_generation_that_has_ended_has_no_number(void **state)
{
    struct slots *s = *state;
    uint32_t reused, generation = slots_submit(s, 0, 5);
    slots_submit(s, 0, 5);
    assert_int_equal(slots_sequence(s, 0, generation, next, NULL, &reused), 0);
    assert_int_equal(numbers, 0);
}

static void another_stream_has_numbers_of_its_own(void **state)
{
    struct slots *s = *state;
    tokens(s, 0, 0, 10);
    slots_forget_numbers(s);
    assert_int_equal(tokens(s, 0, 10, 12), 2);
}

static void slots_that_are_not_there_are_passed_over(void **state)
{
    struct slots *s = *state;
    uint32_t reused;
    slots_renew(s, SLOTS);
    slots_copy(s, 0, SLOTS);
    assert_int_equal(token(s, SLOTS, 0, &reused), 0);
    assert_int_equal(token(s, -1, 0, &reused), 0);
}

/* ---- what is cached under which setting ---- */

/* Tokens of a slot under one setting; how many were computed over what another one made. */
static uint32_t under(struct slots *s, uint64_t setting, int32_t slot, int32_t from, int32_t to)
{
    uint32_t stale = 0;
    for (int32_t p = from; p < to; p++) {
        slots_submit(s, slot, p);
        stale += (uint32_t)slots_set(s, slot, p, setting);
    }
    return stale;
}

static void tokens_over_another_setting_are_told(void **state)
{
    struct slots *s = *state;
    assert_int_equal(under(s, 0, 0, 0, 10), 0);
    assert_false(slots_is_noted(s, 0, SLOT_STEERED));
    assert_int_equal(under(s, 7, 0, 10, 13), 3);
    assert_true(slots_is_noted(s, 0, SLOT_STEERED));
    assert_int_equal(under(s, 0, 0, 13, 15), 2); /* off again: the prefix is mixed */
    assert_int_equal(under(s, 7, 1, 0, 10), 0);  /* from the beginning */
    assert_int_equal(under(s, 8, 1, 10, 11), 1);
    slots_clear(s, 0);
    assert_false(slots_is_noted(s, 0, SLOT_STEERED));
    assert_int_equal(under(s, 0, 0, 0, 5), 0);
}

static void a_tail_takes_its_setting_along(void **state)
{
    struct slots *s = *state;
    under(s, 0, 0, 0, 10);
    under(s, 7, 0, 10, 20);
    slots_remove(s, 0, 15, -1);
    assert_true(slots_is_noted(s, 0, SLOT_STEERED)); /* 10 to 14 are there */
    assert_int_equal(under(s, 0, 0, 15, 16), 1);
    slots_remove(s, 0, 10, -1);
    assert_false(slots_is_noted(s, 0, SLOT_STEERED));
    assert_int_equal(under(s, 0, 0, 10, 12), 0);
    under(s, 7, 0, 12, 14);
    slots_remove(s, 0, 3, 5); /* not to the end */
    assert_true(slots_is_noted(s, 0, SLOT_STEERED));
}

static void a_copy_and_a_shift_keep_what_was_steered(void **state)
{
    struct slots *s = *state;
    under(s, 7, 0, 0, 10);
    slots_copy(s, 0, 2);
    assert_true(slots_is_noted(s, 2, SLOT_STEERED));
    assert_int_equal(under(s, 0, 2, 10, 11), 1);
    slots_remove(s, 0, 2, 5);
    slots_shift(s, 0, 5, 10, -3);
    slots_remove(s, 0, 6, -1); /* what lies below may be any of it */
    assert_true(slots_is_noted(s, 0, SLOT_STEERED));
    slots_keep(s, 2);
    assert_false(slots_is_noted(s, 0, SLOT_STEERED));
    assert_true(slots_is_noted(s, 2, SLOT_STEERED));
}

/* Where something was steered, a state that is loaded may hold it. */
static void a_state_may_hold_what_was_steered(void **state)
{
    struct slots *s = *state;
    under(s, 0, 0, 0, 10);
    slots_load(s, 0);
    assert_false(slots_is_noted(s, 0, SLOT_STEERED));
    under(s, 7, 1, 0, 2);
    slots_load(s, 0);
    assert_true(slots_is_noted(s, 0, SLOT_STEERED));
    assert_false(slots_is_noted(s, 2, SLOT_STEERED));
    under(s, 0, 0, 0, 1);
    assert_false(slots_is_noted(s, 0, SLOT_STEERED)); /* from the beginning */
}

/* ---- what is kept out ---- */

/* What a server saved of such a request may be in any state that is loaded. */
static void a_state_may_hold_what_was_excluded(void **state)
{
    struct slots *s = *state;
    under(s, 0, 0, 0, 10);
    slots_load(s, 0);
    assert_false(slots_is_excluded(s, 0));
    slots_exclude(s, 1);
    slots_clear(s, 1);
    assert_false(slots_is_excluded(s, 1));
    slots_load(s, 0);
    assert_true(slots_is_excluded(s, 0));
    assert_false(slots_is_excluded(s, 2));
    under(s, 0, 0, 0, 1);
    assert_false(slots_is_excluded(s, 0)); /* from the beginning */
}

/* A text that was looked at for one word was not for the next. */
static void what_was_read_is_remembered(void **state)
{
    struct slots *s = *state;
    under(s, 0, 0, 0, 1);
    slots_read(s, 0, 0); /* there was no word yet */
    assert_true(slots_is_read(s, 0, 0));
    assert_false(slots_is_read(s, 0, 1));
    under(s, 0, 0, 1, 2);
    slots_read(s, 0, 1);
    assert_false(slots_is_read(s, 0, 1)); /* the first token was not */
    slots_remove(s, 0, 1, -1);
    assert_false(slots_is_read(s, 0, 1));
    under(s, 0, 0, 0, 1);
    slots_read(s, 0, 1);
    assert_true(slots_is_read(s, 0, 1));
    assert_false(slots_is_read(s, 0, 2));
    slots_remove(s, 0, 0, -1);
    slots_read(s, 0, 2);
    assert_true(slots_is_read(s, 0, 2)); /* from the beginning, wherever that lies */
    slots_renew(s, 0);
    assert_true(slots_is_read(s, 0, 2));
    slots_load(s, 0);
    assert_false(slots_is_read(s, 0, 2));
    assert_true(slots_is_read(s, 1, 2)); /* nothing is there */
}

static void a_copy_was_read_as_its_source_was(void **state)
{
    struct slots *s = *state;
    under(s, 0, 0, 0, 2);
    slots_read(s, 0, 1);
    under(s, 0, 1, 0, 2);
    slots_read(s, 1, 2);
    slots_copy(s, 1, 2);
    assert_true(slots_is_read(s, 2, 2));
    slots_copy(s, 0, 3);
    assert_false(slots_is_read(s, 3, 2));
    slots_copy(s, 1, 3); /* beside what is there */
    assert_false(slots_is_read(s, 3, 2));
    slots_keep(s, 2);
    assert_true(slots_is_read(s, 3, 2));
}

/* The word by which requests are kept out may have begun in what is left. */
static void a_text_that_was_cut_may_end_in_anything(void **state)
{
    struct slots *s = *state;
    under(s, 0, 0, 0, 10);
    assert_int_equal(s->slot[0].begun, MARKER_NOTHING);
    slots_remove(s, 0, 10, -1);
    assert_int_equal(s->slot[0].begun, MARKER_NOTHING); /* nothing was there */
    slots_renew(s, 0);                                  /* a pass that failed */
    assert_int_equal(s->slot[0].begun, MARKER_UNKNOWN);
    slots_remove(s, 0, 4, -1);
    assert_int_equal(s->slot[0].begun, MARKER_UNKNOWN);
    under(s, 0, 0, 0, 10);
    assert_int_equal(s->slot[0].begun, MARKER_NOTHING);
    slots_load(s, 0);
    assert_int_equal(s->slot[0].begun, MARKER_UNKNOWN);
    slots_clear(s, 0);
    assert_int_equal(s->slot[0].begun, MARKER_NOTHING);
    slots_copy(s, 0, 1);
    assert_int_equal(s->slot[1].begun, MARKER_UNKNOWN);
}

/* A speculation that was rejected: what is left of the text is known. */
static void a_short_tail_leaves_a_text_that_is_known(void **state)
{
    struct slots *s = *state;
    for (int32_t p = 0; p < 100; p++) {
        slots_submit(s, 0, p);
        slots_set(s, 0, p, 0);
        slots_set_begun(s, 0, p, (uint64_t)p);
    }
    slots_remove(s, 0, 90, -1);
    assert_int_equal(s->slot[0].begun, 89);
    slots_submit(s, 0, 90);
    slots_set_begun(s, 0, 90, 7);
    slots_submit(s, 0, 91);
    slots_set_begun(s, 0, 91, 8);
    slots_remove(s, 0, 91, 100); /* to the end as well */
    assert_int_equal(s->slot[0].begun, 7);
    slots_remove(s, 0, 50, -1); /* of another generation */
    slots_submit(s, 0, 50);
    slots_remove(s, 0, 50, -1);
    assert_int_equal(s->slot[0].begun, MARKER_UNKNOWN);
}

static void a_middle_or_a_long_tail_leaves_one_that_is_not(void **state)
{
    struct slots *s = *state;
    for (int32_t slot = 0; slot < 3; slot++)
        for (int32_t p = 0; p < 100; p++) {
            slots_submit(s, slot, p);
            slots_set_begun(s, slot, p, (uint64_t)p);
        }
    slots_remove(s, 0, 90, 95);
    assert_int_equal(s->slot[0].begun, MARKER_UNKNOWN);
    slots_remove(s, 1, 100 - SLOT_PAST, -1); /* its past was written over */
    assert_int_equal(s->slot[1].begun, MARKER_UNKNOWN);
    slots_shift(s, 2, 90, -1, 1);
    assert_int_equal(s->slot[2].begun, MARKER_UNKNOWN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_conversation_is_one_sequence),
        CASE(a_number_is_asked_for_once_also_outside_the_share),
        CASE(a_sequence_outside_the_share_reuses_nothing),
        CASE(a_position_that_was_submitted_begins_anew),
        CASE(a_cleared_slot_begins_anew),
        CASE(a_tail_that_is_removed_begins_anew),
        CASE(a_middle_that_is_removed_begins_anew),
        CASE(nothing_that_is_removed_changes_nothing),
        CASE(a_shift_begins_anew),
        CASE(a_division_begins_anew),
        CASE(a_copy_begins_anew_where_it_goes),
        CASE(all_but_one_are_cleared),
        CASE(what_is_found_in_the_cache_is_counted_once),
        CASE(tokens_before_the_first_captured_one_are_not_reused),
        CASE(an_entry_of_a_generation_that_has_ended_has_no_number),
        CASE(another_stream_has_numbers_of_its_own),
        CASE(slots_that_are_not_there_are_passed_over),
        CASE(tokens_over_another_setting_are_told),
        CASE(a_tail_takes_its_setting_along),
        CASE(a_copy_and_a_shift_keep_what_was_steered),
        CASE(a_state_may_hold_what_was_steered),
        CASE(a_state_may_hold_what_was_excluded),
        CASE(what_was_read_is_remembered),
        CASE(a_copy_was_read_as_its_source_was),
        CASE(a_text_that_was_cut_may_end_in_anything),
        CASE(a_short_tail_leaves_a_text_that_is_known),
        CASE(a_middle_or_a_long_tail_leaves_one_that_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
