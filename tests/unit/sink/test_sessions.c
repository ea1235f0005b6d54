/* Epochs, fences, order: who is taken seriously, and which number is next. */
#include "base/err.h"
#include "sink/sessions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t second = 1000000000;
static struct sessions s;

static void set_up(void)
{
    struct store_producer r = {.next_number = 10, .epoch = 4};
    sessions_init(&s, 2, 99);
    sessions_record(&s, 0, &r);
}

static void epochs(void **state)
{
    (void)state;
    uint32_t epoch, replaced;
    set_up();
    assert_int_equal(sessions_epoch(&s, 0, 0, 7, &epoch), 0);
    assert_int_equal(epoch, 5); /* a new life */
    assert_int_equal(sessions_epoch(&s, 0, 4, 7, &epoch), 0);
    assert_int_equal(epoch, 4); /* the same life */
    assert_int_equal(sessions_epoch(&s, 0, 3, 7, &epoch), ERR_FENCED);
    assert_int_equal(sessions_epoch(&s, 0, 5, 7, &epoch), ERR_STATE); /* never given */
    assert_int_equal(sessions_epoch(&s, 0, UINT32_MAX, 7, &epoch), ERR_STATE);
    s.session[0].record.epoch = 5;
    sessions_begin(&s, 0, 7, second, &replaced);
    assert_int_equal(sessions_epoch(&s, 0, 0, 7, &epoch), 0);
    assert_int_equal(epoch, 5); /* asked twice on one connection: one life */
    assert_int_equal(sessions_epoch(&s, 0, 0, 8, &epoch), 0);
    assert_int_equal(epoch, 6);
}

/* 4294967295 is the last: no newer life, and none of epoch 0. */
static void epochs_never_wrap(void **state)
{
    (void)state;
    uint32_t epoch, replaced;
    set_up();
    s.session[0].record.epoch = UINT32_MAX - 1;
    assert_int_equal(sessions_epoch(&s, 0, 0, 7, &epoch), 0);
    assert_int_equal(epoch, UINT32_MAX);
    s.session[0].record.epoch = epoch;
    sessions_begin(&s, 0, 7, second, &replaced);
    assert_int_equal(sessions_epoch(&s, 0, 0, 7, &epoch), 0); /* asked twice */
    assert_int_equal(epoch, UINT32_MAX);
    assert_int_equal(sessions_epoch(&s, 0, UINT32_MAX, 8, &epoch), 0); /* the same life */
    assert_int_equal(epoch, UINT32_MAX);
    assert_int_equal(sessions_epoch(&s, 0, 0, 8, &epoch), ERR_LIMIT);
    assert_non_null(strstr(err_text(), "HINT: begin the stream anew"));
}

static void a_session_replaces_the_one_before(void **state)
{
    (void)state;
    uint32_t replaced;
    set_up();
    sessions_begin(&s, 0, 7, second, &replaced);
    assert_int_equal(replaced, 0);
    uint64_t first = s.session[0].session;
    assert_int_equal(sessions_find(&s, 7, first), 0);
    assert_int_equal(sessions_find(&s, 8, first), -1); /* on its own link only */
    assert_int_equal(sessions_find(&s, 7, first + 1), -1);
    sessions_begin(&s, 0, 8, second, &replaced);
    assert_int_equal(replaced, 7);
    assert_int_not_equal(s.session[0].session, first);
    assert_int_equal(sessions_find(&s, 7, first), -1);
    assert_int_equal(sessions_on_link(&s, 8), 0);
    assert_int_equal(sessions_live(&s), 1);
    s.session[0].credit = 40;
    s.session[0].expected = 12;
    sessions_end(&s, 0);
    assert_int_equal(s.session[0].credit, 0);
    assert_int_equal(s.session[0].expected, 10); /* what was not committed comes again */
    assert_int_equal(sessions_live(&s), 0);
}

static void order(void **state)
{
    (void)state;
    uint32_t replaced;
    set_up();
    sessions_begin(&s, 0, 7, second, &replaced);
    s.session[0].credit = 12;
    assert_int_equal(sessions_judge(&s.session[0], 9), SESSIONS_DUPLICATE);
    assert_int_equal(sessions_judge(&s.session[0], 10), SESSIONS_TAKE);
    assert_int_equal(sessions_judge(&s.session[0], 11), SESSIONS_GAP);
    assert_int_equal(sessions_judge(&s.session[0], 13), SESSIONS_BEYOND_CREDIT);
    assert_true(sessions_resync_due(&s.session[0], 2 * second));
    assert_false(sessions_resync_due(&s.session[0], 2 * second + second / 2));
    assert_true(sessions_resync_due(&s.session[0], 3 * second + 1));
}

static void silence(void **state)
{
    (void)state;
    uint32_t replaced;
    set_up();
    sessions_begin(&s, 1, 7, 100 * second, &replaced);
    assert_int_equal(sessions_silent(&s, 115 * second), -1);
    assert_int_equal(sessions_silent(&s, 116 * second), 1);
}

static void end(void **state)
{
    (void)state;
    set_up();
    s.session[0].record.ended = 1;
    assert_false(sessions_all_ended(&s));
    s.session[1].record.ended = 1;
    assert_true(sessions_all_ended(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs),
        cmocka_unit_test(epochs_never_wrap),
        cmocka_unit_test(a_session_replaces_the_one_before),
        cmocka_unit_test(order),
        cmocka_unit_test(silence),
        cmocka_unit_test(end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
