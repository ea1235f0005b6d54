/* Series of the history that come from reports. */
#include "base/err.h"
#include "broker/curves.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t second = 1000000000;

struct kept {
    struct status *status;
    struct history *history;
    uint64_t now_ns;
};

static void on_report(void *arg, const struct status_news *news)
{
    struct kept *k = arg;
    curves_of_report(k->history, news, k->now_ns);
}

/* So many steps so far, which took so long together. */
static void trainer_says(struct kept *k, int steps, double seconds, const char *more, uint64_t at)
{
    char text[256];
    snprintf(text, sizeof text, "{\"sluice_trainer_step_seconds\": {\"count\": %d, \"sum\": %g}%s}",
             steps, seconds, more);
    k->now_ns = at * second;
    assert_int_equal(status_report(k->status, NULL, "trainer-x", text, strlen(text), k->now_ns),
                     ERR_OK);
    history_tick(k->history, at, k->now_ns);
}

static void trainer(struct kept *k, int steps, double seconds, uint64_t at)
{
    trainer_says(k, steps, seconds, "", at);
}

static double step_seconds(const struct kept *k, uint64_t at)
{
    int index = history_find(k->history, "trainer/x/step_seconds");
    assert_true(index >= 0);
    return history_mean(k->history, (uint32_t)index, 0, at, at + 1);
}

/* A step of two seconds is in every other report: that is no gap. A time without steps is one. */
static void slow_steps_have_no_gaps(void **state)
{
    (void)state;
    struct kept k = {0};
    struct status_options options = {.stream = "s", .on_report = on_report, .arg = &k};
    assert_int_equal(history_open(NULL, "s", &k.history), ERR_OK);
    assert_int_equal(status_new(&options, &k.status), ERR_OK);
    for (int i = 0; i <= 6; i++) trainer(&k, 1 + i / 2, 2.0 * (1 + i / 2), (uint64_t)(100 + i));
    for (int i = 7; i <= 12; i++) trainer(&k, 4, 8, (uint64_t)(100 + i));
    for (uint64_t at = 102; at <= 108; at++)
        assert_true(fabs(step_seconds(&k, at) - 2) < 1e-6); /* of NaN cmocka says that it is 2 */
    assert_true(isnan(step_seconds(&k, 112)));
    status_free(k.status);
    history_close(k.history);
}

/* Steps of ten seconds: while the trainer is at one, the last one's time is what there is. None before
 * the first one, nor while it waits or does something else. */
static void slowest_steps_have_no_gaps(void **state)
{
    (void)state;
    static const char trains[] = ", \"sluice_trainer_phase\": {\"training\": 1}",
                      waits[] = ", \"sluice_trainer_phase\": {\"training\": 1},"
                                " \"sluice_trainer_waiting\": 1",
                      writes[] = ", \"sluice_trainer_phase\": {\"checkpointing\": 1}";
    struct kept k = {0};
    struct status_options options = {.stream = "s", .on_report = on_report, .arg = &k};
    assert_int_equal(history_open(NULL, "s", &k.history), ERR_OK);
    assert_int_equal(status_new(&options, &k.status), ERR_OK);
    for (int i = 0; i <= 35; i++)
        trainer_says(&k, 1 + i / 10, 10.0 * (1 + i / 10), trains, (uint64_t)(100 + i));
    for (int i = 36; i <= 45; i++) trainer_says(&k, 4, 40, waits, (uint64_t)(100 + i));
    for (int i = 46; i <= 50; i++) trainer_says(&k, 4, 40, trains, (uint64_t)(100 + i));
    for (int i = 51; i <= 60; i++) trainer_says(&k, 4, 40, writes, (uint64_t)(100 + i));
    assert_true(isnan(step_seconds(&k, 109)));
    for (uint64_t at = 110; at <= 135; at++) assert_true(fabs(step_seconds(&k, at) - 10) < 1e-6);
    assert_true(isnan(step_seconds(&k, 145)));
    assert_true(fabs(step_seconds(&k, 146) - 10) < 1e-6);
    assert_true(isnan(step_seconds(&k, 160)));
    status_free(k.status);
    history_close(k.history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(slow_steps_have_no_gaps),
                                       cmocka_unit_test(slowest_steps_have_no_gaps)};
    return cmocka_run_group_tests_name("curves", tests, NULL, NULL);
}
