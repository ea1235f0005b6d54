/* Frames are cut at exactly rows_per_slab kept rows, and their totals add up at each of them. */
#include "capture/cutter.h"
#include "proto/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WIDTH = 8, SLAB = 5 };

static struct cutter *make(uint8_t codec)
{
    struct cutter *c;
    struct cutter_options o = {.stream = 7,
                               .producer = 2,
                               .rows_per_slab = SLAB,
                               .width = WIDTH,
                               .dtype = DTYPE_BF16,
                               .codec = codec};
    assert_int_equal(cutter_new(&o, &c), 0);
    return c;
}

static void add(struct cutter *c, uint32_t position)
{
    float x[WIDTH];
    struct row_id id = {1, position, position};
    struct cursor at = {.position = position}, after = {.position = position + 1};
    for (int i = 0; i < WIDTH; i++) x[i] = (float)(position * WIDTH + i);
    cutter_add(c, &id, x, &at, &after);
}

static void check_frame(uint8_t codec)
{
    struct cutter *c = make(codec);
    struct frame_header h;
    uint8_t *payload = malloc(cutter_payload_bytes(c)), raw[4096], scratch[65536];
    float x[WIDTH];
    cutter_leave_out(c, FILTER_FIRST);
    for (uint32_t i = 1; i < SLAB; i++) add(c, i);
    cutter_leave_out(c, FILTER_NOT_FINITE);
    cutter_leave_out(c, FILTER_NORM);
    assert_false(cutter_full(c));
    add(c, SLAB + 2);
    assert_true(cutter_full(c));
    assert_int_equal(cutter_seal(c, 99, &h, payload), 0);
    assert_int_equal(h.rows, SLAB);
    assert_int_equal(h.begin.position, 1);
    assert_int_equal(h.end.position, SLAB + 3);
    assert_int_equal(h.totals.captured_rows, SLAB + 1);
    assert_int_equal(h.totals.rejected_rows, 1);
    assert_int_equal(h.totals.filtered_rows, 2);
    assert_int_equal(h.captured_ns, 99);
    assert_int_equal(frame_check_payload(&h, payload, h.packed_bytes), 0);
    assert_int_equal(frame_unpack(&h, payload, raw, scratch), 0);
    rows_values(DTYPE_BF16, SLAB, WIDTH, raw, 1, x);
    assert_int_equal(rows_id(raw, 1).position, 2);
    assert_float_equal(x[3], 2 * WIDTH + 3, 0);
    assert_int_equal(cutter_rows(c), 0);
    free(payload);
    cutter_free(c);
}

/* Of a stream that keeps no tokens they are in no byte of a frame. */
static void tokens_may_stay_behind(void **state)
{
    (void)state;
    struct cutter *c;
    struct cutter_options o = {.rows_per_slab = SLAB,
                               .width = WIDTH,
                               .dtype = DTYPE_BF16,
                               .codec = CODEC_NONE,
                               .drops_tokens = 1};
    assert_int_equal(cutter_new(&o, &c), 0);
    for (uint32_t i = 0; i < SLAB; i++) add(c, i + 77);
    struct frame_header h;
    uint8_t *payload = malloc(cutter_payload_bytes(c));
    assert_int_equal(cutter_seal(c, 99, &h, payload), 0);
    for (uint32_t i = 0; i < SLAB; i++) {
        assert_int_equal(rows_id(payload, i).token, ROW_NO_TOKEN);
        assert_int_equal(rows_id(payload, i).position, i + 77);
        assert_int_equal(rows_id(payload, i).sequence, 1);
    }
    free(payload);
    cutter_free(c);
}

static void plain_and_packed(void **state)
{
    (void)state;
    check_frame(CODEC_NONE);
    check_frame(CODEC_LZ4);
}

static void dropped_rows_stay_counted(void **state)
{
    (void)state;
    struct cutter *c = make(CODEC_NONE);
    add(c, 1);
    add(c, 2);
    assert_int_equal(cutter_drop(c), 2);
    assert_int_equal(cutter_rows(c), 0);
    assert_int_equal(cutter_totals(c).captured_rows, 2);
    cutter_free(c);
}

static void restart_counts_on(void **state)
{
    (void)state;
    struct cutter *c = make(CODEC_NONE);
    struct frame_totals totals = {.captured_rows = 50, .filtered_rows = 3};
    add(c, 1);
    cutter_restart(c, &totals);
    assert_int_equal(cutter_rows(c), 0);
    add(c, 9);
    assert_int_equal(cutter_totals(c).captured_rows, 51);
    assert_int_equal(cutter_totals(c).filtered_rows, 3);
    cutter_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_packed),
        cmocka_unit_test(tokens_may_stay_behind),
        cmocka_unit_test(dropped_rows_stay_counted),
        cmocka_unit_test(restart_counts_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
