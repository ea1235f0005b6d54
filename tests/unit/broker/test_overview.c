/* The few numbers that say how a pipeline is, and the sentence that says what to do. */
#include "broker/advice.h"
#include "broker/trend.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct overview part(enum process_kind kind, const char *report, const char *rates)
{
    json_t *r = json_loads(report, 0, NULL), *q = rates ? json_loads(rates, 0, NULL) : NULL;
    assert_non_null(r);
    struct overview o = overview_read(kind, r, q);
    json_decref(r);
    json_decref(q);
    return o;
}

static void is(const struct overview *o, enum overview_id id, double value)
{
    if (isnan(value) ? !isnan(o->value[id]) : !(fabs(o->value[id] - value) < 1e-6))
        fail_msg("%s is %g, not %g", overview_names[id], o->value[id], value);
}

#define BUFFER "{\"sluice_buffer_slabs\": 30, \"sluice_buffer_capacity_slabs\": 40}"

static void parts_become_one(void **state)
{
    (void)state;
    struct overview all = overview_none();
    struct overview one =
        part(PROCESS_CAPTURE,
             "{\"sluice_capture_in_flight_rows\": 50, \"sluice_shed_rows_total\": 3,"
             "\"sluice_capture_stream_rows\": {\"kept\": 9, \"rejected\": 2}}",
             "{\"sluice_capture_rows_total\": 10,"
             "\"sluice_capture_blocked_seconds_total\": 0.25}");
    struct overview two = part(PROCESS_CAPTURE, "{\"sluice_capture_rejected_rows_total\": 5}",
                               "{\"sluice_capture_rows_total\": 30,"
                               "\"sluice_capture_blocked_seconds_total\": 1.5}");
    struct overview sink = part(PROCESS_SINK, BUFFER, "{\"sluice_sink_rows_total\": 25}");
    struct overview slow = part(PROCESS_TRAINER,
                                "{\"sluice_trainer_rows_total\": 100,"
                                "\"sluice_trainer_planned_rows\": 0}",
                                "{\"sluice_trainer_rows_total\": 1,"
                                "\"sluice_trainer_wait_seconds_total\": 0.5}");
    struct overview fast = part(PROCESS_TRAINER, "{\"sluice_trainer_rows_total\": 300}",
                                "{\"sluice_trainer_rows_total\": 3,"
                                "\"sluice_trainer_wait_seconds_total\": 0.75}");
    overview_add(&all, &one, 1);
    overview_add(&all, &two, 1);
    overview_add(&all, &sink, 1);
    overview_add(&all, &slow, 1);
    overview_add(&all, &fast, 1);
    overview_finish(&all, 0.5);
    is(&all, OVERVIEW_CAPTURED_RATE, 40);
    is(&all, OVERVIEW_CREDIT_WAIT, 1); /* the most, and never more than all of the time */
    is(&all, OVERVIEW_REJECTED_ROWS, 7);
    is(&all, OVERVIEW_SHED_ROWS, 3);
    is(&all, OVERVIEW_TRAINED_RATE, 4);
    is(&all, OVERVIEW_TRAINED_ROWS, 100); /* of the one that is furthest behind */
    is(&all, OVERVIEW_DRAW_WAIT, 0.5);
    is(&all, OVERVIEW_PLANNED_DRAWS, NAN); /* 0 is not known */
    is(&all, OVERVIEW_FILL, 0.75);
    is(&all, OVERVIEW_FULL_IN, 20);
    is(&all, OVERVIEW_LAG_SECONDS, 2);
    is(&all, OVERVIEW_AGE, NAN);
}

/* All that the alert SluiceRowsLost counts. Each capture loses rows of its own, and trainers the same
 * ones. */
static void what_is_lost_anywhere(void **state)
{
    (void)state;
    struct overview all = overview_none();
    struct overview one = part(PROCESS_CAPTURE, "{\"sluice_capture_expired_rows_total\": 5}", NULL);
    struct overview two = part(PROCESS_CAPTURE,
                               "{\"sluice_capture_expired_rows_total\": 1,"
                               "\"sluice_ring_rows_total\": {\"written\": 1000, \"abandoned\": 7}}",
                               NULL);
    struct overview some =
        part(PROCESS_TRAINER, "{\"sluice_trainer_skipped_rows_total\": 100}", NULL);
    struct overview more =
        part(PROCESS_TRAINER, "{\"sluice_trainer_skipped_rows_total\": 300}", NULL);
    overview_finish(&all, NAN);
    is(&all, OVERVIEW_LOST_ROWS, NAN);
    overview_add(&all, &some, 1);
    overview_add(&all, &more, 0);
    overview_finish(&all, NAN);
    is(&all, OVERVIEW_LOST_ROWS, 300);
    overview_add(&all, &one, 0);
    overview_add(&all, &two, 1);
    overview_finish(&all, NAN);
    is(&all, OVERVIEW_LOST_ROWS, 313);
}

/* Of a capture that is started again: what its lives before shed and lost stands. */
static void all_lives_count(void **state)
{
    (void)state;
    struct overview all = overview_none();
    struct overview one =
        part(PROCESS_CAPTURE,
             "{\"sluice_shed_rows_total\": 0, \"sluice_capture_stream_shed_rows\": 30,"
             "\"sluice_capture_expired_rows_total\": 1, \"sluice_capture_stream_expired_rows\": 9}",
             NULL);
    overview_add(&all, &one, 1);
    overview_finish(&all, NAN);
    is(&all, OVERVIEW_SHED_ROWS, 30);
    is(&all, OVERVIEW_LOST_ROWS, 9);
}

/* What a process that is silent does now is not known; what it has counted is. */
static void the_silent_still_count(void **state)
{
    (void)state;
    struct overview all = overview_none();
    struct overview one = part(
        PROCESS_CAPTURE, "{\"sluice_capture_in_flight_rows\": 50, \"sluice_shed_rows_total\": 3}",
        "{\"sluice_capture_rows_total\": 10}");
    overview_add(&all, &one, 0);
    is(&all, OVERVIEW_CAPTURED_RATE, NAN);
    is(&all, OVERVIEW_LAG_ROWS, NAN);
    is(&all, OVERVIEW_SHED_ROWS, 3);
}

static void a_buffer_that_does_not_fill(void **state)
{
    (void)state;
    struct overview all = overview_none();
    overview_finish(&all, 1);
    is(&all, OVERVIEW_FULL_IN, NAN);
    is(&all, OVERVIEW_LAG_SECONDS, NAN);
    struct overview sink = part(PROCESS_SINK, BUFFER, NULL);
    overview_add(&all, &sink, 1);
    overview_finish(&all, 0);
    is(&all, OVERVIEW_FULL_IN, NAN);
    overview_finish(&all, NAN);
    is(&all, OVERVIEW_FULL_IN, NAN);
    all.value[OVERVIEW_BUFFER_SLABS] = 40;
    overview_finish(&all, 0);
    is(&all, OVERVIEW_FULL_IN, 0);
}

/* While nothing is stored, the lag is how long nothing was. */
static void the_lag_of_what_stands_still(void **state)
{
    (void)state;
    struct overview all = overview_none();
    all.value[OVERVIEW_LAG_ROWS] = 5;
    all.value[OVERVIEW_STORED_RATE] = 0;
    all.value[OVERVIEW_SINK_LAG] = 77;
    overview_finish(&all, NAN);
    is(&all, OVERVIEW_LAG_SECONDS, 77);
    all.value[OVERVIEW_LAG_ROWS] = 0;
    overview_finish(&all, NAN);
    is(&all, OVERVIEW_LAG_SECONDS, 0);
}

static void rates_are_smoothed(void **state)
{
    (void)state;
    struct overview_past past = {.count = 0};
    for (int i = 0; i < 2 * OVERVIEW_SMOOTHED; i++) {
        struct overview o = overview_none();
        o.value[OVERVIEW_STORED_RATE] = i < OVERVIEW_SMOOTHED ? 1000 : i % 2 ? 10 : NAN;
        o.value[OVERVIEW_BUFFER_SLABS] = i;
        overview_smooth(&o, &past);
        is(&o, OVERVIEW_BUFFER_SLABS, i);
        if (i < OVERVIEW_SMOOTHED) is(&o, OVERVIEW_STORED_RATE, 1000);
        if (i == 2 * OVERVIEW_SMOOTHED - 1) is(&o, OVERVIEW_STORED_RATE, 10);
    }
}

static void is_written_as_json(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    struct overview o = overview_none();
    o.value[OVERVIEW_FILL] = 0.5;
    o.value[OVERVIEW_AGE] = INFINITY;
    FILE *out = open_memstream(&text, &bytes);
    overview_write(&o, out);
    fclose(out);
    json_t *json = json_loads(text, 0, NULL);
    assert_int_equal(json_object_size(json), OVERVIEW_IDS);
    assert_float_equal(json_number_value(json_object_get(json, "buffer_fill_ratio")), 0.5, 0);
    assert_true(json_is_null(json_object_get(json, "buffer_age_seconds")));
    assert_true(json_is_null(json_object_get(json, "lag_rows")));
    json_decref(json);
    free(text);
}

static void a_trend_is_over_a_minute(void **state)
{
    (void)state;
    struct trend t = {.count = 0};
    const uint64_t second = 1000000000;
    assert_true(isnan(trend_per_second(&t)));
    for (uint64_t i = 0; i < 200; i++)
        trend_note(&t, (i + 1) * second, i < 100 ? 5.0 * (double)i : 500 + 2.0 * (double)i);
    assert_true(fabs(trend_per_second(&t) - 2) < 1e-9);
    trend_note(&t, 201 * second, NAN);
    assert_true(isnan(trend_per_second(&t)));
    for (uint64_t i = 0; i < TREND_LEAST; i++) {
        assert_true(isnan(trend_per_second(&t)));
        trend_note(&t, (300 + i) * second, 7);
    }
    assert_true(trend_per_second(&t) == 0);
}

static const struct advice_setup usual = {.engine = CONFIG_LLAMA,
                                          .processors = 8,
                                          .capture_threads = 8,
                                          .trainer_threads = 2,
                                          .reuse = 4,
                                          .saes = 3};
static char said[ADVICE_BYTES];

static const char *advice(const struct advice_setup *setup, const struct overview *o,
                          const char *bottleneck)
{
    memset(said, 'x', sizeof said);
    advice_write(setup, o, bottleneck, said, sizeof said);
    assert_null(strpbrk(said, "\"\\\n")); /* it goes into JSON as it is */
    return said;
}
#define SAYS(words)                                                                                \
    if (!strstr(said, words)) fail_msg("'%s' is not in: %s", words, said)
#define SAYS_NOT(words)                                                                            \
    if (strstr(said, words)) fail_msg("'%s' is in: %s", words, said)

static void says_what_to_do(void **state)
{
    (void)state;
    struct overview o = overview_none();
    struct advice_setup setup = usual;
    o.value[OVERVIEW_CREDIT_WAIT] = 0.64;
    advice(&setup, &o, "trainer-bound");
    SAYS("64 %");
    SAYS("trainer.threads (now 2, of 8");
    SAYS("trainer.reuse");
    SAYS("trainer.saes");
    setup.trainer_threads = 8; /* what cannot help is not named */
    setup.reuse = setup.saes = 1;
    advice(&setup, &o, "trainer-bound");
    SAYS_NOT("threads");
    SAYS_NOT("reuse");
    SAYS_NOT("trainer.saes");
    advice(&setup, &o, "buffer-bound");
    SAYS("stream.run_dir");
    SAYS_NOT("durability");
    o.value[OVERVIEW_CAPTURED_RATE] = 100;
    o.value[OVERVIEW_DRAW_WAIT] = 0.5;
    advice(&setup, &o, "producer-bound");
    SAYS("50 %");
    SAYS_NOT("capture.threads");
    setup.capture_threads = 1;
    advice(&setup, &o, "producer-bound");
    SAYS("capture.threads (now 1, of 8");
    o.value[OVERVIEW_DRAW_WAIT] = 0;
    advice(&setup, &o, "producer-bound");
    SAYS("keep pace");
    setup.engine = CONFIG_RING;
    advice(&setup, &o, "producer-bound");
    SAYS("tapped programs");
}

static void says_what_is_waited_for(void **state)
{
    (void)state;
    struct overview o = overview_none();
    assert_string_equal(advice(&usual, &o, NULL), "");
    assert_string_equal(advice(&usual, &o, "producer-bound"), ""); /* nothing flows yet */
    o.value[OVERVIEW_CAPTURED_RATE] = 100;
    o.value[OVERVIEW_DRAW_WAIT] = 1;
    o.value[OVERVIEW_FILL] = 0.25;
    advice(&usual, &o, "producer-bound");
    SAYS("25 % full");
    SAYS("trainer.min_rows");
    o.value[OVERVIEW_FILL] = 0.6;
    advice(&usual, &o, "producer-bound");
    SAYS_NOT("trainer.min_rows");
    o.value[OVERVIEW_DISK_WAIT] = 12;
    advice(&usual, &o, "producer-bound");
    SAYS("disk is full");
}

static void says_what_is_shed(void **state)
{
    (void)state;
    struct overview o = overview_none();
    struct advice_setup setup = usual;
    setup.policy = CONFIG_SHED;
    o.value[OVERVIEW_SHED_RATE] = 120;
    o.value[OVERVIEW_CREDIT_WAIT] = 0;
    advice(&setup, &o, "trainer-bound");
    SAYS("120 rows per second are shed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_become_one),
        cmocka_unit_test(what_is_lost_anywhere),
        cmocka_unit_test(all_lives_count),
        cmocka_unit_test(the_silent_still_count),
        cmocka_unit_test(a_buffer_that_does_not_fill),
        cmocka_unit_test(the_lag_of_what_stands_still),
        cmocka_unit_test(rates_are_smoothed),
        cmocka_unit_test(is_written_as_json),
        cmocka_unit_test(a_trend_is_over_a_minute),
        cmocka_unit_test(says_what_to_do),
        cmocka_unit_test(says_what_is_waited_for),
        cmocka_unit_test(says_what_is_shed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
