/* The last error goes with the report. */
#include "runtime/last_error.h"

#include "proto/report.h"
#include "runtime/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static json_t *put_into(const char *report)
{
    char *text = strdup(report);
    size_t bytes = strlen(text);
    last_error_put(&text, &bytes);
    assert_int_equal(strlen(text), bytes);
    json_t *json = json_loads(text, 0, NULL);
    if (!json) fail_msg("no JSON: %s", text);
    free(text);
    return json;
}

static const json_t *last(const json_t *report, const char *key)
{
    return json_object_get(json_object_get(report, REPORT_LAST_ERROR), key);
}

static void goes_with_the_report(void **state)
{
    (void)state;
    json_t *report = put_into("{\"a\":1}");
    assert_int_equal(json_object_size(report), 1); /* there was none */
    json_decref(report);
    log_warn("not an error");
    log_event(LOG_ERROR, "cannot write \"it\"", LOG_S("why", "disk full"), LOG_U("bytes", 5));
    report = put_into("{\"a\":1}");
    assert_int_equal(json_object_size(report), 2);
    assert_int_equal(json_integer_value(json_object_get(report, "a")), 1);
    assert_string_equal(json_string_value(last(report, "text")),
                        "cannot write \"it\" why=\"disk full\" bytes=5");
    assert_int_equal(json_integer_value(last(report, "number")), 1);
    assert_true(json_number_value(last(report, "seconds_ago")) >= 0);
    json_decref(report);
}

/* A path may be anything, and long. */
static void any_text_is_json(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'a', sizeof text);
    memcpy(text, "\xff\xc3(\x01\n", 5);
    text[sizeof text - 1] = '\0';
    log_error("%s", text);
    json_t *report = put_into("{\"a\":1}");
    const char *kept = json_string_value(last(report, "text"));
    assert_int_equal(json_integer_value(last(report, "number")), 2);
    assert_non_null(kept);
    assert_in_range(strlen(kept), 200, REPORT_ERROR_BYTES - 1);
    json_decref(report);
}

/* They are kept whether or not there is room for one line more in the log. */
static void a_flood_is_counted(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) log_error("again");
    struct log_last now;
    log_last_error(&now);
    assert_int_equal(now.number, 2002);
}

int main(void)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), err = dup(STDERR_FILENO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_with_the_report),
        cmocka_unit_test(any_text_is_json),
        cmocka_unit_test(a_flood_is_counted),
    };
    dup2(nowhere, STDERR_FILENO); /* what is logged here is nobody's to read */
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dup2(err, STDERR_FILENO);
    return failed;
}
