/* A minute of not being ready is not being well. */
#include "runtime/readiness.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t second = 1000000000;

static int no_room(void)
{
    return err_set(ERR_NOSPC, "the disk is full");
}

static void a_minute_and_no_less(void **state)
{
    (void)state;
    struct readiness r = {0};
    assert_int_equal(readiness_note(&r, ERR_OK, second), READINESS_NO_NEWS);
    assert_int_equal(readiness_ready(&r, second), ERR_OK);
    for (uint64_t t = 10; t < 70; t++) {
        assert_int_equal(readiness_note(&r, no_room(), t * second), READINESS_NO_NEWS);
        assert_int_equal(readiness_ready(&r, t * second), ERR_STATE);
        assert_int_equal(readiness_health(&r, t * second), ERR_OK);
    }
    assert_int_equal(readiness_note(&r, no_room(), 70 * second), READINESS_UNWELL);
    assert_int_equal(readiness_note(&r, no_room(), 71 * second), READINESS_NO_NEWS); /* once */
    assert_int_equal(readiness_health(&r, 75 * second), ERR_STATE);
    assert_string_equal(err_text(), "for 65 s: the disk is full");
    assert_int_equal(readiness_note(&r, ERR_OK, 80 * second), READINESS_RECOVERED);
    assert_int_equal(readiness_health(&r, 80 * second), ERR_OK);
    assert_int_equal(readiness_ready(&r, 80 * second), ERR_OK);
}

/* Who is ready now and then is well. */
static void now_and_then_is_enough(void **state)
{
    (void)state;
    struct readiness r = {0};
    for (uint64_t t = 1; t < 500; t++)
        assert_int_equal(readiness_note(&r, t % 50 ? no_room() : ERR_OK, t * second),
                         READINESS_NO_NEWS);
    assert_int_equal(readiness_health(&r, 500 * second), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minute_and_no_less),
        cmocka_unit_test(now_and_then_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
