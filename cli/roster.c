#include "cli/roster.h"

#include "proto/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double unwell_seconds = 60; /* as runtime/readiness.h has it */

static const char *const words[ROSTER_STATES] = {
    [ROSTER_OK] = "ok",         [ROSTER_ENDED] = "ended",   [ROSTER_NOT_READY] = "not ready",
    [ROSTER_UNWELL] = "unwell", [ROSTER_SILENT] = "silent", [ROSTER_MISSING] = "missing"};

const char *roster_word(enum roster_state state)
{
    return words[state];
}

static void judge(struct roster_entry *e, double age_seconds, int is_through)
{
    double unready = report_number(e->report, REPORT_PROCESS_UNREADY_SECONDS);
    e->seconds = NAN;
    if (age_seconds > REPORT_SILENT_SECONDS) {
        e->state = is_through ? ROSTER_ENDED : ROSTER_SILENT;
        e->seconds = age_seconds;
        e->rates = NULL;
    } else if (unready > 0) {
        e->state = unready >= unwell_seconds ? ROSTER_UNWELL : ROSTER_NOT_READY;
        e->seconds = unready;
    }
}

static struct roster_entry *add(struct roster *r, const char *name)
{
    if (r->count == ROSTER_MAX) {
        r->left_out++;
        return NULL;
    }
    struct roster_entry *e = &r->entry[r->count++];
    *e = (struct roster_entry){.kind = processes_kind_of(name), .seconds = NAN};
    snprintf(e->name, sizeof e->name, "%s", name);
    return e;
}

static int has(const struct roster *r, const char *name)
{
    for (int i = 0; i < r->count; i++)
        if (strcmp(r->entry[i].name, name) == 0) return 1;
    return 0;
}

/* What the sink last reported; NULL: there is none. It tells who is through, also of those of whom a
 * new broker has never heard. */
static const json_t *sink_of(const json_t *processes)
{
    json_t *process;
    size_t i;
    json_array_foreach(processes, i, process)
    {
        const char *kind = json_string_value(json_object_get(process, "kind"));
        if (kind && processes_kind_of(kind) == PROCESS_SINK)
            return json_object_get(process, "report");
    }
    return NULL;
}

static int is_through_by_sink(const json_t *sink, int kind, const char *which)
{
    if (kind == PROCESS_CAPTURE)
        return report_labelled(sink, REPORT_SINK_PRODUCER_ENDED, which) > 0 ||
               report_number(sink, REPORT_SINK_ENDED) > 0;
    return kind == PROCESS_TRAINER &&
           report_labelled(sink, REPORT_SINK_CONSUMER_FINISHED, which) > 0;
}

static void add_missing(const struct config *config, const struct part *part, const json_t *sink,
                        struct roster *r)
{
    for (int kind = 0; kind < PROCESS_KINDS; kind++) {
        enum process_kind k = (enum process_kind)kind;
        for (uint32_t i = 0; i < processes_count(config, k); i++) {
            char number[16], name[64];
            const char *which = processes_which(config, k, i, number);
            processes_name(k, which, name, sizeof name);
            if (has(r, name) || !part_has(part, k, name)) continue;
            struct roster_entry *e = add(r, name);
            if (e) e->state = is_through_by_sink(sink, k, which) ? ROSTER_ENDED : ROSTER_MISSING;
        }
    }
}

/* As rows flow. */
static int compare(const void *left, const void *right)
{
    static const int order[PROCESS_KINDS] = {
        [PROCESS_CAPTURE] = 0, [PROCESS_BROKER] = 1, [PROCESS_SINK] = 2, [PROCESS_TRAINER] = 3};
    const struct roster_entry *a = left, *b = right;
    int x = a->kind < 0 ? PROCESS_KINDS : order[a->kind],
        y = b->kind < 0 ? PROCESS_KINDS : order[b->kind];
    return x != y ? (x > y) - (x < y) : strverscmp(a->name, b->name);
}

void roster_read(const struct config *config, const struct part *part, const json_t *status,
                 struct roster *r)
{
    json_t *processes = json_object_get(status, "processes"), *process;
    const json_t *sink = sink_of(processes);
    size_t i;
    r->count = r->left_out = 0;
    json_array_foreach(processes, i, process)
    {
        const char *name = json_string_value(json_object_get(process, "name"));
        struct roster_entry *e = name && name[0] && !has(r, name) ? add(r, name) : NULL;
        if (!e) continue;
        e->report = json_object_get(process, "report");
        e->rates = json_object_get(process, "rates");
        judge(e, json_number_value(json_object_get(process, "age_seconds")),
              json_is_true(json_object_get(process, "is_through")) ||
                  is_through_by_sink(sink, e->kind, processes_which_of(name)));
    }
    if (config) add_missing(config, part, sink, r);
    qsort(r->entry, (size_t)r->count, sizeof *r->entry, compare);
}
