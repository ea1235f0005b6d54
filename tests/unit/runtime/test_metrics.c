/* Metrics: the table's rules, the text format, JSON, values from many threads. */
#include "runtime/metrics.h"

#include "base/err.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "tests/unit/runtime/exposition.h"
#include "tests/unit/runtime/metric_value.h"

enum { ROWS, FILL, STEP, BY_PRODUCER, LATENCY };
static const struct metric table[] = {
    [ROWS] = {.name = "sluice_rows_total", .kind = METRIC_COUNTER, .unit = "rows", .help = "Rows."},
    [FILL] = {.name = "sluice_fill_bytes", .kind = METRIC_GAUGE, .unit = "bytes", .help = "Fill."},
    [STEP] = {.name = "sluice_step_seconds",
              .kind = METRIC_HISTOGRAM,
              .unit = "seconds",
              .help = "Step.",
              .bucket = {0.01, 0.1, 1}},
    [BY_PRODUCER] = {.name = "sluice_shed_rows_total",
                     .kind = METRIC_COUNTER,
                     .unit = "rows",
                     .help = "Shed.",
                     .label = "producer",
                     .series = 3},
    [LATENCY] = {.name = "sluice_latency_seconds",
                 .kind = METRIC_HISTOGRAM,
                 .unit = "seconds",
                 .help = "Latency.",
                 .label = "sae",
                 .series = 2,
                 .bucket = {0.5}},
};

static struct metrics *metrics;

static int set_up(void **state)
{
    (void)state;
    return metrics_new(table, sizeof table / sizeof table[0], &metrics);
}

static int tear_down(void **state)
{
    (void)state;
    metrics_free(metrics);
    metrics = NULL;
    return 0;
}

static void test_text(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    metrics_add(metrics, ROWS, 5);
    metrics_set(metrics, FILL, 1.5);
    metrics_observe(metrics, STEP, 0.1); /* a bound belongs to its bucket */
    metrics_observe(metrics, STEP, 0.05);
    metrics_observe(metrics, STEP, 100);
    metrics_label(metrics, BY_PRODUCER, 1, "a\"b\\c");
    metrics_add_at(metrics, BY_PRODUCER, 1, 7);
    metrics_label(metrics, LATENCY, 0, "x");
    metrics_observe_at(metrics, LATENCY, 0, 1);
    assert_int_equal(metrics_text(metrics, &text, &bytes), ERR_OK);
    assert_int_equal(strlen(text), bytes);
    if (!exposition_ok(text)) fail_msg("%s", exposition_why);
    assert_non_null(strstr(text,
                           "# HELP sluice_rows_total Rows.\n# TYPE sluice_rows_total counter\n"
                           "sluice_rows_total 5\n"));
    assert_non_null(strstr(text, "sluice_fill_bytes 1.5\n"));
    assert_non_null(strstr(text, "sluice_step_seconds_bucket{le=\"0.01\"} 0\n"
                                 "sluice_step_seconds_bucket{le=\"0.1\"} 2\n"
                                 "sluice_step_seconds_bucket{le=\"1\"} 2\n"
                                 "sluice_step_seconds_bucket{le=\"+Inf\"} 3\n"
                                 "sluice_step_seconds_sum 100.15\n"
                                 "sluice_step_seconds_count 3\n"));
    assert_non_null(strstr(text, "sluice_shed_rows_total{producer=\"a\\\"b\\\\c\"} 7\n"));
    assert_non_null(strstr(text, "sluice_latency_seconds_bucket{sae=\"x\",le=\"+Inf\"} 1\n"));
    free(text);
}

/* The check itself must be able to fail. */
static void test_the_check_sees_mistakes(void **state)
{
    (void)state;
    assert_false(exposition_ok("a 1\n"));
    assert_false(exposition_ok("# HELP a x\n# TYPE a counter\na 1\n"));
    assert_false(exposition_ok("# HELP a x\n# TYPE a gauge\na 1"));
    assert_false(exposition_ok("# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\n"
                               "a_bucket{le=\"+Inf\"} 1\na_count 1\n"));
    assert_false(exposition_ok("# HELP a x\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\n"
                               "a_count 2\n"));
    assert_true(exposition_ok("# HELP a x\n# TYPE a gauge\na 1\n"));
}

static void test_json(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    metrics_add(metrics, ROWS, 5);
    metrics_set(metrics, FILL, NAN);
    metrics_observe(metrics, STEP, 0.05);
    metrics_label(metrics, BY_PRODUCER, 2, "p");
    assert_int_equal(metrics_json(metrics, &text, &bytes), ERR_OK);
    json_t *root = json_loadb(text, bytes, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "sluice_rows_total")), 5);
    assert_true(json_is_null(json_object_get(root, "sluice_fill_bytes")));
    json_t *step = json_object_get(root, "sluice_step_seconds");
    assert_int_equal(json_integer_value(json_object_get(step, "count")), 1);
    assert_int_equal(json_array_size(json_object_get(step, "buckets")), 3);
    json_t *shed = json_object_get(root, "sluice_shed_rows_total");
    assert_int_equal(json_object_size(shed), 1);
    assert_non_null(json_object_get(shed, "p"));
    json_decref(root);
    free(text);
}

static void test_counters_never_go_back(void **state)
{
    (void)state;
    metrics_set(metrics, ROWS, 10);
    metrics_set(metrics, ROWS, 4);
    metrics_add(metrics, ROWS, -1);
    metrics_add(metrics, ROWS, NAN);
    metrics_set(metrics, ROWS, NAN);
    assert_true(metric_value(metrics, "sluice_rows_total", NULL) == 10);
    metrics_set(metrics, FILL, 10);
    metrics_set(metrics, FILL, 4);
    assert_true(metric_value(metrics, "sluice_fill_bytes", NULL) == 4);
    /* beyond the table: nothing happens */
    metrics_add(metrics, 99, 1);
    metrics_add_at(metrics, BY_PRODUCER, 3, 1);
    metrics_observe(metrics, ROWS, 1);
}

/* To Prometheus a counter that goes from 0 to what earlier lives counted has grown by that. */
static void what_is_not_known_yet_is_not_shown(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    metrics_set(metrics, ROWS, NAN);
    metrics_label(metrics, BY_PRODUCER, 0, "p");
    metrics_set_at(metrics, BY_PRODUCER, 0, NAN);
    assert_int_equal(metrics_text(metrics, &text, &bytes), ERR_OK);
    assert_non_null(strstr(text, "# TYPE sluice_rows_total counter\n"));
    assert_null(strstr(text, "\nsluice_rows_total "));
    assert_null(strstr(text, "\nsluice_shed_rows_total{"));
    free(text);
    metrics_set(metrics, ROWS, 500);
    metrics_set_at(metrics, BY_PRODUCER, 0, 7);
    assert_true(metric_value(metrics, "sluice_rows_total", NULL) == 500);
    assert_true(metric_value(metrics, "sluice_shed_rows_total", "p") == 7);
}

/* Wrong in one thing alone: the table would do, but for what `why` names. */
static void refused(struct metric m, const char *why)
{
    struct metrics *none = NULL;
    assert_int_equal(metrics_new(&m, 1, &none), ERR_INTERNAL);
    if (!strstr(err_text(), why)) fail_msg("'%s' says nothing of '%s'", err_text(), why);
}

static void test_bad_tables(void **state)
{
    (void)state;
    refused((struct metric){.name = "rows_total", .unit = "rows", .help = "x"}, "bad name");
    refused((struct metric){.unit = "rows", .help = "x"}, "bad name");
    refused((struct metric){.name = "sluice_rows", .unit = "rows", .help = "x"}, "_total");
    refused(
        (struct metric){
            .name = "sluice_rows_total", .kind = METRIC_GAUGE, .unit = "rows", .help = "x"},
        "_total");
    refused((struct metric){.name = "sluice_Rows_total", .unit = "rows", .help = "x"}, "bad name");
    refused((struct metric){.name = "sluice_rows_total", .unit = "rows"}, "no help");
    refused(
        (struct metric){
            .name = "sluice_a_count", .kind = METRIC_GAUGE, .unit = "none", .help = "x"},
        "reserved");
    refused(
        (struct metric){.name = "sluice_a", .kind = METRIC_HISTOGRAM, .unit = "none", .help = "x"},
        "buckets");
    refused((struct metric){.name = "sluice_a",
                            .kind = METRIC_HISTOGRAM,
                            .unit = "none",
                            .help = "x",
                            .bucket = {2, 1}},
            "ascend");
    refused((struct metric){.name = "sluice_a_total", .unit = "none", .help = "x", .label = "l"},
            "unbounded");
    refused((struct metric){.name = "sluice_a_total",
                            .unit = "none",
                            .help = "x",
                            .label = "l",
                            .series = METRIC_MAX_SERIES + 1},
            "unbounded");
    refused((struct metric){.name = "sluice_a_total", .unit = "none", .help = "x", .series = 1},
            "without a label");
    struct metric twice[] = {table[0], table[0]};
    struct metrics *none = NULL;
    assert_int_equal(metrics_new(twice, 2, &none), ERR_INTERNAL);
}

static void test_units_are_those_of_the_names(void **state)
{
    (void)state;
    struct metric m = {.name = "sluice_a_total", .help = "x"};
    refused(m, "no unit");
    m.unit = "seconds"; /* the name must say so */
    refused(m, "its unit is not that of its name");
    m = (struct metric){
        .name = "sluice_a_bytes", .kind = METRIC_GAUGE, .unit = "rows", .help = "x"};
    refused(m, "its unit is not that of its name");
    m.name = "sluice_a_frames";
    refused(m, "its unit is not that of its name");
}

/* What a table's macro makes, and labels whose values the table has. */
static const char *const colours[] = {NULL, "red", "green"};
#define SOME_METRICS(M)                                                                            \
    M(PLAIN, GAUGE, "sluice_plain", "none", "Plain.")                                              \
    M(PAINT, COUNTER, "sluice_paint_total", "litres", "Paint.",                                    \
      METRIC_ONE_OF("colour", 3, colours))                                                         \
    M(WALLS, GAUGE, "sluice_walls", "walls", "Walls.", METRIC_PER("house", 2))                     \
    M(DRYING, HISTOGRAM, "sluice_drying_seconds", "seconds", "Drying.", METRIC_BOUNDS(1, 2))
enum gauge { SOME_METRICS(METRIC_ID) GAUGES };
static const struct metric some[GAUGES] = {SOME_METRICS(METRIC_ROW)};

static void test_a_macro_makes_the_table(void **state)
{
    (void)state;
    struct metrics *m;
    assert_int_equal(metrics_new(some, GAUGES, &m), ERR_OK);
    assert_string_equal(some[GAUGE_WALLS].name, "sluice_walls");
    assert_true(some[GAUGE_DRYING].bucket[1] == 2);
    metrics_add_at(m, GAUGE_PAINT, 2, 4);
    metrics_set_at(m, GAUGE_WALLS, 0, 3); /* of no house that has a name */
    assert_true(metric_value(m, "sluice_paint_total", "green") == 4);
    assert_true(metric_value(m, "sluice_paint_total", "red") == 0);
    assert_true(isnan(metric_value(m, "sluice_walls", "")));
    metrics_label(m, GAUGE_WALLS, 0, "mine");
    assert_true(metric_value(m, "sluice_walls", "mine") == 3);
    metrics_free(m);
}

static void test_markdown(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    metrics_markdown(some, GAUGES, out);
    fclose(out);
    assert_string_equal(text, "| name | type | unit | label | meaning |\n|---|---|---|---|---|\n"
                              "| `sluice_plain` | gauge |  |  | Plain. |\n"
                              "| `sluice_paint_total` | counter | litres | `colour`: red, green | "
                              "Paint. |\n"
                              "| `sluice_walls` | gauge | walls | `house` | Walls. |\n"
                              "| `sluice_drying_seconds` | histogram | seconds |  | Drying. |\n");
    free(text);
}

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        metrics_add(metrics, ROWS, 1);
        metrics_observe(metrics, STEP, 0.05);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    char *text;
    size_t bytes;
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, count, NULL);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(metrics_text(metrics, &text, &bytes), ERR_OK);
        if (!exposition_ok(text)) fail_msg("%s", exposition_why);
        free(text);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_true(metric_value(metrics, "sluice_rows_total", NULL) == 80000);
    assert_int_equal(metrics_text(metrics, &text, &bytes), ERR_OK);
    assert_non_null(strstr(text, "sluice_step_seconds_count 80000\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
        cmocka_unit_test(test_the_check_sees_mistakes),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counters_never_go_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_known_yet_is_not_shown, set_up, tear_down),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_units_are_those_of_the_names),
        cmocka_unit_test(test_a_macro_makes_the_table),
        cmocka_unit_test(test_markdown),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
