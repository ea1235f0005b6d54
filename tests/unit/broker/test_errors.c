/* The last errors of all processes, and how often each was started again. */
#include "broker/errors.h"
#include "broker/lives.h"

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

static void note(struct errors *e, const char *process, int life, int number, const char *text,
                 uint64_t now)
{
    json_t *report = json_pack("{sis{sisfss}}", "sluice_process_start_time_seconds", life,
                               "last_error", "number", number, "seconds_ago", 2.0, "text", text);
    assert_non_null(report);
    errors_note(e, process, report, now * second);
    json_decref(report);
}

static json_t *shown(const struct errors *e, uint64_t now)
{
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    errors_write(e, now * second, out);
    fclose(out);
    json_t *list = json_loads(text, 0, NULL);
    assert_non_null(list);
    free(text);
    return list;
}

static const char *text_of(const json_t *list, size_t index, const char *key)
{
    return json_string_value(json_object_get(json_array_get(list, index), key));
}

static void each_is_told_once(void **state)
{
    (void)state;
    struct errors e = {.error = {{.ns = 0}}};
    note(&e, "sink", 100, 1, "the first", 10);
    note(&e, "sink", 100, 1, "the first", 11);
    note(&e, "sink", 100, 2, "a \"second\" one\\", 12);
    note(&e, "trainer-main", 100, 1, "another's", 13);
    note(&e, "sink", 200, 1, "of its next life", 14);
    json_t *list = shown(&e, 20);
    assert_int_equal(json_array_size(list), 4);
    assert_string_equal(text_of(list, 0, "text"), "of its next life");
    assert_string_equal(text_of(list, 1, "process"), "trainer-main");
    assert_string_equal(text_of(list, 2, "text"), "a \"second\" one\\");
    const json_t *ago = json_object_get(json_array_get(list, 3), "seconds_ago");
    assert_float_equal(json_number_value(ago), 12, 1e-6); /* told 10 ago, when it was 2 old */
    json_decref(list);
}

static void they_are_bounded(void **state)
{
    (void)state;
    struct errors e = {.error = {{.ns = 0}}};
    char text[4 * REPORT_ERROR_BYTES] = "line\n\x1b[31m";
    for (size_t i = strlen(text); i + 2 < sizeof text; i += 2) strcpy(text + i, "\xc3\xa4");
    for (int i = 0; i < 3 * ERRORS_KEPT; i++) {
        char name[32];
        snprintf(name, sizeof name, "capture-%d", i);
        note(&e, name, 100, 1, text, (uint64_t)(100 + i));
    }
    json_t *list = shown(&e, 200);
    assert_int_equal(json_array_size(list), ERRORS_KEPT);
    assert_string_equal(text_of(list, 0, "process"), "capture-47"); /* the newest */
    const char *kept = text_of(list, 0, "text");
    assert_in_range(strlen(kept), REPORT_ERROR_BYTES - 3, REPORT_ERROR_BYTES - 1);
    assert_memory_equal(kept, "line  [31m", 10);
    json_decref(list);
}

/* A process that fails all the time leaves those of others, and what they tell again is not newer. */
static void one_does_not_crowd_out_others(void **state)
{
    (void)state;
    struct errors e = {.error = {{.ns = 0}}};
    for (int i = 0; i < 50; i++) {
        note(&e, "sink", 100, i + 1, "again", (uint64_t)(20 + i));
        json_t *report = json_pack("{s{sisfss}}", "last_error", "number", 1, "seconds_ago",
                                   10.0 + i, "text", "once");
        errors_note(&e, "trainer-main", report, (uint64_t)(20 + i) * second);
        json_decref(report);
    }
    json_t *list = shown(&e, 100);
    assert_int_equal(json_array_size(list), ERRORS_OF_ONE + 1);
    assert_string_equal(text_of(list, 0, "text"), "again");
    assert_string_equal(text_of(list, ERRORS_OF_ONE, "text"), "once");
    json_decref(list);
}

static void what_is_no_error_says_nothing(void **state)
{
    (void)state;
    static const char *const reports[] = {"{}",
                                          "{\"last_error\": 1}",
                                          "{\"last_error\": {}}",
                                          "{\"last_error\": {\"text\": 1}}",
                                          "{\"last_error\": {\"text\": \"\", \"number\": 1}}",
                                          "{\"last_error\": [\"text\"]}"};
    struct errors e = {.error = {{.ns = 0}}};
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        json_t *report = json_loads(reports[i], 0, NULL);
        assert_non_null(report);
        errors_note(&e, "sink", report, second);
        json_decref(report);
    }
    json_t *list = shown(&e, 100);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
}

/* However old an error is said to be, it is not older than everything. */
static void ages_are_bounded(void **state)
{
    (void)state;
    struct errors e = {.error = {{.ns = 0}}};
    json_t *report = json_loads("{\"last_error\": {\"text\": \"x\", \"number\": 1, "
                                "\"seconds_ago\": 1e300}}",
                                0, NULL);
    errors_note(&e, "sink", report, 5 * second);
    json_decref(report);
    json_t *list = shown(&e, 6);
    const json_t *ago = json_object_get(json_array_get(list, 0), "seconds_ago");
    assert_float_equal(json_number_value(ago), 6, 1e-6);
    json_decref(list);
}

static const char *restarts(const struct lives *l)
{
    static char text[4096];
    FILE *out = fmemopen(text, sizeof text, "w");
    lives_write(l, out);
    fclose(out);
    return text;
}

static void restarts_are_counted(void **state)
{
    (void)state;
    static struct lives l;
    memset(&l, 0, sizeof l);
    assert_int_equal(lives_note(&l, "sink", 100), 1);
    assert_int_equal(lives_note(&l, "sink", 100), 0);
    assert_string_equal(restarts(&l), "{}");
    assert_int_equal(lives_note(&l, "sink", 150), 1);
    assert_int_equal(lives_note(&l, "sink", 160), 1);
    assert_int_equal(lives_note(&l, "capture-0", 160), 1);
    assert_int_equal(lives_note(&l, "capture-0", 99), 1); /* whose clock was set back */
    assert_string_equal(restarts(&l), "{\"sink\":2,\"capture-0\":1}");
    lives_end(&l);
    assert_int_equal(lives_note(&l, "sink", 500), 1); /* the next `sluice up` is no restart */
    assert_string_equal(restarts(&l), "{\"sink\":2,\"capture-0\":1}");
    assert_int_equal(lives_note(&l, "sink", NAN), 0);
    assert_int_equal(lives_note(&l, "sink", 0), 0);
    assert_int_equal(lives_note(&l, "", 1), 0);
    assert_true(lives_ok(&l));
}

static void lives_are_bounded(void **state)
{
    (void)state;
    static struct lives l;
    char name[MESSAGE_NAME_BYTES];
    memset(&l, 0, sizeof l);
    for (int i = 0; i < 2 * LIVES_KEPT; i++) {
        snprintf(name, sizeof name, "p-%d", i);
        lives_note(&l, name, 1000 + i);
    }
    assert_true(lives_ok(&l));
    snprintf(name, sizeof name, "p-%d", 2 * LIVES_KEPT - 1);
    assert_int_equal(lives_note(&l, name, 1000 + 2 * LIVES_KEPT - 1), 0); /* the newest are there */
    memset(l.life[3].process, 'a', sizeof l.life[3].process);
    assert_false(lives_ok(&l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_once),
        cmocka_unit_test(they_are_bounded),
        cmocka_unit_test(one_does_not_crowd_out_others),
        cmocka_unit_test(what_is_no_error_says_nothing),
        cmocka_unit_test(ages_are_bounded),
        cmocka_unit_test(restarts_are_counted),
        cmocka_unit_test(lives_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
