/* Reports kept and shown; rates from counters; the bottleneck named. */
#include "base/err.h"
#include "broker/status.h"
#include "proto/message.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t second = 1000000000;
static const struct status_options plain = {.stream = "stream-1"};

static void report(struct status *s, const char *name, const char *text, uint64_t now)
{
    assert_int_equal(status_report(s, NULL, name, text, strlen(text), now), 0);
}

static json_t *shown(const struct status *s, uint64_t now)
{
    char *text;
    size_t bytes;
    assert_int_equal(status_json(s, now, &text, &bytes), 0);
    json_t *root = json_loadb(text, bytes, 0, NULL);
    assert_non_null(root);
    free(text);
    return root;
}

static void shows_reports_and_rates(void **state)
{
    (void)state;
    struct status *s;
    assert_int_equal(status_new(&plain, &s), 0);
    report(s, "capture-0", "{\"sluice_x_total\": 100, \"sluice_y\": 5}", 10 * second);
    report(s, "capture-0", "{\"sluice_x_total\": 300, \"sluice_y\": 6}", 12 * second);
    json_t *root = shown(s, 15 * second);
    assert_string_equal(json_string_value(json_object_get(root, "stream")), "stream-1");
    json_t *one = json_array_get(json_object_get(root, "processes"), 0);
    assert_string_equal(json_string_value(json_object_get(one, "name")), "capture-0");
    assert_string_equal(json_string_value(json_object_get(one, "kind")), "capture");
    assert_float_equal(json_number_value(json_object_get(one, "age_seconds")), 3, 1e-6);
    json_t *rates = json_object_get(one, "rates");
    assert_float_equal(json_number_value(json_object_get(rates, "sluice_x_total")), 100, 1e-6);
    assert_null(json_object_get(rates, "sluice_y"));
    json_decref(root);
    /* A process that began again has not run backwards. */
    report(s, "capture-0", "{\"sluice_x_total\": 1}", 13 * second);
    root = shown(s, 13 * second);
    one = json_array_get(json_object_get(root, "processes"), 0);
    assert_float_equal(
        json_number_value(json_object_get(json_object_get(one, "rates"), "sluice_x_total")), 0, 0);
    json_decref(root);
    status_free(s);
}

static double rate_shown(const struct status *s, uint64_t now)
{
    json_t *root = shown(s, now), *one = json_array_get(json_object_get(root, "processes"), 0);
    json_t *rate = json_object_get(json_object_get(one, "rates"), "sluice_sink_rows_total");
    double value = json_is_number(rate) ? json_number_value(rate) : -1;
    json_decref(root);
    return value;
}

/* The last report of a process comes right after the one before. */
static void two_at_once_are_no_rate(void **state)
{
    (void)state;
    const uint64_t soon = second / 1000;
    struct status *s;
    struct overview o;
    assert_int_equal(status_new(&plain, &s), 0);
    report(s, "sink", "{\"sluice_sink_rows_total\": 100}", second);
    report(s, "sink", "{\"sluice_sink_rows_total\": 200}", second + soon);
    assert_float_equal(rate_shown(s, 2 * second), -1, 0);
    report(s, "sink", "{\"sluice_sink_rows_total\": 400}", 2 * second);
    assert_float_equal(rate_shown(s, 2 * second), 300, 1e-6);
    for (uint64_t i = 1; i <= 3; i++) /* shown, and no rate of their own */
        report(s, "sink", "{\"sluice_sink_rows_total\": 900, \"sluice_stream_rows\": 900}",
               2 * second + i * soon);
    assert_float_equal(rate_shown(s, 2 * second + 4 * soon), 300, 1e-6);
    status_tick(s, 2 * second + 4 * soon, &o);
    assert_true(o.value[OVERVIEW_STORED_RATE] == 300);
    assert_true(o.value[OVERVIEW_STREAM_ROWS] == 900);
    report(s, "sink", "{\"sluice_sink_rows_total\": 1000}", 3 * second); /* 600 since the base */
    assert_float_equal(rate_shown(s, 3 * second), 600, 1e-6);
    report(s, "sink", "{\"sluice_sink_rows_total\": 1010}", 4 * second);
    assert_float_equal(rate_shown(s, 4 * second), 10, 1e-6);
    status_free(s);
}

/* Who is gone is shown no longer after ten minutes; what it counted is. */
static void totals_hold_on(void **state)
{
    (void)state;
    const uint64_t later = 3600 * second;
    struct status *s;
    struct overview o;
    assert_int_equal(status_new(&plain, &s), 0);
    report(s, "capture-0",
           "{\"sluice_shed_rows_total\": 3, \"sluice_capture_rejected_rows_total\": 2,"
           " \"sluice_capture_in_flight_rows\": 4}",
           second);
    report(s, "capture-1", "{\"sluice_shed_rows_total\": 5}", later);
    status_tick(s, later, &o);
    assert_true(o.value[OVERVIEW_SHED_ROWS] == 8);
    assert_true(o.value[OVERVIEW_REJECTED_ROWS] == 2);
    assert_true(isnan(o.value[OVERVIEW_LAG_ROWS]));
    json_t *root = shown(s, later);
    assert_int_equal(json_array_size(json_object_get(root, "processes")), 1);
    json_decref(root);
    status_free(s);
}

/* Who was through is not missed after ten minutes either. */
static void who_was_through_is_shown_on(void **state)
{
    (void)state;
    struct status *s;
    assert_int_equal(status_new(&plain, &s), 0);
    report(s, "capture-0", "{\"sluice_capture_ended\": 1, \"sluice_capture_tokens_total\": 9}",
           second);
    report(s, "capture-1", "{\"sluice_capture_ended\": 0}", second);
    report(s, "trainer-a", "{\"sluice_trainer_finished\": 1}", second);
    report(s, "sink", "{\"sluice_stream_ended\": 1}", second);
    json_t *doc = shown(s, 3600 * second);
    assert_int_equal(json_array_size(json_object_get(doc, "processes")), 3);
    json_decref(doc);
    assert_int_equal(status_moves(s, 3600 * second), ERR_OK);
    status_free(s);
}

static void refuses_what_is_no_report(void **state)
{
    (void)state;
    struct status *s;
    assert_int_equal(status_new(&plain, &s), 0);
    assert_int_equal(status_report(s, NULL, "a", "[1]", 3, 1), ERR_FORMAT);
    assert_int_equal(status_report(s, NULL, "a", "{\"a\":", 5, 1), ERR_FORMAT);
    assert_int_equal(status_report(s, NULL, "", "{}", 2, 1), ERR_FORMAT);
    assert_int_equal(status_report(s, NULL, "a", NULL, 0, 1), ERR_FORMAT);
    status_free(s);
}

static void is_bounded(void **state)
{
    (void)state;
    struct status *s;
    char name[32];
    assert_int_equal(status_new(&plain, &s), 0);
    for (int i = 0; i < STATUS_MAX_PROCESSES + 10; i++) {
        snprintf(name, sizeof name, "p-%d", i);
        report(s, name, "{}", (uint64_t)(i + 1) * second);
    }
    json_t *root = shown(s, 334 * second);
    assert_int_equal(json_array_size(json_object_get(root, "processes")), STATUS_MAX_PROCESSES);
    json_decref(root);
    status_free(s);
}

/* However much is reported, the document finds room in one message. */
/* With as many captures as there may be, each goes on to have rates, and is counted in the overview;
 * trainers' reports are shown before theirs. */
static void a_crowd_of_captures_has_rates(void **state)
{
    (void)state;
    enum { CAPTURES = 256, SECONDS = 4, FILL = 3000 };
    struct status *s;
    struct overview o;
    char name[32], *text = malloc(FILL + 200), *document;
    size_t bytes;
    assert_int_equal(status_new(&plain, &s), 0);
    for (int t = 1; t <= SECONDS; t++) {
        for (int i = 0; i < CAPTURES; i++) {
            int n = sprintf(
                text, "{\"sluice_capture_ended\":%d,\"sluice_capture_rows_total\":%d,\"x\":\"",
                i % 2, 10 * t);
            memset(text + n, 'x', FILL);
            strcpy(text + n + FILL, "\"}");
            snprintf(name, sizeof name, "capture-%d", i);
            report(s, name, text, (uint64_t)t * second);
        }
        report(s, "trainer-main", "{\"sluice_trainer_rows_total\":1}", (uint64_t)t * second);
    }
    status_tick(s, SECONDS * second, &o);
    assert_float_equal(o.value[OVERVIEW_CAPTURED_RATE], 10. * CAPTURES, 1e-3);
    assert_int_equal(status_json(s, SECONDS * second, &document, &bytes), ERR_OK);
    assert_in_range(bytes, MESSAGE_MAX_TELL_BYTES / 2, MESSAGE_MAX_TELL_BYTES);
    json_t *root = json_loads(document, 0, NULL), *processes = json_object_get(root, "processes");
    assert_int_equal(json_array_size(processes), CAPTURES + 1);
    assert_in_range(json_integer_value(json_object_get(root, "without_report")), 50, 200);
    for (size_t i = 0; i < CAPTURES; i++) /* also of those without a report */
        assert_int_equal(json_is_true(json_object_get(json_array_get(processes, i), "is_through")),
                         i % 2);
    json_t *trainer = json_array_get(processes, CAPTURES);
    assert_string_equal(json_string_value(json_object_get(trainer, "name")), "trainer-main");
    assert_int_equal(json_object_size(json_object_get(trainer, "report")), 1);
    json_decref(root);
    free(document);
    free(text);
    status_free(s);
}

static void fits_in_a_message(void **state)
{
    (void)state;
    struct status *s;
    char name[32], *text = malloc(70000), *document;
    size_t bytes;
    assert_int_equal(status_new(&plain, &s), 0);
    for (int i = 0; i < 200; i++) {
        int n = sprintf(text, "{\"a_total\":%d", i);
        for (int k = 0; n < 65000; k++) n += sprintf(text + n, ",\"key_%d_total\":%d", k, k + i);
        strcpy(text + n, "}");
        snprintf(name, sizeof name, "p-%d", i % 100);
        report(s, name, text, (uint64_t)(i + 1) * second);
    }
    assert_int_equal(status_json(s, 201 * second, &document, &bytes), ERR_OK);
    assert_in_range(bytes, MESSAGE_MAX_TELL_BYTES / 2, MESSAGE_MAX_TELL_BYTES);
    free(document);
    free(text);
    status_free(s);
}

/* Who floods under many names fills the page with none but its first. */
static void one_name_for_each_connection(void **state)
{
    (void)state;
    static const struct link_route anna = {1, {1}}, bert = {1, {2}};
    struct status *s;
    assert_int_equal(status_new(&plain, &s), 0);
    assert_int_equal(status_report(s, &anna, "a", "{}", 2, second), ERR_OK);
    assert_int_equal(status_report(s, &anna, "b", "{}", 2, second), ERR_LIMIT);
    assert_int_equal(status_report(s, &anna, "a", "{}", 2, 2 * second), ERR_OK);
    assert_int_equal(status_report(s, &bert, "b", "{}", 2, second), ERR_OK);
    assert_int_equal(status_report(s, &bert, "a", "{}", 2, 3 * second), ERR_LIMIT);
    struct link_route next = {1, {3}}; /* the next life of a, by another connection */
    assert_int_equal(status_report(s, &next, "a", "{}", 2, 3 * second), ERR_OK);
    status_free(s);
}

static const char *bottleneck(double waited, int slabs)
{
    struct status *s;
    char text[128];
    assert_int_equal(status_new(&plain, &s), 0);
    report(s, "capture-0", "{\"sluice_capture_blocked_seconds_total\": 0}", second);
    snprintf(text, sizeof text, "{\"sluice_capture_blocked_seconds_total\": %f}", waited);
    report(s, "capture-0", text, 2 * second);
    snprintf(text, sizeof text,
             "{\"sluice_buffer_capacity_slabs\": 100, \"sluice_buffer_slabs\": %d}", slabs);
    report(s, "sink", text, 2 * second);
    const char *word = status_bottleneck(s, 2 * second);
    status_free(s);
    return word;
}

static void names_the_bottleneck(void **state)
{
    (void)state;
    struct status *s;
    assert_string_equal(bottleneck(0.01, 50), "producer-bound");
    assert_string_equal(bottleneck(0.5, 98), "trainer-bound");
    assert_string_equal(bottleneck(0.5, 50), "buffer-bound");
    assert_int_equal(status_new(&plain, &s), 0);
    assert_null(status_bottleneck(s, second));
    report(s, "trainer-main", "{}", second);
    assert_string_equal(status_bottleneck(s, second), "trainer-bound"); /* producers have ended */
    assert_null(status_bottleneck(s, 60 * second));
    char *text;
    size_t bytes;
    assert_int_equal(status_json(s, 60 * second, &text, &bytes), ERR_OK);
    assert_non_null(strstr(text, "\"bottleneck\":null"));
    free(text);
    status_free(s);
}

/* A trainer that goes on says nothing of them until it has read its checkpoint. */
static void rows_of_earlier_lives_are_no_rate(void **unused)
{
    (void)unused;
    static const char none[] = "{\"sluice_trainer_rows_total\": null}",
                      read[] = "{\"sluice_trainer_rows_total\": 7000000}",
                      next[] = "{\"sluice_trainer_rows_total\": 7000500}";
    struct status *s;
    assert_int_equal(status_new(&plain, &s), 0);
    report(s, "trainer-main", none, second);
    report(s, "trainer-main", read, 2 * second);
    json_t *doc = shown(s, 2 * second), *one = json_array_get(json_object_get(doc, "processes"), 0);
    assert_null(json_object_get(json_object_get(one, "rates"), "sluice_trainer_rows_total"));
    json_decref(doc);
    report(s, "trainer-main", next, 3 * second);
    doc = shown(s, 3 * second);
    one = json_array_get(json_object_get(doc, "processes"), 0);
    assert_float_equal(json_number_value(json_object_get(json_object_get(one, "rates"),
                                                         "sluice_trainer_rows_total")),
                       500, 1e-6);
    json_decref(doc);
    status_free(s);
}

/* Who says nothing is what to look at, and not the speed of the others. */
static void who_is_silent_is_the_advice(void **unused)
{
    (void)unused;
    struct status *s;
    assert_int_equal(status_new(&plain, &s), 0);
    report(s, "capture-0", "{\"sluice_capture_rows_total\": 1}", 20 * second);
    report(s, "trainer-main", "{\"sluice_trainer_rows_total\": 1}", second);
    json_t *root = shown(s, 20 * second);
    const char *advice = json_string_value(json_object_get(root, "advice"));
    if (!advice || !strstr(advice, "trainer-main has said nothing for 19 s"))
        fail_msg("%s", advice ? advice : "no advice");
    json_decref(root);
    report(s, "trainer-main", "{\"sluice_trainer_rows_total\": 1, \"sluice_trainer_finished\": 1}",
           21 * second);
    report(s, "capture-0", "{\"sluice_capture_rows_total\": 1}", 40 * second);
    root = shown(s, 40 * second);
    assert_true(json_is_null(json_object_get(root, "advice")));
    json_decref(root);
    status_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_silent_is_the_advice),
        cmocka_unit_test(shows_reports_and_rates),
        cmocka_unit_test(rows_of_earlier_lives_are_no_rate),
        cmocka_unit_test(two_at_once_are_no_rate),
        cmocka_unit_test(totals_hold_on),
        cmocka_unit_test(who_was_through_is_shown_on),
        cmocka_unit_test(refuses_what_is_no_report),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(fits_in_a_message),
        cmocka_unit_test(a_crowd_of_captures_has_rates),
        cmocka_unit_test(one_name_for_each_connection),
        cmocka_unit_test(names_the_bottleneck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
