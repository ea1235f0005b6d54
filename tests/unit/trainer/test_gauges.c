/* The report of a trainer with as many autoencoders as there may be finds room in its message. */
#include "trainer/gauges.h"

#include "base/err.h"
#include "config/config.h"
#include "proto/message.h"
#include "runtime/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Numbers as long as a report writes them, names as long as the configuration takes them. */
static void fill(struct metrics *metrics)
{
    char name[MESSAGE_NAME_BYTES];
    for (size_t g = 0; g < GAUGES; g++) {
        for (uint32_t i = 0; i < CONFIG_MAX_SAES; i++) {
            if (!trainer_gauges[g].label) continue;
            snprintf(name, sizeof name, "%02u-%060d", i, 0);
            metrics_label(metrics, g, i, name);
            metrics_set_at(metrics, g, i, -1.23456789e-300);
        }
        if (trainer_gauges[g].label) continue;
        if (trainer_gauges[g].kind == METRIC_HISTOGRAM)
            metrics_observe(metrics, g, 1.23456789e-5);
        else
            metrics_set(metrics, g, 1.23456789e-300);
    }
}

static void the_largest_report_finds_room(void **state)
{
    (void)state;
    struct metrics *metrics;
    char *text;
    size_t bytes;
    assert_int_equal(metrics_new(trainer_gauges, GAUGES, &metrics), ERR_OK);
    fill(metrics);
    assert_int_equal(metrics_json(metrics, &text, &bytes), ERR_OK);
    print_message("%zu bytes of %d\n", bytes, MESSAGE_MAX_REPORT_BYTES);
    assert_true(bytes + 1024 < MESSAGE_MAX_REPORT_BYTES); /* what every process adds */
    free(text);
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_largest_report_finds_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
