#include "proto/report.h"

#include <math.h>

#define NAME_OF(ID, NAME, KIND) [REPORT_##ID] = NAME,
#define KIND_OF(ID, NAME, KIND) [REPORT_##ID] = KIND,
const char report_names[REPORT_IDS][REPORT_NAME_BYTES] = {REPORT_TABLE(NAME_OF)};
const char report_kinds[REPORT_IDS][16] = {REPORT_TABLE(KIND_OF)};

const char *const report_fates[REPORT_FATES] = {
    [REPORT_KEPT] = "kept", [REPORT_SPECIAL] = "special",   [REPORT_FIRST] = "first",
    [REPORT_NORM] = "norm", [REPORT_REJECTED] = "rejected",
};

static double number_of(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

double report_number(const json_t *report, enum report_id id)
{
    json_t *value = json_object_get(report, report_names[id]), *item;
    const char *key;
    double sum = NAN;
    if (!json_is_object(value)) return number_of(value);
    json_object_foreach(value, key, item)
    {
        if (json_is_number(item)) sum = (isnan(sum) ? 0 : sum) + json_number_value(item);
    }
    return sum;
}

double report_labelled(const json_t *report, enum report_id id, const char *label)
{
    return number_of(json_object_get(json_object_get(report, report_names[id]), label));
}

double report_first(const json_t *report, enum report_id id)
{
    void *first = json_object_iter(json_object_get(report, report_names[id]));
    return first ? number_of(json_object_iter_value(first)) : report_number(report, id);
}

double report_shed_rows(const json_t *report)
{
    double all = report_number(report, REPORT_CAPTURE_STREAM_SHED_ROWS);
    return isnan(all) ? report_number(report, REPORT_CAPTURE_SHED_ROWS) : all;
}
