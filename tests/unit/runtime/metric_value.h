/* The value of a metric, as a report has it. */
#ifndef SLUICE_TESTS_METRIC_VALUE_H
#define SLUICE_TESTS_METRIC_VALUE_H

#include "runtime/metrics.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* At that label (NULL: it has none); NaN where there is none, or it is no number. */
static double metric_value(const struct metrics *metrics, const char *name, const char *label)
{
    char *text;
    size_t bytes;
    if (metrics_json(metrics, &text, &bytes)) return NAN;
    json_t *root = json_loadb(text, bytes, 0, NULL);
    const json_t *value = json_object_get(root, name);
    if (label) value = json_object_get(value, label);
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    json_decref(root);
    free(text);
    return number;
}

#endif
