/* What is kept of the program's opaque batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tap/batches.h"

static const int one, two; /* stand for the program's batches */

static void a_batch_is_kept_entry_by_entry(void **state)
{
    (void)state;
    batches_open(&one);
    batches_open(&two);
    batches_add(&one, 0, 3, 77, 0);
    batches_set_position(&one, 0, 12);
    batches_add(&one, 1, 4, 78, 0);
    batches_share(&one, 1, 130);
    batches_add(&two, 0, 1, -1, 1);
    const struct batch *b = batches_find(&one);
    assert_int_equal(b->count, 2);
    assert_int_equal(b->entry[0].slot, 3);
    assert_int_equal(b->entry[0].token, 77);
    assert_int_equal(b->entry[0].position, 12);
    assert_int_equal(b->entry[0].sequences, 1);
    assert_int_equal(b->entry[1].position, -1);
    assert_int_equal(b->entry[1].sequences, 2);
    assert_true(b->entry[1].others[2] == 4);
    assert_true(batches_find(&two)->entry[0].has_embedding);
    batches_set_embedding(&one, 0);
    assert_true(b->entry[0].has_embedding);
    batches_clear(&one);
    assert_int_equal(batches_find(&one)->count, 0);
    batches_close(&one);
    batches_close(&two);
    assert_null(batches_find(&one));
}

static void many_entries_find_room(void **state)
{
    (void)state;
    batches_open(&one);
    for (int32_t i = 0; i < 3000; i++) batches_add(&one, i, 0, i, 0);
    assert_int_equal(batches_find(&one)->count, 3000);
    assert_int_equal(batches_find(&one)->entry[2999].token, 2999);
    batches_close(&one);
}

static void what_could_not_be_added_is_not_there(void **state)
{
    (void)state;
    batches_open(&one);
    batches_add(&one, -1, 0, 5, 0);
    assert_int_equal(batches_find(&one)->count, 0);
    assert_false(batches_find(&one)->is_incomplete);
    batches_add(&one, 4, 0, 5, 0); /* entries were added that nobody told of */
    assert_true(batches_find(&one)->is_incomplete);
    batches_clear(&one);
    assert_false(batches_find(&one)->is_incomplete);
    batches_close(&one);
}

static void batches_that_are_not_known_are_passed_over(void **state)
{
    static const int many[70];
    (void)state;
    batches_add(&one, 0, 0, 5, 0);
    batches_set_position(&one, 0, 5);
    batches_close(&one);
    batches_open(NULL);
    assert_null(batches_find(NULL));
    for (int i = 0; i < 70; i++) batches_open(&many[i]);
    assert_non_null(batches_find(&many[63]));
    assert_null(batches_find(&many[64]));
    for (int i = 0; i < 70; i++) batches_close(&many[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_kept_entry_by_entry),
        cmocka_unit_test(many_entries_find_room),
        cmocka_unit_test(what_could_not_be_added_is_not_there),
        cmocka_unit_test(batches_that_are_not_known_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
