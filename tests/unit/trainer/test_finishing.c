/* By how much the learning rate has fallen at a row of the decay that `sluice finish` asks for. */
#include "trainer/finishing.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct finish_answer decay = {.from_rows = 1000, .end_rows = 1200, .left = 1};

static void is(double factor, double expected)
{
    if (fabs(factor - expected) > 1e-12) fail_msg("%.17g, not %.17g", factor, expected);
}

static void it_is_a_line_from_one_to_nothing(void **state)
{
    (void)state;
    is(finishing_factor(&decay, 0, 0.2, 0.2), 1); /* an older checkpoint goes on */
    is(finishing_factor(&decay, 1000, 0.2, 0.2), 1);
    is(finishing_factor(&decay, 1050, 0.2, 0.2), 0.75);
    is(finishing_factor(&decay, 1199, 0.2, 0.2), 0.005); /* the last row still moves */
    is(finishing_factor(&decay, 1200, 0.2, 0.2), 0);
    is(finishing_factor(&decay, 5000, 0.2, 0.2), 0);
}

/* All of them end at the same row; what has a shorter decay begins later, what has none keeps its
 * rate. */
static void each_has_a_decay_of_its_own_length(void **state)
{
    (void)state;
    is(finishing_factor(&decay, 1099, 0.1, 0.2), 1);
    is(finishing_factor(&decay, 1100, 0.1, 0.2), 1);
    is(finishing_factor(&decay, 1150, 0.1, 0.2), 0.5);
    is(finishing_factor(&decay, 1150, 0.2, 0.2), 0.25);
    is(finishing_factor(&decay, 1150, 0, 0.2), 1);
    is(finishing_factor(&decay, 1150, 0, 0), 1);
}

/* The stream ends at row 1050 with 30 rows left: from the rate of that row to nothing in 30. */
static void a_shortened_one_goes_on_from_the_same_rate(void **state)
{
    (void)state;
    struct finish_answer s = {.from_rows = 1050, .end_rows = 1080, .left = 0.75};
    is(finishing_factor(&s, 1050, 0.2, 0.2), finishing_factor(&decay, 1050, 0.2, 0.2));
    is(finishing_factor(&s, 1070, 0.2, 0.2), 0.25);
    is(finishing_factor(&s, 1080, 0.2, 0.2), 0);
    is(finishing_factor(&s, 0, 0.2, 0.2), 1);
    struct finish_answer nothing = {.from_rows = 1050, .end_rows = 1050, .left = 0.75};
    is(finishing_factor(&nothing, 1050, 0.2, 0.2), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_line_from_one_to_nothing),
        cmocka_unit_test(each_has_a_decay_of_its_own_length),
        cmocka_unit_test(a_shortened_one_goes_on_from_the_same_rate),
    };
    return cmocka_run_group_tests_name("finishing", tests, NULL, NULL);
}
