#include "cli/top_model.h"

#include "proto/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_OF(ID, NAME) [TOP_##ID] = NAME,
static const char *const names[TOP_NUMBERS] = {TOP_MODEL_TABLE(NAME_OF)};

static double number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void text_of(const json_t *object, const char *name, char *out, size_t bytes)
{
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(out, bytes, "%s", text ? text : "");
}

static void clear(struct top_ring *ring)
{
    for (int i = 0; i < TOP_MODEL_SAMPLES; i++) ring->value[i] = NAN;
}

static void note(const struct top_model *m, struct top_ring *ring, double value)
{
    ring->value[m->samples % TOP_MODEL_SAMPLES] = (float)value;
}

struct top_model *top_model_new(const char *stream)
{
    struct top_model *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    snprintf(m->stream, sizeof m->stream, "%s", stream);
    for (int i = 0; i < TOP_NUMBERS; i++) {
        m->number[i] = NAN;
        clear(&m->ring[i]);
    }
    return m;
}

/* The rows that a process of each kind moves; of a broker, which looks into none, frames. */
static double rate_of(const struct roster_entry *e)
{
    static const enum report_id ids[PROCESS_KINDS] = {[PROCESS_BROKER] = REPORT_BROKER_FRAMES,
                                                      [PROCESS_SINK] = REPORT_SINK_ROWS,
                                                      [PROCESS_CAPTURE] = REPORT_CAPTURE_ROWS,
                                                      [PROCESS_TRAINER] = REPORT_TRAINER_ROWS};
    return e->kind < 0 ? NAN : report_number(e->rates, ids[e->kind]);
}

static struct top_process process_of(const struct roster_entry *e, const json_t *restarts)
{
    int is_there = e->state != ROSTER_SILENT && e->state != ROSTER_ENDED;
    struct top_process p = {
        .kind = e->kind,
        .state = e->state,
        .seconds = e->seconds,
        .rate = rate_of(e),
        .cpu_ratio = report_number(e->rates, REPORT_PROCESS_CPU_SECONDS),
        .memory_bytes = is_there ? report_number(e->report, REPORT_PROCESS_MEMORY_BYTES) : NAN,
        .restarts = number_of(restarts, e->name)};
    snprintf(p.name, sizeof p.name, "%s", e->name);
    if (isnan(p.restarts) && restarts) p.restarts = 0;
    return p;
}

/* At `place`, with what the one of that name was before; those between go one down. */
static void take_process(struct top_model *m, int place, struct top_process now)
{
    int from = place;
    while (from < m->processes && strcmp(m->process[from].name, now.name) != 0) from++;
    if (from < m->processes)
        now.rates = m->process[from].rates;
    else
        clear(&now.rates);
    if (from == m->processes && m->processes < ROSTER_MAX) m->processes++;
    if (from == ROSTER_MAX) from--;
    memmove(&m->process[place + 1], &m->process[place],
            (size_t)(from - place) * sizeof *m->process);
    m->process[place] = now;
    note(m, &m->process[place].rates, now.rate);
}

static struct top_sae sae_of(const char *trainer, const char *name, const json_t *report)
{
    struct top_sae s = {.loss = report_labelled(report, REPORT_TRAINER_LOSS, name),
                        .fve = report_labelled(report, REPORT_TRAINER_FVE, name),
                        .l0 = report_labelled(report, REPORT_TRAINER_L0, name),
                        .dead_ratio = report_labelled(report, REPORT_TRAINER_DEAD_FEATURES, name) /
                                      report_labelled(report, REPORT_TRAINER_FEATURES, name)};
    snprintf(s.name, sizeof s.name, "%.63s/%.63s", processes_which_of(trainer), name);
    return s;
}

static void take_sae(struct top_model *m, int place, struct top_sae now)
{
    int from = place;
    while (from < m->saes && strcmp(m->sae[from].name, now.name) != 0) from++;
    if (from < m->saes)
        now.losses = m->sae[from].losses;
    else
        clear(&now.losses);
    if (from == m->saes && m->saes < TOP_MODEL_SAES) m->saes++;
    if (from == TOP_MODEL_SAES) from--;
    memmove(&m->sae[place + 1], &m->sae[place], (size_t)(from - place) * sizeof *m->sae);
    m->sae[place] = now;
    note(m, &m->sae[place].losses, now.loss);
}

/* Those of a trainer, from `place` on; returns where the next go. */
static int take_saes(struct top_model *m, int place, const struct roster_entry *e)
{
    json_t *losses = json_object_get(e->report, REPORT(TRAINER_LOSS)), *value;
    const char *name;
    json_object_foreach(losses, name, value)
    {
        if (place < TOP_MODEL_SAES)
            take_sae(m, place++, sae_of(e->name, name, e->report));
        else
            m->left_out++;
    }
    return place;
}

static void take_errors(struct top_model *m, const json_t *errors)
{
    json_t *error;
    size_t i;
    m->errors = 0;
    m->has_errors = json_is_array(errors);
    json_array_foreach(errors, i, error)
    {
        if (m->errors == TOP_MODEL_ERRORS) break;
        struct top_error *e = &m->error[m->errors++];
        text_of(error, "process", e->process, sizeof e->process);
        text_of(error, "text", e->text, sizeof e->text);
        e->seconds_ago = number_of(error, "seconds_ago");
    }
}

static void take_roster(struct top_model *m, const struct config *config, const json_t *status)
{
    static struct roster roster; /* large, and this is one thread's */
    const json_t *restarts = json_object_get(status, "restarts");
    struct part all = {.only = NULL};
    int saes = 0;
    roster_read(config, &all, status, &roster);
    m->left_out = roster.left_out;
    for (int i = 0; i < roster.count; i++) {
        take_process(m, i, process_of(&roster.entry[i], restarts));
        if (roster.entry[i].kind == PROCESS_TRAINER) saes = take_saes(m, saes, &roster.entry[i]);
    }
    m->processes = roster.count;
    m->saes = saes;
}

static void take_numbers(struct top_model *m, const json_t *overview)
{
    for (int i = 0; i < TOP_NUMBERS; i++) m->number[i] = number_of(overview, names[i]);
}

/* A second of which nobody says anything. */
static void skip(struct top_model *m, double seconds)
{
    m->silent_seconds += seconds;
    for (int i = 0; i < m->processes; i++) note(m, &m->process[i].rates, NAN);
    for (int i = 0; i < m->saes; i++) note(m, &m->sae[i].losses, NAN);
    for (int i = 0; i < TOP_NUMBERS; i++) note(m, &m->ring[i], NAN);
    m->samples++;
}

void top_model_take(struct top_model *m, const struct config *config, const json_t *status,
                    double seconds)
{
    if (!status) {
        skip(m, seconds);
        return;
    }
    m->has_answered = 1;
    m->silent_seconds = 0;
    text_of(status, "bottleneck", m->bottleneck, sizeof m->bottleneck);
    text_of(status, "advice", m->advice, sizeof m->advice);
    take_numbers(m, json_object_get(status, "overview"));
    take_roster(m, config, status);
    take_errors(m, json_object_get(status, "errors"));
    for (int i = 0; i < TOP_NUMBERS; i++) note(m, &m->ring[i], m->number[i]);
    m->samples++;
}

/* The mean of the seconds from `begin` on that are known. */
static double mean(const struct top_ring *ring, long begin, long end)
{
    double sum = 0;
    int known = 0;
    for (long i = begin; i < end; i++) {
        float value = ring->value[i % TOP_MODEL_SAMPLES];
        if (isnan(value)) continue;
        sum += value;
        known++;
    }
    return known ? sum / known : NAN;
}

void top_model_columns(const struct top_model *m, const struct top_ring *ring, int per, int count,
                       double *column)
{
    /* Columns begin at whole multiples, so that what stands in one does not change as it moves. */
    long last = m->samples > 0 ? (m->samples - 1) / per : 0;
    long oldest = m->samples > TOP_MODEL_SAMPLES ? m->samples - TOP_MODEL_SAMPLES : 0;
    for (int i = 0; i < count; i++) {
        long begin = (last - (count - 1 - i)) * per, end = begin + per;
        if (end > m->samples) end = m->samples;
        if (begin < oldest) begin = oldest;
        column[i] = begin < end ? mean(ring, begin, end) : NAN;
    }
}
