/* The window of frames that are not acked: dense numbers, a fixed number of buffers. */
#include "capture/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct window_frame *push(struct window *w, uint32_t rows)
{
    struct window_frame *f = window_take(w);
    if (!f) return NULL;
    f->header = (struct frame_header){.rows = rows, .packed_bytes = 10};
    window_push(w, f);
    return f;
}

static void numbers_are_dense(void **state)
{
    (void)state;
    struct window *w;
    assert_int_equal(window_open(3, 100, &w), 0);
    assert_int_equal(push(w, 5)->header.number, 1);
    assert_int_equal(push(w, 6)->header.number, 2);
    assert_int_equal(push(w, 7)->header.number, 3);
    assert_null(push(w, 8));
    assert_int_equal(window_rows(w), 18);
    assert_int_equal(window_bytes(w), 3 * (FRAME_HEADER_BYTES + 10));
    assert_int_equal(window_find(w, 2)->header.rows, 6);
    assert_null(window_find(w, 4));
    assert_int_equal(window_drop_below(w, 3), 11);
    assert_null(window_find(w, 2));
    assert_int_equal(push(w, 9)->header.number, 4);
    assert_int_equal(push(w, 10)->header.number, 5);
    assert_int_equal(window_first(w), 3);
    assert_int_equal(window_drop_below(w, 100), 26);
    assert_int_equal(window_next(w), 6);
    window_close(w);
}

static void restart_numbers_on(void **state)
{
    (void)state;
    struct window *w;
    assert_int_equal(window_open(3, 100, &w), 0);
    push(w, 5);
    push(w, 5);
    assert_int_equal(window_restart(w, 40), 10);
    assert_int_equal(window_rows(w), 0);
    assert_int_equal(window_bytes(w), 0);
    assert_int_equal(push(w, 1)->header.number, 40);
    assert_non_null(window_find(w, 40));
    window_close(w);
}

/* A buffer that is still being sent from is not given out, acked or not. */
static void held_buffers_stay(void **state)
{
    (void)state;
    struct window *w;
    assert_int_equal(window_open(2, 100, &w), 0);
    struct window_frame *held = push(w, 1);
    held->holds = 1;
    window_drop_below(w, 2);
    struct window_frame *other = window_take(w);
    assert_non_null(other);
    assert_ptr_not_equal(other, held);
    assert_null(window_take(w));
    held->holds = 0;
    assert_ptr_equal(window_take(w), held);
    window_return(w, other);
    assert_ptr_equal(window_take(w), other);
    window_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_dense),
        cmocka_unit_test(restart_numbers_on),
        cmocka_unit_test(held_buffers_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
