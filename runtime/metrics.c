/*
 * Values are float64 kept as bits in atomics, so that any thread may write while another reads. A
 * histogram's count is the sum of its buckets as read, so that +Inf always equals _count.
 */
#include "runtime/metrics.h"

#include "base/err.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_BYTES = 64 };

struct series {
    _Atomic uint64_t value;                          /* bits of a double; a histogram's sum */
    _Atomic uint64_t bucket[METRIC_MAX_BUCKETS + 1]; /* histogram: not cumulative; last: +Inf */
    char label[LABEL_BYTES];
    int shown;
};

struct metrics {
    const struct metric *table;
    size_t count;
    struct series **series; /* (count) arrays of table[i].series, or of 1 */
};

static const char *const kinds[] = {"counter", "gauge", "histogram"};

static uint32_t series_count(const struct metric *m)
{
    return m->label ? m->series : 1;
}

static int buckets_of(const struct metric *m)
{
    int n = 0;
    while (n < METRIC_MAX_BUCKETS && m->bucket[n] != 0) n++;
    return n;
}

static int word_ok(const char *word)
{
    if (!word[0] || isdigit((unsigned char)word[0])) return 0;
    for (; *word; word++)
        if (!islower((unsigned char)*word) && !isdigit((unsigned char)*word) && *word != '_')
            return 0;
    return 1;
}

static int ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* A name ends in its unit; what is in seconds, bytes or a ratio always says so. */
static const char *unit_wrong(const struct metric *m)
{
    static const char *const units[] = {"seconds", "bytes", "ratio", "rows", "frames", "slabs"};
    enum { ALWAYS_SAID = 3 };
    char name[128];
    if (!m->unit || !m->unit[0]) return "no unit";
    snprintf(name, sizeof name, "%s", m->name);
    if (ends_with(name, "_total")) name[strlen(name) - strlen("_total")] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t a = strlen(name), b = strlen(units[i]);
        int said = a > b && name[a - b - 1] == '_' && ends_with(name, units[i]);
        int meant = strcmp(m->unit, units[i]) == 0;
        if (said != meant && (said || i < ALWAYS_SAID)) return "its unit is not that of its name";
    }
    return NULL;
}

/* The conventions of Prometheus that a program can check. */
static int check(const struct metric *table, size_t index)
{
    const struct metric *m = &table[index];
    if (!m->name || !word_ok(m->name) || strncmp(m->name, "sluice_", 7) != 0)
        return err_set(ERR_INTERNAL, "metric %zu: bad name '%s'", index, m->name ? m->name : "");
    const char *why = unit_wrong(m);
    if (!m->help || !m->help[0]) why = "no help";
    if ((m->kind == METRIC_COUNTER) != ends_with(m->name, "_total")) why = "_total is for counters";
    if (m->kind != METRIC_HISTOGRAM &&
        (ends_with(m->name, "_count") || ends_with(m->name, "_sum") ||
         ends_with(m->name, "_bucket")))
        why = "a name reserved for histograms";
    if (m->label && !word_ok(m->label)) why = "bad label";
    if (m->label && (m->series == 0 || m->series > METRIC_MAX_SERIES)) why = "unbounded label";
    if (!m->label && (m->series || m->values)) why = "values without a label";
    int buckets = buckets_of(m);
    if ((m->kind == METRIC_HISTOGRAM) != (buckets > 0)) why = "buckets are for histograms";
    for (int i = 1; i < buckets; i++)
        if (m->bucket[i] <= m->bucket[i - 1]) why = "buckets do not ascend";
    for (size_t i = 0; i < index; i++)
        if (strcmp(table[i].name, m->name) == 0) why = "there twice";
    return why ? err_set(ERR_INTERNAL, "metric %s: %s", m->name, why) : ERR_OK;
}

/* The series that have their names from the start. */
static void show_known(struct metrics *m, size_t index)
{
    const struct metric *metric = &m->table[index];
    if (!metric->label) m->series[index][0].shown = 1;
    for (uint32_t i = 0; metric->values && i < metric->series; i++)
        if (metric->values[i]) metrics_label(m, index, i, metric->values[i]);
}

int metrics_new(const struct metric *table, size_t count, struct metrics **metrics)
{
    for (size_t i = 0; i < count; i++) {
        int result = check(table, i);
        if (result != ERR_OK) return result;
    }
    struct metrics *m = calloc(1, sizeof *m);
    if (!m) return err_set(ERR_NOMEM, "no memory for metrics");
    *m = (struct metrics){.table = table, .count = count};
    m->series = calloc(count + 1, sizeof *m->series);
    int failed = !m->series;
    for (size_t i = 0; i < count && !failed; i++) {
        m->series[i] = calloc(series_count(&table[i]), sizeof **m->series);
        failed = !m->series[i];
        if (!failed) show_known(m, i);
    }
    if (failed) {
        metrics_free(m);
        return err_set(ERR_NOMEM, "no memory for metrics");
    }
    *metrics = m;
    return ERR_OK;
}

void metrics_free(struct metrics *m)
{
    if (!m) return;
    for (size_t i = 0; m->series && i < m->count; i++) free(m->series[i]);
    free(m->series);
    free(m);
}

static double to_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t to_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double load(const struct series *s)
{
    return to_double(atomic_load_explicit(&s->value, memory_order_relaxed));
}

/* NULL for an index or series beyond the table: nothing is written then. */
static struct series *find(const struct metrics *m, size_t index, uint32_t series)
{
    if (index >= m->count || series >= series_count(&m->table[index])) return NULL;
    return &m->series[index][series];
}

/* NaN: it is not known yet, which it may be before it has counted anything. */
static int counter_takes(double old, double value)
{
    return isnan(value) ? old == 0 : !(value < old);
}

void metrics_set_at(struct metrics *m, size_t index, uint32_t series, double value)
{
    struct series *s = find(m, index, series);
    if (!s) return;
    uint64_t old = atomic_load_explicit(&s->value, memory_order_relaxed);
    do {
        if (m->table[index].kind == METRIC_COUNTER && !counter_takes(to_double(old), value)) return;
    } while (!atomic_compare_exchange_weak_explicit(&s->value, &old, to_bits(value),
                                                    memory_order_relaxed, memory_order_relaxed));
}

double metrics_value(const struct metrics *m, size_t index)
{
    const struct series *s = find((struct metrics *)m, index, 0); /* which changes nothing */
    return s ? to_double(atomic_load_explicit(&s->value, memory_order_relaxed)) : 0;
}

static void add(struct series *s, double delta)
{
    uint64_t old = atomic_load_explicit(&s->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&s->value, &old, to_bits(to_double(old) + delta),
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

void metrics_add_at(struct metrics *m, size_t index, uint32_t series, double delta)
{
    struct series *s = find(m, index, series);
    if (!s || (m->table[index].kind == METRIC_COUNTER && !(delta >= 0))) return;
    add(s, delta);
}

void metrics_observe_at(struct metrics *m, size_t index, uint32_t series, double value)
{
    struct series *s = find(m, index, series);
    if (!s || m->table[index].kind != METRIC_HISTOGRAM || isnan(value)) return;
    int buckets = buckets_of(&m->table[index]), i = 0;
    while (i < buckets && value > m->table[index].bucket[i]) i++;
    atomic_fetch_add_explicit(&s->bucket[i], 1, memory_order_relaxed);
    add(s, value);
}

void metrics_set(struct metrics *m, size_t index, double value)
{
    metrics_set_at(m, index, 0, value);
}

void metrics_add(struct metrics *m, size_t index, double delta)
{
    metrics_add_at(m, index, 0, delta);
}

void metrics_observe(struct metrics *m, size_t index, double value)
{
    metrics_observe_at(m, index, 0, value);
}

void metrics_label(struct metrics *m, size_t index, uint32_t series, const char *value)
{
    struct series *s = find(m, index, series);
    if (!s || !m->table[index].label) return;
    snprintf(s->label, sizeof s->label, "%s", value);
    s->shown = 1;
}

static void print_value(double x, FILE *out)
{
    if (isnan(x)) {
        fputs("NaN", out);
    } else if (isinf(x)) {
        fputs(x > 0 ? "+Inf" : "-Inf", out);
    } else if (fabs(x) < 9e15 && x == floor(x)) {
        fprintf(out, "%.0f", x);
    } else {
        fprintf(out, "%.10g", x);
    }
}

/* NAME SUFFIX {label="value",le="bound"} : either label may be missing. */
static void print_name(const struct metric *m, const struct series *s, const char *suffix,
                       const double *le, FILE *out)
{
    fprintf(out, "%s%s", m->name, suffix);
    if (!m->label && !le) return;
    fputc('{', out);
    if (m->label) {
        fprintf(out, "%s=\"", m->label);
        for (const char *p = s->label; *p; p++) {
            if (*p == '\n') {
                fputs("\\n", out);
                continue;
            }
            if (*p == '"' || *p == '\\') fputc('\\', out);
            fputc(*p, out);
        }
        fputc('"', out);
    }
    if (le) {
        fprintf(out, "%sle=\"", m->label ? "," : "");
        print_value(*le, out);
        fputc('"', out);
    }
    fputc('}', out);
}

static void print_histogram(const struct metric *m, const struct series *s, FILE *out)
{
    int buckets = buckets_of(m);
    uint64_t total = 0;
    for (int i = 0; i <= buckets; i++) {
        double le = i < buckets ? m->bucket[i] : INFINITY;
        total += atomic_load_explicit(&s->bucket[i], memory_order_relaxed);
        print_name(m, s, "_bucket", &le, out);
        fprintf(out, " %llu\n", (unsigned long long)total);
    }
    print_name(m, s, "_sum", NULL, out);
    fputc(' ', out);
    print_value(load(s), out);
    fputc('\n', out);
    print_name(m, s, "_count", NULL, out);
    fprintf(out, " %llu\n", (unsigned long long)total);
}

static int is_shown(const struct metric *m, const struct series *s)
{
    return s->shown && !(m->kind == METRIC_COUNTER && isnan(load(s)));
}

int metrics_text(const struct metrics *metrics, char **text, size_t *bytes)
{
    FILE *out = open_memstream(text, bytes);
    if (!out) return err_set(ERR_NOMEM, "no memory for metrics");
    for (size_t i = 0; i < metrics->count; i++) {
        const struct metric *m = &metrics->table[i];
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, kinds[m->kind]);
        for (uint32_t j = 0; j < series_count(m); j++) {
            const struct series *s = &metrics->series[i][j];
            if (!is_shown(m, s)) continue;
            if (m->kind == METRIC_HISTOGRAM) {
                print_histogram(m, s, out);
                continue;
            }
            print_name(m, s, "", NULL, out);
            fputc(' ', out);
            print_value(load(s), out);
            fputc('\n', out);
        }
    }
    int failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(*text);
        return err_set(ERR_NOMEM, "no memory for metrics");
    }
    return ERR_OK;
}

/* JSON has no NaN or infinity: they become null. */
static json_t *json_number(double x)
{
    if (!isfinite(x)) return json_null();
    if (fabs(x) < 9e15 && x == floor(x)) return json_integer((json_int_t)x);
    return json_real(x);
}

static json_t *json_series(const struct metric *m, const struct series *s)
{
    if (m->kind != METRIC_HISTOGRAM) return json_number(load(s));
    json_t *list = json_array();
    int buckets = buckets_of(m);
    uint64_t total = 0;
    for (int i = 0; i <= buckets; i++) {
        total += atomic_load_explicit(&s->bucket[i], memory_order_relaxed);
        if (i < buckets)
            json_array_append_new(list,
                                  json_pack("[oI]", json_number(m->bucket[i]), (json_int_t)total));
    }
    return json_pack("{sIsoso}", "count", (json_int_t)total, "sum", json_number(load(s)), "buckets",
                     list);
}

static json_t *json_metric(const struct metrics *metrics, size_t index)
{
    const struct metric *m = &metrics->table[index];
    if (!m->label) return json_series(m, &metrics->series[index][0]);
    json_t *object = json_object();
    for (uint32_t j = 0; j < m->series; j++) {
        const struct series *s = &metrics->series[index][j];
        if (s->shown) json_object_set_new(object, s->label, json_series(m, s));
    }
    return object;
}

int metrics_json(const struct metrics *metrics, char **text, size_t *bytes)
{
    json_t *root = json_object();
    for (size_t i = 0; i < metrics->count; i++)
        json_object_set_new(root, metrics->table[i].name, json_metric(metrics, i));
    *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;
    json_decref(root);
    if (!*text) return err_set(ERR_NOMEM, "no memory for metrics");
    *bytes = strlen(*text);
    return ERR_OK;
}

static void print_label(const struct metric *m, FILE *out)
{
    const char *between = ": ";
    if (m->label) fprintf(out, "`%s`", m->label);
    for (uint32_t i = 0; m->values && i < m->series; i++) {
        if (!m->values[i]) continue;
        fprintf(out, "%s%s", between, m->values[i]);
        between = ", ";
    }
}

void metrics_markdown(const struct metric *table, size_t count, FILE *out)
{
    fputs("| name | type | unit | label | meaning |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < count; i++) {
        const struct metric *m = &table[i];
        fprintf(out, "| `%s` | %s | %s | ", m->name, kinds[m->kind],
                strcmp(m->unit, "none") == 0 ? "" : m->unit);
        print_label(m, out);
        fprintf(out, " | %s |\n", m->help);
    }
}
