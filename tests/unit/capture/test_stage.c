/* What a capture is at: told in its log, and with how far it is in its report. */
#include "capture/gauges.h"
#include "capture/stage.h"

#include "base/err.h"
#include "proto/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct config *config;
static struct opening opening;

static struct config *configuration(const char *capture)
{
    char text[256];
    struct config *c;
    snprintf(text, sizeof text,
             "stream: {name: t, policy: shed, run_dir: /tmp/none}\ncapture: {%s}\n", capture);
    if (config_parse(text, strlen(text), "t.yaml", NULL, 0, &c) != ERR_OK)
        fail_msg("%s", err_text());
    return c;
}

static int set_up(void **state)
{
    (void)state;
    config = configuration("engine: synthetic");
    opening_init(&opening, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_free(config);
    opening_end(&opening);
    return 0;
}

static struct stage look(enum producer_phase phase, struct maker_counters made)
{
    struct stage stage;
    struct sender_status status = {.phase = phase};
    stage_look(&stage, config, &status, &made, &opening);
    return stage;
}

static void stage_is(const struct stage *s, enum phase_of_capture phase, double done, double size,
                     const char *text)
{
    assert_int_equal(s->phase, phase);
    assert_true(s->done == done && s->size == size);
    assert_string_equal(s->text, text);
}

static void a_model_that_is_read_is_told(void **state)
{
    (void)state;
    struct engine_watch watch = opening_watch(&opening);
    struct stage s = look(PRODUCER_WAITING, (struct maker_counters){0});
    stage_is(&s, PHASE_OPENING, 0, 0, "opening the engine");
    watch.reading(watch.arg, "/models/m.gguf", 5, 20);
    s = look(PRODUCER_WAITING, (struct maker_counters){0});
    stage_is(&s, PHASE_READING, 5, 20, "reading /models/m.gguf, once, to know the model again");
    s = look(PRODUCER_STREAMING, (struct maker_counters){0}); /* a program came with another */
    assert_int_equal(s.phase, PHASE_READING);
    watch.reading(watch.arg, NULL, 0, 0);
    s = look(PRODUCER_STREAMING, (struct maker_counters){0});
    stage_is(&s, PHASE_STREAMING, 0, 0, "streaming");
}

static void a_model_that_is_prepared_is_told_by_its_file(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-stage-XXXXXX";
    int fd = mkstemp(path);
    struct engine_watch watch = opening_watch(&opening);
    watch.preparing(watch.arg, path, 2000);
    assert_int_equal(ftruncate(fd, 900), 0);
    struct stage s = look(PRODUCER_WAITING, (struct maker_counters){0});
    stage_is(&s, PHASE_PREPARING, 900, 2000, "preparing the model, once: 40 %");
    assert_int_equal(ftruncate(fd, 3000), 0); /* it was taken for smaller */
    s = look(PRODUCER_WAITING, (struct maker_counters){0});
    stage_is(&s, PHASE_PREPARING, 2000, 2000, "preparing the model, once: 100 %");
    close(fd);
    unlink(path);
    s = look(PRODUCER_WAITING, (struct maker_counters){0});
    assert_int_equal(s.phase, PHASE_OPENING);
}

/* Its words are the engine's, which tells the log how far it is. */
static void a_model_that_is_checked_is_no_line_of_the_log(void **state)
{
    (void)state;
    struct engine_watch watch = opening_watch(&opening);
    watch.checking(watch.arg, 1);
    struct stage s = look(PRODUCER_WAITING, (struct maker_counters){0});
    stage_is(&s, PHASE_CHECKING, 0, 0, "");
    watch.checking(watch.arg, 0);
    s = look(PRODUCER_WAITING, (struct maker_counters){0});
    assert_int_equal(s.phase, PHASE_OPENING);
}

static void what_is_measured_and_counted_is_told(void **state)
{
    (void)state;
    struct stage s =
        look(PRODUCER_MEASURING, (struct maker_counters){.measured = 8, .measured_of = 32});
    stage_is(&s, PHASE_MEASURING, 8, 32, "measuring");
    s = look(PRODUCER_MEASURING,
             (struct maker_counters){.measured = 1999, .measured_of = 4096, .measures_live = 1});
    stage_is(&s, PHASE_MEASURING, 1999, 4096, "measuring: 40 % of the first 4096 rows are there");
    s = look(PRODUCER_MEASURING,
             (struct maker_counters){
                 .measured = 32, .measured_of = 32, .is_counting = 1, .counted_tokens = 77});
    stage_is(&s, PHASE_COUNTING, 77, 0, "counting the corpus's tokens");
}

static void a_live_stream_waits_for_a_program(void **state)
{
    (void)state;
    config_free(config);
    config = configuration("engine: ring");
    struct stage s = look(PRODUCER_WAITING, (struct maker_counters){0});
    assert_int_equal(s.phase, PHASE_AWAITING);
    assert_non_null(strstr(s.text, "sluice tap FILE -- PROGRAM"));
    s = look(PRODUCER_ASKING, (struct maker_counters){0});
    stage_is(&s, PHASE_ASKING, 0, 0, "asking for a session");
    s = look(PRODUCER_GONE, (struct maker_counters){0});
    stage_is(&s, PHASE_ENDED, 0, 0, "left");
}

/* One phase is 1, and each other 0: of several readers none takes it for another. */
static void a_report_has_one_phase(void **state)
{
    (void)state;
    struct metrics *m;
    char *text;
    size_t bytes;
    assert_int_equal(metrics_new(capture_gauges, GAUGES, &m), ERR_OK);
    for (int phase = 0; phase < PHASES_OF_CAPTURE; phase++) {
        struct stage s = {.phase = (enum phase_of_capture)phase, .done = 3, .size = 4};
        stage_report(&s, m);
        assert_int_equal(metrics_json(m, &text, &bytes), ERR_OK);
        json_t *report = json_loadb(text, bytes, 0, NULL);
        assert_int_equal(phase_of_capture(report), phase);
        assert_true(report_number(report, REPORT_CAPTURE_PHASE) == 1);
        assert_true(report_number(report, REPORT_CAPTURE_PHASE_DONE) == 3);
        assert_true(report_number(report, REPORT_CAPTURE_PHASE_SIZE) == 4);
        json_decref(report);
        free(text);
    }
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_model_that_is_read_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_model_that_is_prepared_is_told_by_its_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_model_that_is_checked_is_no_line_of_the_log, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_measured_and_counted_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_live_stream_waits_for_a_program, set_up, tear_down),
        cmocka_unit_test(a_report_has_one_phase),
    };
    return cmocka_run_group_tests_name("stage", tests, NULL, NULL);
}
