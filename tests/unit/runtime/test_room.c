/* A process that waits for room on a disk says so, and no longer once there is room. */
#include "runtime/room.h"

#include "base/err.h"
#include "runtime/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct metric table[] = {
    {.name = "sluice_before", .kind = METRIC_GAUGE, .help = "Another."},
    ROOM_METRICS("sluice_test_"),
};

static void told_while_it_lasts(void **state)
{
    (void)state;
    struct room room;
    struct metrics *m;
    enum { FIRST = 1 };
    assert_int_equal(metrics_new(table, sizeof table / sizeof *table, &m), ERR_OK);
    room_init(&room);
    uint64_t now_ns = process_now_ns();
    assert_int_equal(room_health(&room), ERR_OK);
    room_show(&room, m, FIRST, now_ns);
    assert_true(metrics_get(m, FIRST + ROOM_WAITING) == 0);
    room_short(&room, "/", 4096, "cannot write x: No space left on device");
    room_short(&room, "/", 8192, "cannot write y: No space left on device");
    assert_int_equal(room_health(&room), ERR_NOSPC);
    assert_string_equal(err_text(), "cannot write y: No space left on device");
    room_show(&room, m, FIRST, now_ns); /* no time has passed, or less */
    assert_true(metrics_get(m, FIRST + ROOM_WAITING) > 0);
    room_show(&room, m, FIRST, room.since_ns + 3000000000u); /* since the first of them */
    assert_true(metrics_get(m, FIRST + ROOM_WAITING) == 3);
    assert_true(metrics_get(m, FIRST + ROOM_NEEDED) == 8192);
    assert_true(metrics_get(m, FIRST + ROOM_FREE) > 0);
    room_found(&room);
    assert_int_equal(room_health(&room), ERR_OK);
    room_show(&room, m, FIRST, process_now_ns());
    for (size_t i = 0; i < ROOM_GAUGES; i++) assert_true(metrics_get(m, FIRST + i) == 0);
    room_fini(&room);
    metrics_free(m);
}

/* A path of any length does not cut off what is wrong. */
static void the_end_of_a_long_reason_is_kept(void **state)
{
    (void)state;
    static const char end[] = "/x: No space left on device; HINT: free space on that disk";
    struct room room;
    char why[4096] = "cannot write /";
    room_init(&room);
    for (size_t length = strlen(why); length + sizeof end < sizeof why; length++) {
        memset(why + 14, 'd', length - 14);
        strcpy(why + length, end);
        room_short(&room, "/", 0, why);
        assert_int_equal(room_health(&room), ERR_NOSPC);
        const char *text = err_text();
        assert_int_equal(strncmp(text, "cannot write /", 14), 0);
        if (strcmp(text + strlen(text) - sizeof end + 1, end) != 0) fail_msg("%s", text);
    }
    room_fini(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_while_it_lasts),
        cmocka_unit_test(the_end_of_a_long_reason_is_kept),
    };
    return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
