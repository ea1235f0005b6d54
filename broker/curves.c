#include "broker/curves.h"

#include "broker/history_file.h"
#include "proto/phase.h"
#include "proto/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void set(struct history *h, uint64_t now_ns, const char *group, const char *name,
                const char *what, double value)
{
    char series[2 * HISTORY_FILE_NAME_BYTES];
    snprintf(series, sizeof series, "%s/%.63s/%s", group, name, what);
    history_set(h, series, value, now_ns);
}

/* Of a histogram's count or sum. */
static double part(const json_t *report, enum report_id id, const char *key)
{
    const json_t *value = json_object_get(json_object_get(report, report_names[id]), key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Mean of what was observed between two reports; NaN where nothing was. */
static double observed(const struct status_news *n, enum report_id id)
{
    double count = part(n->report, id, "count") - part(n->before, id, "count");
    double sum = part(n->report, id, "sum") - part(n->before, id, "sum");
    return count > 0 && sum >= 0 ? sum / count : NAN;
}

static void of_sae(struct history *h, const struct status_news *n, const char *sae, uint64_t now_ns)
{
    static const struct {
        const char *what;
        enum report_id id;
    } shown[] = {
        {"loss", REPORT_TRAINER_LOSS}, {"fve", REPORT_TRAINER_FVE}, {"l0", REPORT_TRAINER_L0}};
    char name[HISTORY_FILE_NAME_BYTES], what[HISTORY_FILE_NAME_BYTES];
    snprintf(name, sizeof name, "%.63s", processes_which_of(n->name));
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        snprintf(what, sizeof what, "%.63s/%s", sae, shown[i].what);
        set(h, now_ns, "sae", name, what, report_labelled(n->report, shown[i].id, sae));
    }
    snprintf(what, sizeof what, "%.63s/dead_ratio", sae);
    set(h, now_ns, "sae", name, what,
        report_labelled(n->report, REPORT_TRAINER_DEAD_FEATURES, sae) /
            report_labelled(n->report, REPORT_TRAINER_FEATURES, sae));
}

/* While a step takes longer than from one report to the next, the last mean is the one that there is. */
static void of_steps(struct history *h, const struct status_news *n, const char *consumer,
                     uint64_t now_ns)
{
    char series[2 * HISTORY_FILE_NAME_BYTES];
    double seconds = observed(n, REPORT_TRAINER_STEP_SECONDS);
    snprintf(series, sizeof series, "trainer/%.63s/step_seconds", consumer);
    if (!isnan(seconds))
        history_set(h, series, seconds, now_ns);
    else if (phase_of_trainer(n->report) == PHASE_TRAINING &&
             !(report_number(n->report, REPORT_TRAINER_WAITING) > 0))
        history_hold(h, series, now_ns);
}

static void of_trainer(struct history *h, const struct status_news *n, uint64_t now_ns)
{
    const char *consumer = processes_which_of(n->name), *sae;
    json_t *saes = json_object_get(n->report, report_names[REPORT_TRAINER_FEATURES]), *value;
    unsigned count = 0;
    of_steps(h, n, consumer, now_ns);
    set(h, now_ns, "trainer", consumer, "rows_per_second",
        report_number(n->rates, REPORT_TRAINER_ROWS));
    json_object_foreach(saes, sae, value)
    {
        if (count++ < CONFIG_MAX_SAES) of_sae(h, n, sae, now_ns);
    }
}

/* All captures' would leave no room in the history for what trainers tell. */
static int is_one_of_many(const struct status_news *n)
{
    return n->kind == PROCESS_CAPTURE &&
           strtoul(processes_which_of(n->name), NULL, 10) >= CURVES_CAPTURES;
}

void curves_of_report(struct history *h, const struct status_news *n, uint64_t now_ns)
{
    if (is_one_of_many(n)) return;
    set(h, now_ns, "process", n->name, "cpu_ratio",
        report_number(n->rates, REPORT_PROCESS_CPU_SECONDS));
    set(h, now_ns, "process", n->name, "memory_bytes",
        report_number(n->report, REPORT_PROCESS_MEMORY_BYTES));
    if (n->kind == PROCESS_TRAINER) of_trainer(h, n, now_ns);
}

void curves_of_overview(struct history *h, const struct overview *o, uint64_t now_ns)
{
    for (int i = 0; i < OVERVIEW_IDS; i++) history_set(h, overview_names[i], o->value[i], now_ns);
}
