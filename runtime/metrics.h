/*
 * Numbers that a process shows. A static table names them once; the Prometheus text of /metrics and
 * the one-second JSON report to the broker come out of the same registry.
 *
 * A metric is known by its index in the table. Values may be written from any thread (atomics); a
 * reader sees each value whole. Nothing here blocks.
 */
#ifndef SLUICE_RUNTIME_METRICS_H
#define SLUICE_RUNTIME_METRICS_H

#include <stddef.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum { METRIC_MAX_BUCKETS = 20, METRIC_MAX_SERIES = 256 };

struct metric {
    const char *name; /* sluice_..., counters end in _total, base units */
    enum metric_kind kind;
    const char *help;
    const char *label; /* one label, e.g. "producer"; NULL: none */
    uint32_t series;   /* most values of that label (a bound: METRIC_MAX_SERIES); 0 without label */
    double bucket[METRIC_MAX_BUCKETS]; /* histogram: ascending upper bounds; 0 ends the list */
};

struct metrics;

/* Build a registry over a table that outlives it; checks the table's names and bounds.
 * ERR_INTERNAL, ERR_NOMEM. */
int metrics_new(const struct metric *table, size_t count, struct metrics **metrics);
void metrics_free(struct metrics *metrics);

/* Gauge or counter (a counter never goes back: a lower value is ignored). */
void metrics_set(struct metrics *metrics, size_t index, double value);
/* Counter or gauge += delta. */
void metrics_add(struct metrics *metrics, size_t index, double delta);
/* Histogram: one observation. */
void metrics_observe(struct metrics *metrics, size_t index, double value);
double metrics_get(const struct metrics *metrics, size_t index);

/* The same for metrics with a label: `series` is the label value's place in the table. A series is
 * shown once metrics_label() named it. A name is copied; at most 63 bytes. Loop thread only. */
void metrics_label(struct metrics *metrics, size_t index, uint32_t series, const char *value);
void metrics_set_at(struct metrics *metrics, size_t index, uint32_t series, double value);
void metrics_add_at(struct metrics *metrics, size_t index, uint32_t series, double delta);
void metrics_observe_at(struct metrics *metrics, size_t index, uint32_t series, double value);

/* Text format 0.0.4 / one JSON object: {"NAME": 1.5, "NAME_WITH_LABEL": {"VALUE": 2},
 * "HISTOGRAM": {"count": n, "sum": s, "buckets": [[le, cumulative], ...]}}. Caller frees *text.
 * ERR_NOMEM. */
int metrics_text(const struct metrics *metrics, char **text, size_t *bytes);
int metrics_json(const struct metrics *metrics, char **text, size_t *bytes);

#endif
