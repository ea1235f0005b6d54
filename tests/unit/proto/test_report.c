/* The names that cross processes: readers of a report, and that a process of that kind declares
 * each of them (docs/METRICS.md is what the processes declare; tests/setup/test_man.sh holds
 * it). */
#include "proto/report.h"

#include "base/err.h"
#include "base/fileio.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *json(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    assert_non_null(value);
    return value;
}

static void names_are_right_and_there_once(void **state)
{
    (void)state;
    for (int i = 0; i < REPORT_IDS; i++) {
        assert_int_equal(strncmp(report_names[i], "sluice_", 7), 0);
        assert_true(strlen(report_names[i]) < REPORT_NAME_BYTES);
        assert_true(report_kinds[i][0]);
        for (int j = 0; j < i; j++) assert_string_not_equal(report_names[i], report_names[j]);
    }
    assert_string_equal(REPORT(SINK_DISK_FREE_BYTES), "sluice_sink_disk_free_bytes");
    for (int i = 0; i < REPORT_FATES; i++) assert_non_null(report_fates[i]);
    assert_int_equal(REPORT_FILTERS, 3);
}

/* The section of a process in docs/METRICS.md; ends where the next one begins. */
static char *section(const char *text, const char *kind)
{
    char heading[64];
    snprintf(heading, sizeof heading, "\n## sluice-%.15s\n", kind);
    const char *begin = strstr(text, heading);
    if (!begin) fail_msg("docs/METRICS.md has no section of %s", kind);
    begin += strlen(heading);
    const char *end = strstr(begin, "\n## ");
    return end ? strndup(begin, (size_t)(end - begin)) : strdup(begin);
}

static void each_is_declared_by_its_process(void **state)
{
    (void)state;
    char *text, row[REPORT_NAME_BYTES + 8];
    size_t bytes;
    if (file_read("docs/METRICS.md", 1 << 20, &text, &bytes)) fail_msg("%s", err_text());
    for (int i = 0; i < REPORT_IDS; i++) {
        char *its = section(text, report_kinds[i]);
        snprintf(row, sizeof row, "\n| `%.63s` |", report_names[i]);
        if (!strstr(its, row))
            fail_msg("no sluice-%s declares %s, which others read", report_kinds[i],
                     report_names[i]);
        free(its);
    }
    free(text);
}

static void a_number_is_a_value_or_a_sum(void **state)
{
    (void)state;
    json_t *r = json("{\"sluice_sink_rows_total\": 7, \"sluice_capture_filtered_rows_total\":"
                     " {\"special\": 1, \"first\": null, \"norm\": 2},"
                     " \"sluice_trainer_l0\": {\"b\": 3, \"a\": 4}, \"sluice_stream_rows\": null,"
                     " \"sluice_trainer_fve_ratio\": {\"b\": null, \"a\": 1}}");
    assert_true(report_number(r, REPORT_SINK_ROWS) == 7);
    assert_true(report_number(r, REPORT_CAPTURE_FILTERED_ROWS) == 3);
    assert_true(isnan(report_number(r, REPORT_SINK_STREAM_ROWS)));
    assert_true(isnan(report_number(r, REPORT_SINK_PRODUCERS)));
    assert_true(isnan(report_number(NULL, REPORT_SINK_ROWS)));
    assert_true(report_labelled(r, REPORT_CAPTURE_FILTERED_ROWS, report_fates[REPORT_NORM]) == 2);
    assert_true(isnan(report_labelled(r, REPORT_CAPTURE_FILTERED_ROWS, "first")));
    assert_true(isnan(report_labelled(r, REPORT_SINK_ROWS, "norm")));
    assert_true(report_first(r, REPORT_TRAINER_L0) == 3);
    assert_true(isnan(report_first(r, REPORT_TRAINER_FVE))); /* not that of another SAE */
    assert_true(report_first(r, REPORT_SINK_ROWS) == 7);
    assert_true(isnan(report_first(r, REPORT_TRAINER_FEATURES)));
    json_decref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_right_and_there_once),
        cmocka_unit_test(each_is_declared_by_its_process),
        cmocka_unit_test(a_number_is_a_value_or_a_sum),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
