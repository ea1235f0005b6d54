#include "cli/snapshot.h"

#include "base/err.h"
#include "base/fileio.h"
#include "cli/fetch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MS = 500 };
static const double fresh_seconds = 5;

int snapshot_fetch(const struct config *config, json_t **status)
{
    char path[CONFIG_PATH_BYTES], *address, *body;
    size_t bytes;
    json_error_t error;
    int result = config_http_file(config, "broker", path);
    if (result == ERR_OK) result = file_read(path, 256, &address, &bytes);
    if (result != ERR_OK) return result;
    address[strcspn(address, "\r\n")] = '\0';
    result = fetch(address, "/api/status", ANSWER_MS, &body, &bytes);
    free(address);
    if (result != ERR_OK) return result;
    *status = json_loadb(body, bytes, 0, &error);
    free(body);
    return *status ? ERR_OK : err_set(ERR_FORMAT, "the broker's status is no JSON: %s", error.text);
}

double snapshot_metric(const json_t *report, const char *name)
{
    json_t *value = json_object_get(report, name);
    if (json_is_number(value)) return json_number_value(value);
    if (!json_is_object(value)) return NAN;
    double sum = NAN;
    const char *key;
    json_t *item;
    json_object_foreach(value, key, item)
    {
        if (json_is_number(item)) sum = (isnan(sum) ? 0 : sum) + json_number_value(item);
    }
    return sum;
}

/* The first labelled value: that of the first SAE. */
static double first_of(const json_t *report, const char *name)
{
    json_t *value = json_object_get(report, name);
    void *first = json_object_iter(value);
    if (!first) return snapshot_metric(report, name);
    value = json_object_iter_value(first);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void add(double *total, double value)
{
    if (isnan(value)) return;
    *total = (isnan(*total) ? 0 : *total) + value;
}

static void greatest(double *total, double value)
{
    if (!isnan(value) && !(*total > value)) *total = value;
}

static void read_capture(const json_t *report, struct snapshot *s)
{
    s->captures++;
    add(&s->tokens, snapshot_metric(report, "sluice_capture_tokens_total"));
    add(&s->captured_rows, snapshot_metric(report, "sluice_capture_rows_total"));
    add(&s->shed_rows, snapshot_metric(report, "sluice_shed_rows_total"));
    add(&s->rejected_rows, snapshot_metric(report, "sluice_capture_rejected_rows_total"));
    add(&s->filtered_rows, snapshot_metric(report, "sluice_capture_filtered_rows_total"));
    greatest(&s->planned_rows, snapshot_metric(report, "sluice_stream_planned_rows"));
}

static void read_sink(const json_t *report, struct snapshot *s)
{
    s->sinks++;
    add(&s->stored_rows, snapshot_metric(report, "sluice_sink_rows_total"));
    add(&s->producers, snapshot_metric(report, "sluice_sink_producers"));
    add(&s->ended_producers, snapshot_metric(report, "sluice_sink_ended_producers"));
    add(&s->buffer_slabs, snapshot_metric(report, "sluice_buffer_slabs"));
    add(&s->buffer_capacity_slabs, snapshot_metric(report, "sluice_buffer_capacity_slabs"));
}

static void read_trainer(const json_t *report, struct snapshot *s)
{
    double rows = snapshot_metric(report, "sluice_trainer_rows_total");
    if (!isnan(rows) && !(s->trained_rows <= rows)) s->trained_rows = rows; /* the least */
    greatest(&s->planned_draws, snapshot_metric(report, "sluice_trainer_planned_rows"));
    if (s->trainers++ > 0) return;
    s->fve = first_of(report, "sluice_trainer_fve_ratio");
    s->l0 = first_of(report, "sluice_trainer_l0");
    s->dead = first_of(report, "sluice_trainer_dead_features");
    s->features = first_of(report, "sluice_trainer_features");
    s->held_out_rows = snapshot_metric(report, "sluice_trainer_held_out_rows");
}

int snapshot_has(const json_t *status, const char *name)
{
    json_t *process;
    size_t i;
    json_array_foreach(json_object_get(status, "processes"), i, process)
    {
        const char *its = json_string_value(json_object_get(process, "name"));
        double age = json_number_value(json_object_get(process, "age_seconds"));
        if (its && strcmp(its, name) == 0 && age <= fresh_seconds) return 1;
    }
    return 0;
}

void snapshot_read(const json_t *status, struct snapshot *snapshot)
{
    struct snapshot s = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN,
                         NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0,   0,   0};
    json_t *processes = json_object_get(status, "processes"), *process;
    size_t i;
    json_array_foreach(processes, i, process)
    {
        const char *kind = json_string_value(json_object_get(process, "kind"));
        const json_t *report = json_object_get(process, "report");
        double age = json_number_value(json_object_get(process, "age_seconds"));
        /* A capture that has ended is silent; its totals still count. */
        if (!kind || (age > fresh_seconds && strcmp(kind, "capture") != 0)) continue;
        if (strcmp(kind, "capture") == 0) read_capture(report, &s);
        if (strcmp(kind, "sink") == 0) read_sink(report, &s);
        if (strcmp(kind, "trainer") == 0) read_trainer(report, &s);
    }
    *snapshot = s;
}
