#include "cli/live.h"

#include "base/clock.h"
#include "base/err.h"
#include "cli/lock.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/roster.h"
#include "cli/snapshot.h"
#include "config/address.h"
#include "proto/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATIENCE_MS = 5000, LINE_BYTES = 8192, TROUBLES_SHOWN = 6 };

#define NAME_OF(ID, NAME, UNIT, WARNING, CRITICAL) [LIVE_##ID] = NAME,
#define UNIT_OF(ID, NAME, UNIT, WARNING, CRITICAL) [LIVE_##ID] = UNIT,
#define WARN_OF(ID, NAME, UNIT, WARNING, CRITICAL) [LIVE_##ID] = WARNING,
#define CRIT_OF(ID, NAME, UNIT, WARNING, CRITICAL) [LIVE_##ID] = CRITICAL,
static const char *const names[LIVE_MEASURES] = {LIVE_TABLE(NAME_OF)};
static const char *const units[LIVE_MEASURES] = {LIVE_TABLE(UNIT_OF)};
static const struct live_limits defaults = {.warning = {LIVE_TABLE(WARN_OF)},
                                            .critical = {LIVE_TABLE(CRIT_OF)}};
static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

/* ---- limits ---- */

static int unknown_limit(const char *option, const char *item)
{
    char all[256] = "";
    for (int i = 0; i < LIVE_MEASURES; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", names[i]);
    return err_set(ERR_USAGE,
                   "--%s: '%.40s' is no limit; HINT: NAME=NUMBER or NAME=off, divided by commas, "
                   "of %s",
                   option, item, all);
}

static int read_limit(const char *option, const char *item, size_t length, double *limit)
{
    char text[64], *end;
    snprintf(text, sizeof text, "%.*s", (int)length, item);
    char *value = strchr(text, '=');
    if (!value || length >= sizeof text) return unknown_limit(option, text);
    *value++ = '\0';
    for (int i = 0; i < LIVE_MEASURES; i++) {
        if (strcmp(names[i], text) != 0) continue;
        limit[i] = strcmp(value, "off") == 0 ? NAN : strtod(value, &end);
        int is_number = isnan(limit[i]) || (end != value && !*end && limit[i] >= 0);
        value[-1] = '=';
        return is_number && (isnan(limit[i]) == (strcmp(value, "off") == 0))
                   ? ERR_OK
                   : unknown_limit(option, text);
    }
    value[-1] = '=';
    return unknown_limit(option, text);
}

static int read_limits(const char *option, const char *list, double *limit)
{
    int result = ERR_OK;
    for (const char *p = list ? list : ""; *p && result == ERR_OK;) {
        size_t length = strcspn(p, ",");
        result = read_limit(option, p, length, limit);
        p += length + (p[length] == ',');
    }
    return result;
}

int live_limits_read(const char *warning, const char *critical, struct live_limits *limits)
{
    *limits = defaults;
    int result = read_limits("warning", warning, limits->warning);
    return result == ERR_OK ? read_limits("critical", critical, limits->critical) : result;
}

/* ---- the verdict ---- */

enum { BROKER_NEW_SECONDS = 5 };

struct verdict {
    enum live_code code;
    int troubles[2]; /* what is critical, and warnings */
    char text[2][TROUBLES_SHOWN][256];
    double value[LIVE_MEASURES];
    int is_broker_new; /* who is not heard of may not have reported to it yet */
};

static void trouble(struct verdict *v, enum live_code code, const char *text)
{
    int is_warning = code == LIVE_WARNING, i = v->troubles[is_warning]++;
    if (code > v->code) v->code = code;
    if (i < TROUBLES_SHOWN) snprintf(v->text[is_warning][i], sizeof v->text[0][0], "%s", text);
}

static void at_least(double *value, double other)
{
    if (!isnan(other) && !(*value >= other)) *value = other;
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : NAN;
}

static double number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Of what a limit was reached by. */
static enum live_code code_of(const struct live_limits *l, int measure, double value)
{
    if (value >= l->critical[measure]) return LIVE_CRITICAL;
    return value >= l->warning[measure] ? LIVE_WARNING : LIVE_OK;
}

static double worst_dead(const json_t *report)
{
    json_t *dead = json_object_get(report, REPORT(TRAINER_DEAD_FEATURES)), *value;
    double most = NAN;
    const char *name;
    json_object_foreach(dead, name, value)
    {
        at_least(&most, percent(json_number_value(value),
                                report_labelled(report, REPORT_TRAINER_FEATURES, name)));
    }
    return most;
}

static void take_trainer(struct verdict *v, const json_t *report)
{
    size_t saes = json_object_size(json_object_get(report, REPORT(TRAINER_SKIPPED_STEPS)));
    double steps = report_number(report, REPORT_TRAINER_STEPS);
    at_least(&v->value[LIVE_DEAD], worst_dead(report));
    at_least(&v->value[LIVE_SKIPPED], percent(report_number(report, REPORT_TRAINER_SKIPPED_STEPS),
                                              steps * (double)(saes ? saes : 1)));
    at_least(&v->value[LIVE_DISK], report_number(report, REPORT_TRAINER_DISK_WAITING_SECONDS));
}

static void take_capture(struct verdict *v, const json_t *report)
{
    double rows = report_number(report, REPORT_CAPTURE_ROWS);
    at_least(&v->value[LIVE_SHED], percent(report_number(report, REPORT_CAPTURE_SHED_ROWS), rows));
    at_least(&v->value[LIVE_REJECTED],
             percent(report_number(report, REPORT_CAPTURE_REJECTED_ROWS), rows));
    at_least(&v->value[LIVE_DISK], report_number(report, REPORT_CAPTURE_DISK_WAITING_SECONDS));
}

/* Where rows do not come, that is no fault of the trainer: whoever keeps them from it is told, and a
 * stream may have none. The alert SluiceNotReady says the same. */
static int waits_by_design(const struct roster_entry *e)
{
    return e->kind == PROCESS_TRAINER && e->state != ROSTER_SILENT &&
           report_number(e->report, REPORT_TRAINER_WAITING) > 0;
}

/* A process that is not there, or says that it cannot do its work. */
static void take_state(struct verdict *v, const struct roster_entry *e, const struct live_limits *l)
{
    int measure = e->state == ROSTER_SILENT   ? LIVE_SILENT
                  : e->kind == PROCESS_BROKER ? LIVE_STILL
                                              : LIVE_UNREADY;
    char text[256];
    if (e->state == ROSTER_OK || e->state == ROSTER_ENDED || waits_by_design(e)) return;
    if (e->state == ROSTER_MISSING) {
        snprintf(text, sizeof text,
                 v->is_broker_new ? "%s has not reported to the new broker yet" : "%s is missing",
                 e->name);
        trouble(v, v->is_broker_new ? LIVE_WARNING : LIVE_CRITICAL, text);
        return;
    }
    at_least(&v->value[measure], e->seconds);
    enum live_code code = code_of(l, measure, e->seconds);
    snprintf(text, sizeof text,
             measure == LIVE_SILENT ? "%s is silent for %.0f s"
             : measure == LIVE_STILL
                 ? "%s says for %.0f s that the stream stands still or has no sink"
                 : "%s is not ready for %.0f s",
             e->name, e->seconds);
    if (code != LIVE_OK) trouble(v, code, text);
}

static void take_processes(struct verdict *v, const struct roster *r, const struct live_limits *l)
{
    for (int i = 0; i < r->count; i++) {
        const struct roster_entry *e = &r->entry[i];
        int is_there = e->state != ROSTER_SILENT && e->state != ROSTER_ENDED;
        take_state(v, e, l);
        if (e->kind == PROCESS_CAPTURE && is_there) take_capture(v, e->report);
        if (e->kind == PROCESS_TRAINER && is_there) take_trainer(v, e->report);
        if (e->kind == PROCESS_SINK && is_there)
            at_least(&v->value[LIVE_DISK],
                     report_number(e->report, REPORT_SINK_DISK_WAITING_SECONDS));
    }
}

/* Those that take_state() has not told. */
static void take_measures(struct verdict *v, const struct live_limits *l)
{
    for (int i = LIVE_DISK; i < LIVE_MEASURES; i++) {
        enum live_code code = code_of(l, i, v->value[i]);
        char text[128];
        if (code == LIVE_OK) continue;
        snprintf(text, sizeof text, "%s %.4g%s%s (limit %g)", names[i], v->value[i],
                 units[i][0] ? " " : "", units[i],
                 code == LIVE_CRITICAL ? l->critical[i] : l->warning[i]);
        trouble(v, code, text);
    }
}

/* ---- the line ---- */

static void limit_text(double limit, char out[32])
{
    if (isnan(limit))
        out[0] = '\0';
    else
        snprintf(out, 32, "%g", limit);
}

static void put_number(FILE *out, const char *name, double value, const char *unit)
{
    if (!isnan(value)) fprintf(out, " %s=%.6g%s;;;0;", name, value, unit);
}

static void put_numbers(FILE *out, const struct verdict *v, const json_t *overview,
                        const struct live_limits *l)
{
    fputs(" |", out);
    static const char *const rates[] = {"captured_rows_per_second", "stored_rows_per_second",
                                        "trained_rows_per_second"};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        put_number(out, rates[i], number_of(overview, rates[i]), ""); /* plugins know no rows/s */
    put_number(out, "buffer", 100 * number_of(overview, "buffer_fill_ratio"), "%");
    put_number(out, "lag", number_of(overview, "lag_seconds"), "s");
    for (int i = 0; i < LIVE_MEASURES; i++) {
        char warning[32], critical[32];
        if (isnan(v->value[i])) continue;
        limit_text(l->warning[i], warning);
        limit_text(l->critical[i], critical);
        fprintf(out, " %s=%.6g%s;%s;%s;0;", names[i], v->value[i], units[i], warning, critical);
    }
}

static void put_well(FILE *out, const json_t *overview)
{
    char captured[32], trained[32];
    double fill = 100 * number_of(overview, "buffer_fill_ratio");
    progress_number(number_of(overview, "captured_rows_per_second"), captured, sizeof captured);
    progress_number(number_of(overview, "trained_rows_per_second"), trained, sizeof trained);
    fprintf(out, "captured %s rows/s, trained %s rows/s", captured, trained);
    if (!isnan(fill)) fprintf(out, ", buffer %.0f %% full", fill);
}

/* What is critical stands first, and is the last to be left out. */
static void put_troubles(FILE *out, const struct verdict *v)
{
    int shown = 0, all = v->troubles[0] + v->troubles[1];
    for (int is_warning = 0; is_warning < 2; is_warning++)
        for (int i = 0; i < v->troubles[is_warning] && shown < TROUBLES_SHOWN; i++)
            fprintf(out, "%s%s", shown++ ? ", " : "", v->text[is_warning][i]);
    if (all > shown) fprintf(out, ", and %d more", all - shown);
}

static void put_line(FILE *out, const struct config *config, const struct verdict *v,
                     const json_t *overview, const struct live_limits *l)
{
    fprintf(out, "SLUICE %s - stream %s: ", words[v->code], config->stream.name);
    if (v->code == LIVE_OK)
        put_well(out, overview);
    else
        put_troubles(out, v);
    put_numbers(out, v, overview, l);
}

/* Whether the broker has just begun. */
static int is_broker_new(const json_t *status)
{
    json_t *process;
    size_t i;
    json_array_foreach(json_object_get(status, "processes"), i, process)
    {
        const char *kind = json_string_value(json_object_get(process, "kind"));
        double started =
            report_number(json_object_get(process, "report"), REPORT_PROCESS_START_SECONDS);
        if (kind && strcmp(kind, "broker") == 0)
            return fabs((double)time(NULL) - started) < BROKER_NEW_SECONDS; /* clocks may differ */
    }
    return 0;
}

enum live_code live_judge(const struct config *config, const char *only, const json_t *status,
                          const struct live_limits *limits, char *out, size_t bytes)
{
    static struct roster roster; /* large, and this is one thread's */
    const json_t *overview = json_object_get(status, "overview");
    struct verdict v = {.code = LIVE_OK};
    struct part part;
    if (part_parse(config, only, &part) != ERR_OK) {
        snprintf(out, bytes, "SLUICE UNKNOWN - %s", err_text());
        return LIVE_UNKNOWN;
    }
    for (int i = 0; i < LIVE_MEASURES; i++) v.value[i] = i <= LIVE_SILENT ? 0 : NAN;
    v.value[LIVE_LOST] = number_of(overview, "lost_rows");
    v.is_broker_new = is_broker_new(status);
    roster_read(config, &part, status, &roster);
    take_processes(&v, &roster, limits);
    take_measures(&v, limits);
    FILE *line = fmemopen(out, bytes, "w");
    if (!line) return LIVE_UNKNOWN;
    put_line(line, config, &v, overview, limits);
    fclose(line);
    out[bytes - 1] = '\0';
    return v.code;
}

/* ---- the command ---- */

static int verdict_code = -1; /* that was printed; -1: none */

static void say(enum live_code code, const char *line)
{
    printf("%s\n", line);
    verdict_code = (int)code;
}

/* Its result is there, and nobody runs it again. */
static int is_over(const struct config *config)
{
    long pid;
    return report_finished(config) && !lock_held(config, &pid);
}

/* No broker answers. */
static void say_silence(const struct config *config, const char *why)
{
    char line[LINE_BYTES];
    long pid;
    int is_held = lock_held(config, &pid), is_well = is_over(config);
    if (is_well)
        snprintf(line, sizeof line, "SLUICE OK - stream %s: finished", config->stream.name);
    else
        snprintf(line, sizeof line, "SLUICE CRITICAL - stream %s: %s (%.500s)", config->stream.name,
                 is_held                                ? "its broker does not answer"
                 : address_is_tcp(config->broker.front) ? "nothing is heard from its broker"
                                                        : "not running",
                 why);
    line[strcspn(line, "\n|")] = '\0'; /* one line, and no numbers behind it */
    say(is_well ? LIVE_OK : LIVE_CRITICAL, line);
}

/* A machine that is busy answers late; one that has no socket never does, and a run that is over need not. */
static int fetch(const struct config *config, json_t **status)
{
    int64_t until_ms = clock_steady_ms() + PATIENCE_MS;
    int result;
    do result = snapshot_fetch(config, status);
    while (result == ERR_AGAIN && clock_steady_ms() < until_ms && !is_over(config));
    return result;
}

int live_check(const struct options *options, const struct config *config)
{
    struct live_limits limits;
    char line[LINE_BYTES], why[512];
    const char *only = options_get(options, "only");
    struct part part;
    json_t *status;
    int result = live_limits_read(options_get(options, "warning"), options_get(options, "critical"),
                                  &limits);
    if (result == ERR_OK) result = part_parse(config, only, &part);
    if (result != ERR_OK) return result;
    result = fetch(config, &status);
    if (result != ERR_OK && !snapshot_is_silence(result)) return result; /* nothing is known */
    if (result != ERR_OK) {
        snprintf(why, sizeof why, "%s", err_text());
        say_silence(config, why);
        return ERR_OK;
    }
    enum live_code code = live_judge(config, only, status, &limits, line, sizeof line);
    json_decref(status);
    say(code, line);
    return ERR_OK;
}

int live_is_asked(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[1], "check") != 0) return 0;
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--live") == 0) return 1;
    return 0;
}

int live_end(int result)
{
    if (verdict_code >= 0 && result == ERR_OK) return verdict_code;
    char why[512];
    snprintf(why, sizeof why, "%.*s", (int)strcspn(err_text(), "\n|"), err_text());
    if (verdict_code < 0) printf("SLUICE UNKNOWN - %s\n", why);
    fflush(stdout);
    return LIVE_UNKNOWN;
}
