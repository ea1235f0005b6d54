/* The progress line: numbers, times, rates, how long it will take; and what it is read from. */
#include "cli/progress.h"
#include "cli/tail.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void number_is(double number, const char *text)
{
    char out[64];
    progress_number(number, out, sizeof out);
    assert_string_equal(out, text);
}

static void time_is(double seconds, const char *text)
{
    char out[64];
    progress_time(seconds, out, sizeof out);
    assert_string_equal(out, text);
}

static void numbers_and_times(void **state)
{
    (void)state;
    number_is(0, "0");
    number_is(999, "999");
    number_is(1000, "1,000");
    number_is(1234567, "1,234,567");
    number_is(-12345, "-12,345");
    number_is(-123, "-123");
    number_is(NAN, "-");
    time_is(0, "0:00");
    time_is(59.6, "1:00");
    time_is(3599, "59:59");
    time_is(3723, "1:02:03");
    time_is(NAN, "-");
}

static const char document[] =
    "{\"stream\": \"s\", \"bottleneck\": \"trainer-bound\", \"processes\": ["
    " {\"name\": \"capture-0\", \"kind\": \"capture\", \"age_seconds\": 100, \"report\": {"
    "   \"sluice_capture_tokens_total\": 1000, \"sluice_shed_rows_total\": 5,"
    "   \"sluice_capture_filtered_rows_total\": {\"first\": 2, \"norm\": 3},"
    "   \"sluice_stream_planned_rows\": 4000}},"
    " {\"name\": \"capture-1\", \"kind\": \"capture\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_capture_tokens_total\": 500, \"sluice_stream_planned_rows\": 4000}},"
    " {\"name\": \"sink\", \"kind\": \"sink\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_sink_rows_total\": 1400, \"sluice_buffer_slabs\": 20,"
    "   \"sluice_buffer_capacity_slabs\": 80}},"
    " {\"name\": \"trainer-old\", \"kind\": \"trainer\", \"age_seconds\": 60, \"report\": {"
    "   \"sluice_trainer_rows_total\": 1}},"
    " {\"name\": \"trainer-main\", \"kind\": \"trainer\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_trainer_rows_total\": 900, \"sluice_trainer_planned_rows\": 8000,"
    "   \"sluice_trainer_fve_ratio\": {\"a\": 0.75, \"b\": 0.5},"
    "   \"sluice_trainer_l0\": {\"a\": 32}, \"sluice_trainer_dead_features\": {\"a\": 10},"
    "   \"sluice_trainer_features\": {\"a\": 200}}},"
    " {\"name\": \"trainer-late\", \"kind\": \"trainer\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_trainer_rows_total\": 300, \"sluice_trainer_planned_rows\": 8000}}]}";

static struct snapshot snapshot_of(const char *text)
{
    struct snapshot s;
    json_t *status = json_loads(text, 0, NULL);
    assert_non_null(status);
    snapshot_read(status, &s);
    json_decref(status);
    return s;
}

static void a_snapshot_adds_up(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of(document);
    assert_true(s.tokens == 1500); /* a capture that is through counts, though it is silent */
    assert_true(s.shed_rows == 5 && s.filtered_rows == 5);
    assert_true(s.planned_rows == 4000 && s.stored_rows == 1400);
    assert_true(s.trained_rows == 300); /* of the one that is furthest behind */
    assert_int_equal(s.trainers, 2);    /* and not of one that is gone */
    assert_true(s.fve == 0.75 && s.l0 == 32 && s.dead == 10 && s.features == 200);
}

static void a_snapshot_of_nothing_is_not_a_number(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of("{}");
    char line[512];
    struct progress p = {0};
    assert_true(isnan(s.tokens) && isnan(s.fve) && isnan(s.trained_rows));
    progress_update(&p, &s, 1);
    progress_line(&p, 1, line, sizeof line);
    assert_string_equal(line,
                        "0:01  - tokens -/s | buffer - | trained - rows -/s | FVE - L0 - dead "
                        "- | shed - | ETA -");
}

/* JSON has no NaN: what is not known comes as null, and is no 0. */
static void null_is_not_zero(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of(
        "{\"processes\": [{\"name\": \"trainer-main\", \"kind\": \"trainer\", \"age_seconds\": 1,"
        " \"report\": {\"sluice_trainer_fve_ratio\": {\"a\": null, \"b\": 1}, "
        "\"sluice_trainer_l0\": {\"a\": null}, \"sluice_trainer_dead_features\": {\"a\": null},"
        " \"sluice_trainer_features\": {\"a\": 64}}}]}");
    char line[512];
    struct progress p = {0};
    assert_true(isnan(s.fve) && isnan(s.l0) && isnan(s.dead));
    progress_update(&p, &s, 1);
    progress_line(&p, 1, line, sizeof line);
    assert_non_null(strstr(line, "FVE - L0 - dead - |"));
}

static void rates_and_the_time_that_is_left(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of(document);
    struct progress p = {0};
    char line[512];
    progress_update(&p, &s, 0);
    assert_true(isnan(progress_eta(&p)));
    for (int second = 1; second <= 60; second++) {
        s.tokens += 100;
        s.stored_rows += 10;
        s.trained_rows += 50;
        progress_update(&p, &s, second);
    }
    assert_true(fabs(p.trained_rate - 50) < 1 && fabs(p.token_rate - 100) < 1);
    assert_true(fabs(progress_eta(&p) - (4000 - 2000) / 10.0) < 5); /* the slower of the two */
    progress_line(&p, 60, line, sizeof line);
    assert_non_null(
        strstr(line, "1:00  7,500 tokens 100/s | buffer 25% | trained 3,300 rows 50/s"));
    assert_non_null(strstr(line, "FVE 0.7500 L0 32.0 dead 5% | shed 5 | ETA 3:20"));
    s.tokens = 0; /* a producer began again: no rate is made of it */
    progress_update(&p, &s, 61);
    assert_true(p.token_rate > 0);
}

static void the_tail_of_a_log(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-tail-XXXXXX", out[TAIL_MESSAGE_BYTES];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd, "time=1 level=info process=x msg=\"one\"\n"
                "time=2 level=error process=x msg=\"broke \\\"it\\\"\" code=3\n");
    off_t from = tail_size(path);
    tail_message(path, 0, out, sizeof out);
    assert_string_equal(out, "broke it code=3");
    tail_message(path, from, out, sizeof out);
    assert_string_equal(out, "");
    dprintf(fd, "time=3 level=info process=x msg=two\n");
    tail_message(path, from, out, sizeof out);
    assert_string_equal(out, "two");
    tail_error(path, 0, out, sizeof out);
    assert_string_equal(out, "broke it code=3");
    tail_error(path, from, out, sizeof out);
    assert_string_equal(out, "");
    for (int i = 0; i < 5000; i++) dprintf(fd, "time=4 level=info process=x msg=\"line %d\"\n", i);
    tail_message(path, from, out, sizeof out);
    assert_string_equal(out, "line 4999");
    close(fd);
    unlink(path);
    tail_message(path, 0, out, sizeof out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_times),
        cmocka_unit_test(a_snapshot_adds_up),
        cmocka_unit_test(a_snapshot_of_nothing_is_not_a_number),
        cmocka_unit_test(null_is_not_zero),
        cmocka_unit_test(rates_and_the_time_that_is_left),
        cmocka_unit_test(the_tail_of_a_log),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
