/*
 * Numbers that a process shows. A static table declares each of them once; the Prometheus text of
 * /metrics, the one-second JSON report to the broker and docs/METRICS.md come out of the same table.
 *
 * A metric is known by its index in the table. Values may be written from any thread (atomics); a
 * reader sees each value whole. Nothing here blocks.
 *
 * A table is a macro with one entry per metric. METRIC_ID makes the enum of it and METRIC_ROW the
 * array, so no entry can stand at another's index, and what is set but not declared does not
 * compile. Each process has one, ROOM/gauges.h:
 *
 *     #define SINK_METRICS(M)                                                        \
 *         M(FRAMES, COUNTER, "sluice_sink_frames_total", "frames", "Frames committed.") \
 *         M(ROWS, COUNTER, REPORT(SINK_ROWS), "rows", "Rows committed.")             \
 *         M(LOSS, GAUGE, "sluice_sink_loss", "none", "...", METRIC_PER("sae", 64))
 *
 *     enum gauge { SINK_METRICS(METRIC_ID) GAUGES };
 *     const struct metric sink_gauges[GAUGES] = {SINK_METRICS(METRIC_ROW)};
 *
 * A name that another process reads is REPORT(ID), out of proto/report.h. After a change run
 * man/generate.sh; tests/setup/test_man.sh compares docs/METRICS.md, and tests/setup/test_metrics.sh
 * fails where a metric that is declared is set nowhere.
 */
#ifndef SLUICE_RUNTIME_METRICS_H
#define SLUICE_RUNTIME_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum { METRIC_MAX_BUCKETS = 20, METRIC_MAX_SERIES = 256 };

struct metric {
    const char *name; /* sluice_..., counters end in _total, base units */
    enum metric_kind kind;
    const char *unit;  /* "seconds", "bytes", "rows", "0 or 1", "none", ...: as the name ends */
    const char *help;  /* what it means: one sentence or a few, with full stops */
    const char *label; /* one label, e.g. "sae"; NULL: none */
    uint32_t series;   /* most values of that label (a bound: METRIC_MAX_SERIES); 0 without label */
    const char *const *values; /* (series) all values where they are known; a NULL is not shown */
    double bucket[METRIC_MAX_BUCKETS]; /* histogram: ascending upper bounds; 0 ends the list */
};

#define METRIC_ID(ID, KIND, NAME, UNIT, MEANING, ...) GAUGE_##ID,
#define METRIC_ROW(ID, KIND, NAME, UNIT, MEANING, ...)                                             \
    [GAUGE_##                                                                                      \
        ID] = {.name = NAME, .kind = METRIC_##KIND, .unit = UNIT, .help = MEANING, __VA_ARGS__},
/* What an entry may end in: a label whose values are known when the program is written, or come
 * with metrics_label(); a histogram's bounds. */
#define METRIC_ONE_OF(LABEL, COUNT, VALUES) .label = LABEL, .series = COUNT, .values = VALUES
#define METRIC_PER(LABEL, MOST)             .label = LABEL, .series = MOST
#define METRIC_BOUNDS(...)                  .bucket = {__VA_ARGS__}

struct metrics;

/* Build a registry over a table that outlives it; checks the table's names and bounds.
 * ERR_INTERNAL, ERR_NOMEM. */
int metrics_new(const struct metric *table, size_t count, struct metrics **metrics);
void metrics_free(struct metrics *metrics);

/* Gauge or counter (a counter never goes back: a lower value is ignored). A counter of all lives, that
 * has to be read from a file first, is set to NaN before it counts: it is not shown to Prometheus, to
 * which it would grow from 0 at once, and takes the next value. */
void metrics_set(struct metrics *metrics, size_t index, double value);
/* Counter or gauge += delta. */
void metrics_add(struct metrics *metrics, size_t index, double delta);
/* What a gauge or counter without a label is at. */
double metrics_value(const struct metrics *metrics, size_t index);
/* Histogram: one observation. */
void metrics_observe(struct metrics *metrics, size_t index, double value);

/* The same for metrics with a label: `series` is the label value's place among its values. A series
 * is shown once it has a name: from the table's `values`, or by metrics_label(). A name is copied;
 * at most 63 bytes. Loop thread only. */
void metrics_label(struct metrics *metrics, size_t index, uint32_t series, const char *value);
void metrics_set_at(struct metrics *metrics, size_t index, uint32_t series, double value);
void metrics_add_at(struct metrics *metrics, size_t index, uint32_t series, double delta);
void metrics_observe_at(struct metrics *metrics, size_t index, uint32_t series, double value);

/* Text format 0.0.4 / one JSON object: {"NAME": 1.5, "NAME_WITH_LABEL": {"VALUE": 2},
 * "HISTOGRAM": {"count": n, "sum": s, "buckets": [[le, cumulative], ...]}}. Caller frees *text.
 * ERR_NOMEM. */
int metrics_text(const struct metrics *metrics, char **text, size_t *bytes);
int metrics_json(const struct metrics *metrics, char **text, size_t *bytes);

/* The rows of a table in Markdown: name, type, unit, label, meaning. */
void metrics_markdown(const struct metric *table, size_t count, FILE *out);

#endif
