/* What a tap can be told. */
#include "cli/tap_told.h"

#include "base/err.h"
#include "proto/tap_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A request would have a space in its place. */
static void a_control_character_is_refused(void **state)
{
    static struct tap_told told;
    (void)state;
    assert_int_equal(tap_told_put(&told, TAP_FOLDER, "/dev/shm/a b"), ERR_OK);
    assert_int_equal(tap_told_put(&told, TAP_FOLDER, "/dev/shm/a\tb"), ERR_USAGE);
    assert_string_equal(tap_told_get(&told, TAP_FOLDER), "/dev/shm/a b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_control_character_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
