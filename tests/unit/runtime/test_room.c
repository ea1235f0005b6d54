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

#include "tests/unit/runtime/metric_value.h"

#define TEST_METRICS(M)                                                                            \
    M(BEFORE, GAUGE, "sluice_before", "none", "Another.")                                          \
    ROOM_METRICS(M, SINK)
enum gauge { TEST_METRICS(METRIC_ID) GAUGES };
static const struct metric table[GAUGES] = {TEST_METRICS(METRIC_ROW)};

static void told_while_it_lasts(void **state)
{
    (void)state;
    struct room room;
    struct metrics *m;
    assert_int_equal(metrics_new(table, GAUGES, &m), ERR_OK);
    room_init(&room);
    uint64_t now_ns = process_now_ns();
    assert_int_equal(room_health(&room), ERR_OK);
    room_show(&room, m, GAUGE_DISK_WAITING, now_ns);
    assert_true(metric_value(m, REPORT(SINK_DISK_WAITING_SECONDS), NULL) == 0);
    room_short(&room, "/", 4096, "cannot write x: No space left on device");
    room_short(&room, "/", 8192, "cannot write y: No space left on device");
    assert_int_equal(room_health(&room), ERR_NOSPC);
    assert_string_equal(err_text(), "cannot write y: No space left on device");
    room_show(&room, m, GAUGE_DISK_WAITING, now_ns); /* no time has passed, or less */
    assert_true(metric_value(m, REPORT(SINK_DISK_WAITING_SECONDS), NULL) > 0);
    room_show(&room, m, GAUGE_DISK_WAITING,
              room.since_ns + 3000000000u); /* since the first of them */
    assert_true(metric_value(m, REPORT(SINK_DISK_WAITING_SECONDS), NULL) == 3);
    assert_true(metric_value(m, REPORT(SINK_DISK_NEEDED_BYTES), NULL) == 8192);
    assert_true(metric_value(m, REPORT(SINK_DISK_FREE_BYTES), NULL) > 0);
    room_found(&room);
    assert_int_equal(room_health(&room), ERR_OK);
    room_show(&room, m, GAUGE_DISK_WAITING, process_now_ns());
    assert_true(metric_value(m, REPORT(SINK_DISK_WAITING_SECONDS), NULL) == 0);
    assert_true(metric_value(m, REPORT(SINK_DISK_FREE_BYTES), NULL) == 0);
    assert_true(metric_value(m, REPORT(SINK_DISK_NEEDED_BYTES), NULL) == 0);
    assert_true(metric_value(m, "sluice_before", NULL) == 0);
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
