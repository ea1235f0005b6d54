/* The sentence of the last failure. */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_text_can_hold_the_last_one(void **state)
{
    (void)state;
    err_set(ERR_IO, "a disk is full");
    assert_int_equal(err_set(ERR_FORMAT, "the file of a long name: %s, %s", err_text(), "twice"),
                     ERR_FORMAT);
    assert_string_equal(err_text(), "the file of a long name: a disk is full, twice");
}

static void a_text_that_is_too_long_is_cut(void **state)
{
    (void)state;
    char all[3000];
    memset(all, 'x', sizeof all);
    all[sizeof all - 1] = '\0';
    err_set(ERR_IO, "%s", all);
    size_t kept = strlen(err_text());
    assert_true(kept > 500 && kept < sizeof all);
    err_set(ERR_IO, "y%s", err_text());
    assert_int_equal(strlen(err_text()), kept);
    assert_true(err_text()[0] == 'y' && err_text()[1] == 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_can_hold_the_last_one),
        cmocka_unit_test(a_text_that_is_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
