/* Who owes rows, and that a stream that stands still is told; who waits by design is not. */
#include "base/err.h"
#include "broker/movement.h"
#include "broker/status.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t second = 1000000000;

static void say(struct status *s, const char *name, const char *text, uint64_t at_seconds)
{
    assert_int_equal(status_report(s, NULL, name, text, strlen(text), at_seconds * second), 0);
}

static struct status *new_status(int is_fed)
{
    struct status_options options = {.stream = "s", .is_fed = is_fed};
    struct status *s;
    assert_int_equal(status_new(&options, &s), ERR_OK);
    return s;
}

static void capture(struct status *s, int tokens, int in_flight, int ring_waiting, uint64_t at)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"sluice_capture_tokens_total\": %d, \"sluice_capture_in_flight_rows\": %d,"
             " \"sluice_ring_waiting_rows\": %d}",
             tokens, in_flight, ring_waiting);
    say(s, "capture-0", text, at);
}

static void trainer(struct status *s, int rows, int waits, int finished, uint64_t at)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"sluice_trainer_rows_total\": %d, \"sluice_trainer_waiting\": %d,"
             " \"sluice_trainer_finished\": %d}",
             rows, waits, finished);
    say(s, "trainer-main", text, at);
}

/* The document tells the same: `words` are in its `stalled`; NULL: it is null. */
static void document_says(const struct status *s, uint64_t at, const char *words)
{
    char *text;
    size_t bytes;
    assert_int_equal(status_json(s, at * second, &text, &bytes), ERR_OK);
    json_t *document = json_loadb(text, bytes, 0, NULL);
    const json_t *stalled = json_object_get(document, "stalled");
    assert_non_null(stalled);
    if (words && !(json_is_string(stalled) && strstr(json_string_value(stalled), words)))
        fail_msg("'%s' is not in stalled of %s", words, text);
    if (!words) assert_true(json_is_null(stalled));
    json_decref(document);
    free(text);
}

static void stands_still(const struct status *s, uint64_t at, const char *words)
{
    document_says(s, at, words);
    assert_int_equal(status_moves(s, at * second), ERR_STATE);
    if (!strstr(err_text(), words)) fail_msg("'%s' is not in '%s'", words, err_text());
}

static void moves(const struct status *s, uint64_t at)
{
    document_says(s, at, NULL);
    if (status_moves(s, at * second) != ERR_OK) fail_msg("%s", err_text());
}

static void a_stopped_trainer_is_told(void **state)
{
    (void)state;
    struct status *s = new_status(1);
    moves(s, 1);
    for (int at = 1; at <= 10; at++) trainer(s, at * 100, 0, 0, (uint64_t)at);
    /* The sink and the capture go on, as a shed stream's do. */
    for (int at = 1; at <= 80; at++) capture(s, at * 100, 5, 0, (uint64_t)at);
    moves(s, 39);
    stands_still(s, 41,
                 "trainer-main has had rows and moved none for 31 s; trainer-main was last heard");
    trainer(s, 1000, 0, 0, 42); /* it reports, and has not moved */
    stands_still(s, 43, "trainer-main has had rows and moved none for 33 s");
    assert_null(strstr(err_text(), "last heard"));
    trainer(s, 1100, 0, 0, 44);
    moves(s, 50);
    moves(s, 2000); /* all are forgotten */
    status_free(s);
}

static void a_full_buffer_that_nobody_empties_is_told(void **state)
{
    (void)state;
    struct status *s = new_status(0);
    capture(s, 100, 50, 0, 1);
    capture(s, 200, 50, 0, 2);
    for (uint64_t at = 3; at <= 60; at++) capture(s, 200, 50, 0, at);
    moves(s, 31);
    stands_still(s, 33, "capture-0 has had rows");
    say(s, "trainer-other", "{\"sluice_trainer_finished\": 1}", 3); /* is through, and silent */
    trainer(s, 100, 1, 0, 4); /* was stopped when it waited for rows */
    stands_still(s, 61, "for 59 s; trainer-main was last heard of 57 s ago");
    /* It waits for a trainer that works: that is no standstill. */
    trainer(s, 100, 0, 0, 59);
    trainer(s, 200, 0, 0, 60);
    moves(s, 61);
    status_free(s);
}

static void who_waits_by_design_owes_nothing(void **state)
{
    (void)state;
    for (int is_fed = 0; is_fed < 2; is_fed++) {
        struct status *s = new_status(is_fed);
        /* A model is prepared. */
        capture(s, 0, 0, 0, 1);
        moves(s, 300);
        /* Programs that hand over nothing; a corpus always has something. */
        capture(s, 100, 0, 0, 301);
        capture(s, 100, 0, 0, 500);
        if (is_fed)
            stands_still(s, 501, "capture-0");
        else
            moves(s, 501);
        capture(s, 100, 0, 7, 502); /* it does not read what lies there */
        moves(s, 503);
        stands_still(s, 540, "capture-0");
        status_free(s);
    }
}

static void what_has_ended_owes_nothing(void **state)
{
    (void)state;
    struct status *s = new_status(1);
    capture(s, 100, 5, 0, 1);
    say(s, "sink", "{\"sluice_stream_ended\": 1}", 1);
    trainer(s, 100, 0, 0, 1);
    trainer(s, 200, 0, 1, 2);
    moves(s, 400);
    trainer(s, 200, 1, 0, 401); /* without rows to draw */
    moves(s, 500);
    status_free(s);
}

static void who_computes_is_at_work(void **state)
{
    (void)state;
    struct status *s = new_status(1);
    char text[256];
    for (int at = 1; at <= 100; at++) { /* it evaluates */
        snprintf(text, sizeof text,
                 "{\"sluice_trainer_rows_total\": 100, \"sluice_trainer_waiting\": 0,"
                 " \"sluice_trainer_finished\": 0, \"sluice_process_cpu_seconds_total\": %d}",
                 at < 60 ? at : 60);
        say(s, "trainer-main", text, (uint64_t)at);
        if (at < 89) moves(s, (uint64_t)at);
    }
    stands_still(s, 100, "trainer-main");
    status_free(s);
}

static void trainer_at(struct status *s, const char *phase, uint64_t at)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"sluice_trainer_rows_total\": 900, \"sluice_trainer_waiting\": 0,"
             " \"sluice_trainer_finished\": 0, \"sluice_trainer_phase\": {\"%s\": 1}}",
             phase);
    say(s, "trainer-main", text, at);
}

/* One that goes on from a checkpoint has rows from the first, and reads long from a slow disk. */
static void who_loads_owes_nothing(void **state)
{
    (void)state;
    static const char *const phases[] = {"loading", "whitening", "filling"};
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        struct status *s = new_status(1);
        for (uint64_t at = 1; at <= 100; at++) trainer_at(s, phases[i], at);
        moves(s, 100);
        for (uint64_t at = 101; at <= 140; at++) trainer_at(s, "training", at);
        moves(s, 130); /* it has its time from then on */
        stands_still(s, 140, "trainer-main has had rows and moved none for 39 s");
        status_free(s);
    }
}

/* A process that dies and comes back for ever moves nothing. */
static void lives_are_no_movement(void **state)
{
    (void)state;
    struct status *s = new_status(1);
    for (int at = 1; at <= 60; at++) capture(s, 100 + at % 2, 5, 0, (uint64_t)(2 * at));
    moves(s, 120); /* a row more in each life */
    for (int at = 61; at <= 120; at++) capture(s, 50, 5, 0, (uint64_t)(2 * at));
    stands_still(s, 240, "capture-0");
    status_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_trainer_is_told),
        cmocka_unit_test(a_full_buffer_that_nobody_empties_is_told),
        cmocka_unit_test(who_waits_by_design_owes_nothing),
        cmocka_unit_test(what_has_ended_owes_nothing),
        cmocka_unit_test(who_computes_is_at_work),
        cmocka_unit_test(who_loads_owes_nothing),
        cmocka_unit_test(lives_are_no_movement),
    };
    return cmocka_run_group_tests_name("movement", tests, NULL, NULL);
}
