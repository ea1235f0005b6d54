/* The header Range. */
#include "runtime/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

static void ranges_are_what_was_asked(void **state)
{
    static const struct {
        const char *text;
        enum range is;
        uint64_t first, bytes;
    } all[] = {
        {NULL, RANGE_ALL, 0, 0},
        {"", RANGE_ALL, 0, 0},
        {"bytes=0-0", RANGE_PART, 0, 1},
        {"bytes=0-99", RANGE_PART, 0, 100},
        {"bytes=10-19", RANGE_PART, 10, 10},
        {"bytes=99-99", RANGE_PART, 99, 1},
        {"bytes=90-200", RANGE_PART, 90, 10},
        {"bytes=90-", RANGE_PART, 90, 10},
        {"bytes=-10", RANGE_PART, 90, 10},
        {"bytes=-1000", RANGE_PART, 0, 100},
        {"bytes=100-", RANGE_NONE, 0, 0},
        {"bytes=100-100", RANGE_NONE, 0, 0},
        {"bytes=-0", RANGE_NONE, 0, 0},
        {"bytes=20-10", RANGE_ALL, 0, 0},
        {"bytes=1-2,4-5", RANGE_ALL, 0, 0},
        {"bytes=1-2x", RANGE_ALL, 0, 0},
        {"bytes=x-2", RANGE_ALL, 0, 0},
        {"bytes=-", RANGE_ALL, 0, 0},
        {"bytes= 1-2", RANGE_ALL, 0, 0},
        {"bytes=1--2", RANGE_ALL, 0, 0},
        {"rows=1-2", RANGE_ALL, 0, 0},
        {"bytes=0-18446744073709551616", RANGE_ALL, 0, 0},
        {"bytes=99999999999999999999-", RANGE_ALL, 0, 0},
        {"bytes=0-999999999999999999", RANGE_PART, 0, 100},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint64_t first = 0, bytes = 0;
        enum range is = range_read(all[i].text, 100, &first, &bytes);
        if (is != all[i].is ||
            (is == RANGE_PART && (first != all[i].first || bytes != all[i].bytes)))
            fail_msg("'%s' is %d: %llu bytes from %llu", all[i].text ? all[i].text : "none",
                     (int)is, (unsigned long long)bytes, (unsigned long long)first);
    }
}

static void of_nothing_there_is_no_part(void **state)
{
    uint64_t first, bytes;
    (void)state;
    assert_int_equal(range_read("bytes=0-", 0, &first, &bytes), RANGE_NONE);
    assert_int_equal(range_read("bytes=-5", 0, &first, &bytes), RANGE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_what_was_asked),
        cmocka_unit_test(of_nothing_there_is_no_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
