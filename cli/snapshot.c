#include "cli/snapshot.h"

#include "base/err.h"
#include "base/fileio.h"
#include "cli/fetch.h"
#include "runtime/left_out.h"
#include "wiring/processes.h"

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
    int result = config_http_file(config, processes_section(PROCESS_BROKER), path);
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

static double labelled(const json_t *report, const char *name, const char *label)
{
    json_t *value = json_object_get(json_object_get(report, name), label);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* A process that is silent waits for nothing that anybody knows of. */
static void read_disk(const json_t *report, enum process_kind kind, const char *process,
                      struct disk_wait *wait)
{
    char name[96];
    static const char *const what[] = {"waiting_seconds", "free_bytes", "needed_bytes"};
    double value[3];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "sluice_%s_disk_%s", processes_section(kind), what[i]);
        value[i] = snapshot_metric(report, name);
    }
    if (!(value[0] > wait->seconds || isnan(wait->seconds))) return;
    *wait = (struct disk_wait){value[0], value[1], value[2], ""};
    snprintf(wait->process, sizeof wait->process, "%s", process);
}

/* What became of the rows: over all lives, where the capture tells that. */
static void read_rows(const json_t *report, struct snapshot *s)
{
    static const char name[] = "sluice_capture_stream_rows";
    if (!(snapshot_metric(report, name) > 0)) {
        add(&s->tokens, snapshot_metric(report, "sluice_capture_tokens_total"));
        add(&s->rejected_rows, snapshot_metric(report, "sluice_capture_rejected_rows_total"));
        add(&s->filtered_rows, snapshot_metric(report, "sluice_capture_filtered_rows_total"));
        return;
    }
    double special = labelled(report, name, "special"), first = labelled(report, name, "first"),
           norm = labelled(report, name, "norm");
    add(&s->tokens, snapshot_metric(report, name));
    add(&s->rejected_rows, labelled(report, name, "rejected"));
    add(&s->filtered_rows, special + first + norm);
    add(&s->special_rows, special);
    add(&s->first_rows, first);
    add(&s->norm_rows, norm);
}

static void read_documents(const json_t *report, struct snapshot *s)
{
    double read = snapshot_metric(report, "sluice_capture_documents_read");
    if (isnan(read) || s->documents >= read) return;
    s->documents = read;
    s->skipped = snapshot_metric(report, "sluice_capture_documents_skipped");
    s->replaced = snapshot_metric(report, "sluice_capture_documents_replaced");
}

static void read_capture(const json_t *report, const char *name, int is_fresh, struct snapshot *s)
{
    s->captures++;
    read_rows(report, s);
    read_documents(report, s);
    if (is_fresh) read_disk(report, PROCESS_CAPTURE, name, &s->capture_disk);
    add(&s->captured_rows, snapshot_metric(report, "sluice_capture_rows_total"));
    add(&s->shed_rows, snapshot_metric(report, "sluice_shed_rows_total"));
    greatest(&s->planned_rows, snapshot_metric(report, "sluice_stream_planned_rows"));
}

static void read_sink(const json_t *report, const char *name, struct snapshot *s)
{
    s->sinks++;
    double all = snapshot_metric(report, "sluice_stream_rows"),
           life = snapshot_metric(report, "sluice_sink_rows_total");
    add(&s->stored_rows, isnan(all) ? life : all);
    add(&s->life_rows, life);
    read_disk(report, PROCESS_SINK, name, &s->sink_disk);
    add(&s->producers, snapshot_metric(report, "sluice_sink_producers"));
    add(&s->ended_producers, snapshot_metric(report, "sluice_sink_ended_producers"));
    add(&s->buffer_slabs, snapshot_metric(report, "sluice_buffer_slabs"));
    add(&s->buffer_capacity_slabs, snapshot_metric(report, "sluice_buffer_capacity_slabs"));
}

static void read_trainer(const json_t *report, const char *name, struct snapshot *s)
{
    double rows = snapshot_metric(report, "sluice_trainer_rows_total");
    if (!isnan(rows) && !(s->trained_rows <= rows)) s->trained_rows = rows; /* the least */
    greatest(&s->planned_draws, snapshot_metric(report, "sluice_trainer_planned_rows"));
    read_disk(report, PROCESS_TRAINER, name, &s->trainer_disk);
    if (s->trainers++ > 0) return;
    s->fve = first_of(report, "sluice_trainer_fve_ratio");
    s->l0 = first_of(report, "sluice_trainer_l0");
    s->dead = first_of(report, "sluice_trainer_dead_features");
    s->features = first_of(report, "sluice_trainer_features");
    s->held_out_rows = snapshot_metric(report, "sluice_trainer_held_out_rows");
    s->passed_over_rows = snapshot_metric(report, "sluice_trainer_skipped_rows_total");
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

/* Every number is unknown. */
static struct snapshot unknown(void)
{
    static const struct disk_wait nobody = {NAN, NAN, NAN, ""};
    return (struct snapshot){
        .tokens = NAN,
        .captured_rows = NAN,
        .stored_rows = NAN,
        .life_rows = NAN,
        .planned_rows = NAN,
        .shed_rows = NAN,
        .rejected_rows = NAN,
        .filtered_rows = NAN,
        .special_rows = NAN,
        .first_rows = NAN,
        .norm_rows = NAN,
        .documents = NAN,
        .skipped = NAN,
        .replaced = NAN,
        .buffer_slabs = NAN,
        .buffer_capacity_slabs = NAN,
        .trained_rows = NAN,
        .planned_draws = NAN,
        .fve = NAN,
        .l0 = NAN,
        .dead = NAN,
        .features = NAN,
        .held_out_rows = NAN,
        .passed_over_rows = NAN,
        .producers = NAN,
        .ended_producers = NAN,
        .sink_disk = nobody,
        .trainer_disk = nobody,
        .capture_disk = nobody,
    };
}

void snapshot_read(const json_t *status, struct snapshot *snapshot)
{
    struct snapshot s = unknown();
    json_t *processes = json_object_get(status, "processes"), *process;
    size_t i;
    json_array_foreach(processes, i, process)
    {
        const char *kind = json_string_value(json_object_get(process, "kind"));
        const char *name = json_string_value(json_object_get(process, "name"));
        const json_t *report = json_object_get(process, "report");
        int is_fresh = json_number_value(json_object_get(process, "age_seconds")) <= fresh_seconds;
        /* A capture that has ended is silent; its totals still count. */
        int which = kind && name ? processes_kind_of(kind) : -1;
        if (!is_fresh && which != PROCESS_CAPTURE) continue;
        if (which == PROCESS_CAPTURE) read_capture(report, name, is_fresh, &s);
        if (which == PROCESS_SINK) read_sink(report, name, &s);
        if (which == PROCESS_TRAINER) read_trainer(report, name, &s);
    }
    *snapshot = s;
}

void snapshot_take_files(const struct config *config, struct snapshot *s)
{
    struct left_out l;
    if (left_out_read_all(config, &l) != ERR_OK) return;
    if (l.has_corpus && !(s->documents >= (double)l.documents)) {
        s->documents = (double)l.documents;
        s->skipped = (double)left_out_skipped(&l);
        s->replaced = (double)l.replaced;
    }
    if (s->tokens >= (double)left_out_rows(&l)) return;
    s->tokens = (double)left_out_rows(&l);
    s->filtered_rows = (double)left_out_filtered(&l);
    s->special_rows = (double)l.special_rows;
    s->first_rows = (double)l.first_rows;
    s->norm_rows = (double)l.norm_rows;
    s->rejected_rows = (double)l.rejected_rows;
}
