/* What sluice top draws: it fits every size, scrolls, says what is not known, and keeps minutes. */
#include "base/err.h"
#include "cli/top_screen.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct top_canvas canvas;
static char shown[64 << 10];

static const char document[] =
    "{\"stream\": \"s\", \"bottleneck\": \"trainer-bound\","
    " \"advice\": \"The trainer is slower than the model: train narrower ones, or give it more of "
    "the processors that this machine has, and then look again at what is told here.\","
    " \"overview\": {\"captured_rows_per_second\": 12345, \"trained_rows_per_second\": 1234567,"
    "   \"shed_rows_per_second\": 0, \"buffer_slabs\": 60, \"buffer_capacity_slabs\": 240,"
    "   \"buffer_fill_ratio\": 0.25, \"buffer_full_in_seconds\": 125, \"lag_rows\": 500,"
    "   \"lag_seconds\": null, \"credit_wait_ratio\": 0.5, \"stream_rows\": 1000, \"lost_rows\": "
    "0},"
    " \"restarts\": {\"sink\": 3},"
    " \"errors\": [{\"process\": \"sink\", \"seconds_ago\": 61, \"text\": \"disk\\u001b[31m is "
    "f\\u00fcll\"}],"
    " \"processes\": ["
    "  {\"name\": \"trainer-main\", \"kind\": \"trainer\", \"age_seconds\": 1, \"report\": {"
    "    \"sluice_trainer_loss\": {\"a\": 1.25, \"b\": 0.5}, \"sluice_trainer_fve_ratio\": {\"a\": "
    "0.75}, \"sluice_trainer_l0\": {\"a\": 32, \"b\": 31}, \"sluice_trainer_dead_features\": "
    "{\"a\": 10, \"b\": 0}, \"sluice_trainer_features\": {\"a\": 100, \"b\": 100},"
    "    \"sluice_process_memory_bytes\": 1073741824},"
    "   \"rates\": {\"sluice_trainer_rows_total\": 777, \"sluice_process_cpu_seconds_total\": "
    "0.5}},"
    "  {\"name\": \"sink\", \"kind\": \"sink\", \"age_seconds\": 90, \"report\": {}},"
    "  {\"name\": \"capture-0\", \"kind\": \"capture\", \"age_seconds\": 0.5,"
    "   \"report\": {\"sluice_process_unready_seconds\": 12}}]}";

static json_t *json(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, 0, &error);
    if (!value) fail_msg("%s", error.text);
    return value;
}

/* The canvas as text, a line per row. */
static const char *draw(const struct top_model *m, struct top_view *v, int rows, int columns)
{
    size_t used = 0;
    assert_int_equal(top_canvas_resize(&canvas, rows, columns), ERR_OK);
    top_screen_draw(&canvas, m, v);
    for (int row = 0; row < canvas.rows; row++) {
        for (int i = 0; i < canvas.columns && used + 2 < sizeof shown; i++) {
            uint32_t rune = canvas.cell[row * canvas.columns + i].rune;
            assert_true(rune >= ' ');
            assert_true(canvas.is_unicode || rune < 0x7f);
            shown[used++] = rune < 0x7f ? (char)rune : '^';
        }
        if (used + 2 < sizeof shown) shown[used++] = '\n';
    }
    shown[used] = '\0';
    return shown;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' is not in:\n%s", part, text);
}

static void has_not(const char *text, const char *part)
{
    if (strstr(text, part)) fail_msg("'%s' is in:\n%s", part, text);
}

static struct top_model *model_of(const char *text)
{
    struct top_model *m = top_model_new("s");
    json_t *status = json(text);
    assert_non_null(m);
    top_model_take(m, NULL, status, 1);
    json_decref(status);
    return m;
}

static void tells_all_at_80_by_24(void **state)
{
    (void)state;
    struct top_model *m = model_of(document);
    struct top_view v = {.clock = "12:34:56"};
    const char *text = draw(m, &v, 24, 80);
    has(text, " sluice top  s  trainer-bound");
    has(text, "12:34:56 \n");
    has(text, "captured  12,345 rows/s");
    has(text, "trained   1.23 M rows/s");
    has(text, "stored         - rows/s");
    has(text, "25 %");
    has(text, "60 of 240 slabs");
    has(text, "full in 2:05");
    has(text, "lag     500 rows, -");
    has(text, "waits   50 % of the time");
    has(text, "rejected -");
    has(text, "what is told");
    has(text, "capture-0           not ready 12 s");
    has(text, "sink                silent 1:30");
    has(text, "trainer-main        ok                  777 rows/s    50.0    1.0 GiB        0");
    has(text, "main/a                          1.2500   0.7500      32.0     10.0");
    has(text, "main/b                          0.5000        -      31.0      0.0");
    has(text, "1:01 ago sink            disk?[31m is f?ll");
    has(text, "RESTARTS");
    has(text, " q quit");
    assert_true(strstr(text, "capture-0") < strstr(text, "\n sink "));
    assert_true(strstr(text, "\n sink ") < strstr(text, "trainer-main"));
    free(m);
}

static void a_process_that_is_silent_has_no_rate(void **state)
{
    (void)state;
    struct top_model *m = model_of(document);
    for (int i = 0; i < m->processes; i++) {
        if (strcmp(m->process[i].name, "sink") != 0) continue;
        assert_true(isnan(m->process[i].rate) && isnan(m->process[i].memory_bytes));
        assert_true(m->process[i].restarts == 3);
        free(m);
        return;
    }
    fail_msg("no sink");
}

/* An old broker, or one that has just begun. */
static void what_is_missing_is_a_dash(void **state)
{
    (void)state;
    struct top_model *m = model_of("{\"processes\": [{\"name\": \"sink\", \"age_seconds\": 1}]}");
    struct top_view v = {.clock = ""};
    const char *text = draw(m, &v, 24, 80);
    has(text, "captured       - rows/s");
    has(text, "- of - slabs");
    has(text, "LAST ERRORS  -");
    has(text, "nobody can tell yet");
    has(text, "sink                ok                           -       -          -        -");
    has_not(text, "nan");
    free(m);
    m = top_model_new("s");
    top_model_take(m, NULL, NULL, 7);
    text = draw(m, &v, 24, 80);
    has(text, "no answer from the broker for 7 s");
    has_not(text, "nan");
    free(m);
}

static void silence_is_told_until_it_is_over(void **state)
{
    (void)state;
    struct top_model *m = model_of(document);
    struct top_view v = {.clock = ""};
    for (int i = 0; i < 90; i++) top_model_take(m, NULL, NULL, 1);
    const char *text = draw(m, &v, 24, 80);
    has(text, "no answer from the broker for 1:30");
    has(text, "12,345"); /* what was last known */
    assert_int_equal(canvas.cell[1].style, TOP_ALARM);
    json_t *status = json(document);
    top_model_take(m, NULL, status, 1);
    json_decref(status);
    has_not(draw(m, &v, 24, 80), "no answer");
    assert_int_equal(canvas.cell[1].style, TOP_TITLE);
    free(m);
}

/* So many processes and SAEs that no screen holds them. */
static struct top_model *crowd(void)
{
    json_t *status = json(document), *processes = json_object_get(status, "processes");
    json_t *losses = json_object();
    char name[32];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "sae-%d", i);
        json_object_set_new(losses, name, json_real(i));
    }
    json_object_set_new(json_object_get(json_array_get(processes, 0), "report"),
                        "sluice_trainer_loss", losses);
    for (int i = 1; i < 400; i++) {
        snprintf(name, sizeof name, "capture-%d", i);
        json_array_append_new(
            processes, json_pack("{s:s, s:i, s:{}}", "name", name, "age_seconds", 1, "report"));
    }
    struct top_model *m = top_model_new("s");
    top_model_take(m, NULL, status, 1);
    json_decref(status);
    return m;
}

static void fits_every_size(void **state)
{
    (void)state;
    static const int sizes[][2] = {{1, 1},   {2, 10},   {5, 20},    {10, 40},   {24, 79},
                                   {24, 80}, {50, 200}, {100, 149}, {100, 151}, {1000, 1000}};
    struct top_model *few = model_of(document), *many = crowd();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int k = 0; k < 8; k++) {
            struct top_view v = {
                .clock = "12:34:56", .scroll = k & 1 ? 10000 : 0, .has_help = k >> 1 & 1};
            canvas.is_unicode = k >> 2;
            draw(few, &v, sizes[i][0], sizes[i][1]);
            draw(many, &v, sizes[i][0], sizes[i][1]);
        }
    canvas.is_unicode = 0;
    free(few);
    free(many);
}

static void scrolls_to_the_last(void **state)
{
    (void)state;
    struct top_model *m = crowd();
    struct top_view v = {.clock = ""};
    const char *text = draw(m, &v, 24, 80);
    has(text, "processes 1-");
    has(text, " of 320");
    has(text, "SAEs 1-");
    assert_true(m->left_out > 0);
    v.scroll = 10000;
    text = draw(m, &v, 24, 80);
    has(text, "trainer-main");
    has(text, "sae-255");
    int end = v.scroll;
    v.scroll--;
    draw(m, &v, 24, 80);
    assert_int_equal(v.scroll, end - 1);
    v = (struct top_view){.clock = ""};
    text = draw(m, &v, 50, 200); /* beside each other */
    const char *line = strstr(text, "processes 1-");
    assert_non_null(line);
    assert_true(strstr(line, "SAEs 1-") < strchr(line, '\n'));
    free(m);
}

static void a_curve_keeps_its_minutes(void **state)
{
    (void)state;
    struct top_model *m = top_model_new("s");
    json_t *status = json("{\"overview\": {}, \"processes\": []}");
    double column[4];
    for (int i = 0; i < 700; i++) {
        json_object_set_new(json_object_get(status, "overview"), "stored_rows_per_second",
                            json_real(i));
        top_model_take(m, NULL, i % 10 == 9 ? NULL : status, 1);
    }
    json_decref(status);
    top_model_columns(m, &m->ring[TOP_STORED], 10, 4, column);
    for (int i = 0; i < 4; i++) assert_true(column[i] == 660 + 10 * i + 4);
    double all[80];
    top_model_columns(m, &m->ring[TOP_STORED], 10, 80, all); /* before what is kept */
    assert_true(isnan(all[0]) && !isnan(all[79]));
    assert_true(all[20] == 104 && isnan(all[19]));
    free(m);
}

/* The curve of one that goes away and comes back is not another's. */
static void curves_stay_with_their_owners(void **state)
{
    (void)state;
    struct top_model *m = top_model_new("s");
    double column[2];
    for (int i = 0; i < 20; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{\"processes\": [%s {\"name\": \"capture-1\", \"age_seconds\": 1, \"report\": {},"
                 " \"rates\": {\"sluice_capture_rows_total\": 2}}]}",
                 i % 2 ? "{\"name\": \"capture-0\", \"age_seconds\": 1, \"report\": {}, \"rates\": "
                         "{\"sluice_capture_rows_total\": 1}},"
                       : "");
        json_t *status = json(text);
        top_model_take(m, NULL, status, 1);
        json_decref(status);
    }
    assert_int_equal(m->processes, 2);
    assert_string_equal(m->process[1].name, "capture-1");
    top_model_columns(m, &m->process[1].rates, 10, 2, column);
    assert_true(column[0] == 2 && column[1] == 2);
    top_model_columns(m, &m->process[0].rates, 1, 2, column);
    assert_true(isnan(column[0]) && column[1] == 1);
    free(m);
}

static void numbers_have_six_characters(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *text;
    } numbers[] = {{0, "0"},           {99999, "99,999"},   {100000, "100 k"},    {999499, "999 k"},
                   {999500, "1.00 M"}, {1234567, "1.23 M"}, {12345678, "12.3 M"}, {1e9, "1.00 G"},
                   {NAN, "-"}};
    char text[32];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        top_screen_number(numbers[i].number, text, sizeof text);
        assert_string_equal(text, numbers[i].text);
    }
}

static int tear_down(void **state)
{
    (void)state;
    free(canvas.cell);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_all_at_80_by_24),
        cmocka_unit_test(a_process_that_is_silent_has_no_rate),
        cmocka_unit_test(what_is_missing_is_a_dash),
        cmocka_unit_test(silence_is_told_until_it_is_over),
        cmocka_unit_test(fits_every_size),
        cmocka_unit_test(scrolls_to_the_last),
        cmocka_unit_test(a_curve_keeps_its_minutes),
        cmocka_unit_test(curves_stay_with_their_owners),
        cmocka_unit_test(numbers_have_six_characters),
    };
    return cmocka_run_group_tests_name("top's screen", tests, NULL, tear_down);
}
