/* The line and the code for a monitoring system: what each limit means, and that nothing is well
 * that isn't. */
#include "base/err.h"
#include "cli/live.h"
#include "cli/roster.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/cli/run_folder.h"

static struct live_limits limits;
static char line[8192];

#define BROKER(EXTRA)                                                                              \
    "{\"name\": \"broker\", \"kind\": \"broker\", \"age_seconds\": 0.5, \"report\": {" EXTRA "}}"
#define SINK(AGE, EXTRA)                                                                           \
    "{\"name\": \"sink\", \"kind\": \"sink\", \"age_seconds\": " AGE ", \"report\": {" EXTRA "}}"
#define CAPTURE(AGE, EXTRA)                                                                        \
    "{\"name\": \"capture-0\", \"kind\": \"capture\", \"age_seconds\": " AGE                       \
    ", \"report\": {\"sluice_capture_rows_total\": 1000" EXTRA "}}"
#define TRAINER(AGE, EXTRA)                                                                        \
    "{\"name\": \"trainer-main\", \"kind\": \"trainer\", \"age_seconds\": " AGE                    \
    ", \"report\": {\"sluice_trainer_steps_total\": 1000" EXTRA "}}"

/* A document of these processes, judged; `words` stand in the line. */
static void verdict_is(enum live_code code, const char *words, const char *processes)
{
    char text[4096];
    snprintf(text, sizeof text,
             "{\"stream\": \"t\", \"overview\": {\"captured_rows_per_second\": 5,"
             " \"buffer_fill_ratio\": 0.5, \"lost_rows\": 0}, \"processes\": [%s]}",
             processes);
    json_t *status = json_loads(text, 0, NULL);
    assert_non_null(status);
    enum live_code its = live_judge(config, NULL, status, &limits, line, sizeof line);
    json_decref(status);
    if (its != code || !strstr(line, words)) fail_msg("%d, and not %d: '%s'", its, code, line);
    assert_null(strchr(line, '\n'));
    char *bar = strchr(line, '|');
    assert_non_null(bar);
    assert_null(strchr(bar + 1, '|'));
}

static void all_is_well(void **state)
{
    (void)state;
    live_limits_read(NULL, NULL, &limits);
    verdict_is(LIVE_OK,
               "SLUICE OK - stream t: captured 5 rows/s, trained - rows/s, buffer 50 % full",
               BROKER("") "," SINK("1", "") "," CAPTURE("1", "") "," TRAINER("1", ""));
    assert_non_null(strstr(line, " captured_rows_per_second=5;;;0;"));
    assert_non_null(strstr(line, " buffer=50%;;;0;"));
    assert_non_null(strstr(line, " unready=0s;30;60;0;"));
    assert_null(strstr(line, "nan"));
    /* Whoever is through is not missed. */
    verdict_is(LIVE_OK, "OK",
               BROKER("") "," SINK("1", "\"sluice_stream_ended\": 1") "," TRAINER("1", ""));
    verdict_is(LIVE_OK, "OK",
               BROKER("") "," SINK("1", "") "," CAPTURE("90, \"is_through\": true", "") "," TRAINER(
                   "90, \"is_through\": true", ""));
    /* Of many captures the report is left out. */
    verdict_is(LIVE_OK, "OK",
               BROKER("") "," SINK("1", "") "," TRAINER(
                   "1", "") ","
                            "{\"name\": \"capture-0\", \"kind\": \"capture\", \"age_seconds\": 90,"
                            " \"is_through\": true, \"report\": {}}");
}

static void who_is_not_there_is_told(void **state)
{
    (void)state;
    live_limits_read(NULL, NULL, &limits);
    verdict_is(LIVE_CRITICAL, "CRITICAL - stream t: trainer-main is missing |",
               BROKER("") "," SINK("1", "") "," CAPTURE("1", ""));
    verdict_is(LIVE_WARNING, "sink is silent for 6 s",
               BROKER("") "," SINK("6", "") "," CAPTURE("1", "") "," TRAINER("1", ""));
    verdict_is(LIVE_CRITICAL, "sink is silent for 16 s",
               BROKER("") "," SINK("16", "") "," CAPTURE("1", "") "," TRAINER("1", ""));
    verdict_is(LIVE_CRITICAL, "capture-0 is silent for 60 s",
               BROKER("") "," SINK("1", "") "," CAPTURE("60", "") "," TRAINER("1", ""));
    /* What is critical stands first. */
    verdict_is(LIVE_CRITICAL, "trainer-main is missing, sink is silent for 6 s",
               BROKER("") "," SINK("6", "") "," CAPTURE("1", ""));
}

/* Of whom the broker has never heard, or not for long, since it is a new one, the sink says so. */
static void who_is_through_is_not_missed(void **state)
{
    (void)state;
    live_limits_read(NULL, NULL, &limits);
    verdict_is(LIVE_OK, "OK",
               BROKER("") "," SINK("1", "\"sluice_sink_producer_ended\": {\"0\": 1},"
                                        "\"sluice_sink_consumer_finished\": {\"main\": 1}"));
    verdict_is(LIVE_OK, "OK",
               BROKER("") "," SINK("1", "\"sluice_sink_producer_ended\": {\"0\": 1}") "," CAPTURE(
                   "90", "") "," TRAINER("1", ""));
    verdict_is(LIVE_CRITICAL, "capture-0 is missing, trainer-main is missing |",
               BROKER("") "," SINK("1", "\"sluice_sink_producer_ended\": {\"0\": 0, \"1\": 1},"
                                        "\"sluice_sink_consumer_finished\": {\"main\": 0}"));
}

static void who_cannot_work_is_told(void **state)
{
    (void)state;
    live_limits_read(NULL, NULL, &limits);
    verdict_is(LIVE_OK, "OK",
               BROKER("") "," SINK("1", "\"sluice_process_unready_seconds\": 20") "," CAPTURE(
                   "1", "") "," TRAINER("1", ""));
    verdict_is(LIVE_WARNING, "sink is not ready for 31 s",
               BROKER("") "," SINK("1", "\"sluice_process_unready_seconds\": 31") "," CAPTURE(
                   "1", "") "," TRAINER("1", ""));
    verdict_is(LIVE_CRITICAL, "sink is not ready for 61 s",
               BROKER("") "," SINK("1", "\"sluice_process_unready_seconds\": 61") "," CAPTURE(
                   "1", "") "," TRAINER("1", ""));
    /* Nobody may use a live stream, or its model is opened still. */
    verdict_is(LIVE_OK, "OK",
               BROKER("") "," SINK("1", "") "," CAPTURE("1", "") "," TRAINER(
                   "1", ",\"sluice_process_unready_seconds\": 900, \"sluice_trainer_waiting\": 1"));
    verdict_is(LIVE_CRITICAL, "trainer-main is not ready for 900 s",
               BROKER("") "," SINK("1", "") "," CAPTURE("1", "") "," TRAINER(
                   "1", ",\"sluice_process_unready_seconds\": 900, \"sluice_trainer_waiting\": 0"));
    verdict_is(LIVE_CRITICAL, "trainer-main is silent for 60 s",
               BROKER("") "," SINK("1", "") "," CAPTURE("1", "") "," TRAINER(
                   "60", ",\"sluice_trainer_waiting\": 1"));
    verdict_is(LIVE_CRITICAL, "broker says for 30 s that the stream stands still",
               BROKER("\"sluice_process_unready_seconds\": 30") "," SINK("1", "") "," CAPTURE(
                   "1", "") "," TRAINER("1", ""));
}

static void shares_are_held_to_their_limits(void **state)
{
    (void)state;
    static const char few[] =
        BROKER("") "," SINK("1", "\"sluice_sink_disk_waiting_seconds\": 5") "," CAPTURE(
            "1", ",\"sluice_shed_rows_total\": 20, \"sluice_capture_rejected_rows_total\": "
                 "1") "," TRAINER("1", ",\"sluice_trainer_dead_features\": {\"a\": 10, \"b\": "
                                       "60},"
                                       " \"sluice_trainer_features\": {\"a\": 100, \"b\": 100},"
                                       " \"sluice_trainer_skipped_steps_total\": {\"a\": 300, "
                                       "\"b\": 0}");
    live_limits_read(NULL, NULL, &limits);
    verdict_is(LIVE_CRITICAL,
               "skipped 15 % (limit 10), disk 5 s (limit 1), shed 2 % (limit 1), "
               "rejected 0.1 % (limit 0.1), dead 60 % (limit 50)",
               few);
    live_limits_read("shed=3,rejected=off,dead=60.5,disk=6", "skipped=off", &limits);
    verdict_is(LIVE_WARNING, "WARNING - stream t: skipped 15 % (limit 0.1) |", few);
    live_limits_read("shed=3,rejected=off,dead=off,disk=6,skipped=off", "skipped=off,shed=2",
                     &limits);
    verdict_is(LIVE_CRITICAL, "CRITICAL - stream t: shed 2 % (limit 2) |", few);
    assert_non_null(strstr(line, " shed=2%;3;2;0;"));
    assert_non_null(strstr(line, " dead=60%;;;0;"));
}

static void limits_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "shed",
        "shed=",
        "shed=x",
        "shed=1x",
        "shed=-1",
        "shed=nan",
        "foo=1",
        "=1",
        ",",
        "shed=1,,dead=1",
        "shed=1111111111111111111111111111111111111111111111111111111"
        "1111111111111"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (live_limits_read(wrong[i], NULL, &limits) != ERR_USAGE) fail_msg("'%s'", wrong[i]);
        assert_non_null(strstr(err_text(), "--warning"));
        assert_non_null(strstr(err_text(), "HINT"));
        assert_int_equal(live_limits_read(NULL, wrong[i], &limits), ERR_USAGE);
    }
    assert_int_equal(live_limits_read("", "", &limits), ERR_OK);
}

/* Of this host's part alone, others are not missed; as of a broker that knows much more. */
static void a_part_is_judged_alone(void **state)
{
    (void)state;
    json_t *status = json_loads("{\"processes\": [" BROKER("") "]}", 0, NULL);
    live_limits_read(NULL, NULL, &limits);
    assert_int_equal(live_judge(config, "broker", status, &limits, line, sizeof line), LIVE_OK);
    assert_int_equal(live_judge(config, "capture", status, &limits, line, sizeof line),
                     LIVE_CRITICAL);
    assert_non_null(strstr(line, "capture-0 is missing"));
    assert_null(strstr(line, "sink"));
    json_decref(status);
}

static void a_crowd_fits_the_line(void **state)
{
    (void)state;
    json_t *processes = json_array(), *status = json_pack("{s:o}", "processes", processes);
    for (int i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof name, "capture-%d", i);
        json_array_append_new(processes, json_pack("{s:s, s:i}", "name", name, "age_seconds", 50));
    }
    live_limits_read(NULL, NULL, &limits);
    assert_int_equal(live_judge(config, NULL, status, &limits, line, sizeof line), LIVE_CRITICAL);
    assert_true(strlen(line) < 1500);
    assert_non_null(strstr(line, " more |"));
    json_decref(status);
}

/* Warnings of many captures leave room for what is critical. */
static void what_is_critical_is_always_named(void **state)
{
    (void)state;
    char processes[4096] = BROKER("") "," SINK("1", "");
    live_limits_read(NULL, NULL, &limits);
    for (int i = 0; i < 9; i++)
        snprintf(processes + strlen(processes), sizeof processes - strlen(processes),
                 ",{\"name\": \"capture-%d\", \"kind\": \"capture\", \"age_seconds\": 6,"
                 " \"report\": {}}",
                 i);
    verdict_is(LIVE_CRITICAL,
               "CRITICAL - stream t: trainer-main is missing, capture-0 is silent for 6 s, ",
               processes);
    assert_non_null(strstr(line, "capture-4 is silent for 6 s, and 4 more |"));
}

/* After a kill of the broker alone, nobody has reported to the next one for a second or so. */
static void a_new_broker_misses_nobody_yet(void **state)
{
    (void)state;
    char processes[1024];
    live_limits_read(NULL, NULL, &limits);
    snprintf(processes, sizeof processes,
             "{\"name\": \"broker\", \"kind\": \"broker\", \"age_seconds\": 0.5, \"report\": "
             "{\"sluice_process_start_time_seconds\": %lld}}," SINK("1", ""),
             (long long)time(NULL) - 1);
    verdict_is(LIVE_WARNING, "trainer-main has not reported to the new broker yet", processes);
    snprintf(processes, sizeof processes,
             "{\"name\": \"broker\", \"kind\": \"broker\", \"age_seconds\": 0.5, \"report\": "
             "{\"sluice_process_start_time_seconds\": %lld}}," SINK("1", ""),
             (long long)time(NULL) - 60);
    verdict_is(LIVE_CRITICAL, "trainer-main is missing", processes);
    /* One whose clock is ahead was not started in the future. */
    snprintf(processes, sizeof processes,
             "{\"name\": \"broker\", \"kind\": \"broker\", \"age_seconds\": 0.5, \"report\": "
             "{\"sluice_process_start_time_seconds\": %lld}}," SINK("1", ""),
             (long long)time(NULL) + 3600);
    verdict_is(LIVE_CRITICAL, "trainer-main is missing", processes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_broker_misses_nobody_yet),
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(who_is_not_there_is_told),
        cmocka_unit_test(who_is_through_is_not_missed),
        cmocka_unit_test(who_cannot_work_is_told),
        cmocka_unit_test(shares_are_held_to_their_limits),
        cmocka_unit_test(limits_that_are_none_are_refused),
        cmocka_unit_test(a_part_is_judged_alone),
        cmocka_unit_test(a_crowd_fits_the_line),
        cmocka_unit_test(what_is_critical_is_always_named),
    };
    return cmocka_run_group_tests_name("check --live", tests, set_up, tear_down);
}
