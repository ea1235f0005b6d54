#include "cli/capacity_table.h"

#include "base/json_put.h"
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>

enum unit { COUNT, BYTES, ROW_BYTES, RATIO, SECONDS, BYTE_RATE, ROW_RATE, FLOP_RATE };

struct entry {
    const char *head; /* of the lines from here on; NULL: as before */
    const char *key;
    const char *what;
    enum unit unit;
    double value; /* NaN: not known */
};

enum { LINES = 48 };
struct table {
    struct entry line[LINES];
    size_t count;
};

static void head(struct table *t, const char *text)
{
    t->line[t->count].head = text;
}

static void put(struct table *t, const char *key, const char *what, enum unit unit, double value)
{
    struct entry *line = &t->line[t->count++];
    line->key = key;
    line->what = what;
    line->unit = unit;
    line->value = value;
}

static double known(uint64_t n)
{
    return n ? (double)n : NAN;
}

static void put_row(struct table *t, const struct capacity *c)
{
    head(t, "A row, compression not counted");
    put(t, "row_values", "values", COUNT, c->width);
    put(t, "row_wire_bytes", "bytes on the wire", ROW_BYTES, c->wire_row_bytes);
    put(t, "row_buffer_bytes", "bytes in the buffer", ROW_BYTES, c->buffer_row_bytes);
    put(t, "slab_rows", "rows per slab", COUNT, (double)c->rows_per_slab);
    put(t, "buffer_slabs", "slabs", COUNT, (double)c->slabs);
    put(t, "buffer_rows", "rows in the buffer", COUNT, (double)c->buffer_rows);
}

static void put_disk(struct table *t, const struct capacity *c)
{
    head(t, "Disk of the sink's and trainers' host");
    put(t, "buffer_disk_bytes", "buffer, at most", BYTES, (double)c->buffer_disk_bytes);
    put(t, "checkpoint_bytes", "a checkpoint, about", BYTES, (double)c->checkpoint_bytes);
    put(t, "checkpoints_disk_bytes", "checkpoints kept, and one being written", BYTES,
        (double)c->checkpoints_bytes);
    put(t, "exports_disk_bytes", "exports at the end, about", BYTES, (double)c->exports_bytes);
    put(t, "held_out_disk_bytes", "held-out rows, at most", BYTES, (double)c->held_out_bytes);
    put(t, "curves_disk_bytes", "curves of a month, at most", BYTES, known(c->curves_bytes));
    put(t, "history_tsv_bytes_per_day", "history.tsv, a day of it", BYTES,
        (double)c->lines_bytes_per_day);
    put(t, "history_disk_bytes", "history of the live page, at most", BYTES,
        (double)c->history_bytes);
    put(t, "logs_disk_bytes", "logs, at most", BYTES, (double)c->logs_bytes);
    put(t, "disk_bytes", "all of it, after 30 days", BYTES, (double)c->disk_bytes);
    head(t, "Disk of a capture's host");
    put(t, "prepared_model_disk_bytes", "prepared model, in the cache", BYTES,
        known(c->prepared_model_bytes));
}

static void put_memory(struct table *t, const struct capacity *c)
{
    head(t, "Memory of each process, pages of mapped files not counted");
    put(t, "broker_memory_bytes", "broker, at most", BYTES, (double)c->broker_bytes);
    put(t, "sink_memory_bytes", "sink, at most", BYTES, (double)c->sink_bytes);
    put(t, "frames_under_way_bytes", "  frames in broker and sink, each", BYTES,
        (double)c->frames_under_way_bytes);
    put(t, "capture_memory_bytes", "capture beside its model, at most", BYTES,
        (double)c->capture_bytes);
    put(t, "trainer_memory_bytes", "trainer, about", BYTES, (double)c->trainer_bytes);
    put(t, "weights_memory_bytes", "  weights", BYTES, (double)c->weights_bytes);
    put(t, "moments_memory_bytes", "  moments of Adam", BYTES, (double)c->moments_bytes);
    put(t, "step_memory_bytes", "  gradients, and what a step computes in", BYTES,
        (double)c->scratch_bytes);
    put(t, "rows_memory_bytes", "  a batch and held-out rows", BYTES, (double)c->rows_bytes);
    put(t, "whiten_memory_bytes", "  to whiten, about", BYTES, known(c->whiten_bytes));
    put(t, "mapped_bytes", "the buffer's file, mapped", BYTES, (double)c->mapped_bytes);
}

static void put_rates(struct table *t, const struct capacity *c, double rate)
{
    double wire = rate * c->wire_row_bytes, stored = rate * c->buffer_row_bytes;
    double draws = c->consumers ? c->draws_per_row * rate : NAN;
    double planned = known(c->planned_rows);
    head(t, "At that rate, all captures together");
    put(t, "captured_rows_per_second", "rows captured", ROW_RATE, rate);
    put(t, "capture_link_bytes_per_second", "each capture to the broker", BYTE_RATE,
        wire / c->producers);
    put(t, "sink_link_bytes_per_second", "broker to the sink", BYTE_RATE, wire);
    put(t, "buffer_write_bytes_per_second", "buffer, written", BYTE_RATE, stored);
    put(t, "checkpoint_write_bytes_per_second", "checkpoints, written, at most", BYTE_RATE,
        stored * c->checkpoint_bytes_per_stream_byte);
    put(t, "buffer_horizon_seconds", "an empty buffer is full in", SECONDS,
        (double)c->buffer_rows / rate);
    put(t, "draws_per_second", "draws of each trainer, to keep up", ROW_RATE, draws);
    put(t, "training_flop_per_second", "  their products, were they dense", FLOP_RATE,
        draws * c->flops_per_row);
    put(t, "stream_seconds", "the whole stream takes", SECONDS, known(c->stream_rows) / rate);
    head(t, "Training, as measured in this run's folder before");
    put(t, "trained_rows_per_second", "rows drawn, waiting included", ROW_RATE,
        c->trained_rows_per_second);
    put(t, "training_seconds", "a whole run takes", SECONDS, planned / c->trained_rows_per_second);
}

static struct table table_of(const struct capacity *c, double rate)
{
    struct table t = {.count = 0};
    put_row(&t, c);
    put_disk(&t, c);
    put_memory(&t, c);
    put(&t, "checkpoint_bytes_per_stream_byte", "checkpoint bytes per stream byte", RATIO,
        c->checkpoint_bytes_per_stream_byte);
    put_rates(&t, c, rate);
    return t;
}

static void text_of(enum unit unit, double value, char *out, size_t bytes)
{
    char text[32];
    switch (unit) {
    case COUNT:
        progress_number(value, out, bytes);
        break;
    case BYTES:
        progress_bytes(value, out, bytes);
        break;
    case ROW_BYTES:
        progress_number(ceil(value), out, bytes);
        break;
    case RATIO:
        snprintf(out, bytes, "%.2f", value);
        break;
    case SECONDS:
        progress_time(value, out, bytes);
        break;
    case BYTE_RATE:
        progress_bytes(value, text, sizeof text);
        snprintf(out, bytes, "%s per second", text);
        break;
    case ROW_RATE:
        progress_number(value, text, sizeof text);
        snprintf(out, bytes, "%s per second", text);
        break;
    case FLOP_RATE:
        snprintf(out, bytes, "%.1f GFLOP per second", value * 1e-9);
        break;
    }
}

static void print_line(const char *what, enum unit unit, double value)
{
    char text[64];
    text_of(unit, value, text, sizeof text);
    printf("  %-42s %s\n", what, text);
}

void capacity_table_print(const struct capacity *c)
{
    print_line("values per row", COUNT, c->width);
    print_line("bytes per row on the wire", ROW_BYTES, c->wire_row_bytes);
    print_line("rows per slab", COUNT, (double)c->rows_per_slab);
    print_line("rows in the buffer", COUNT, (double)c->buffer_rows);
    print_line("buffer on disk, at most", BYTES, (double)c->buffer_disk_bytes);
    print_line("disk for 30 days, buffer and all, about", BYTES, (double)c->disk_bytes);
    print_line("memory of the broker, at most", BYTES, (double)c->broker_bytes);
    print_line("memory of the sink, at most", BYTES, (double)c->sink_bytes);
    print_line("memory of a capture, at most", BYTES, (double)c->capture_bytes);
    print_line("memory of a trainer, about", BYTES, (double)c->trainer_bytes);
    if (c->whiten_bytes) print_line("  of it to whiten, about", BYTES, (double)c->whiten_bytes);
    print_line("a checkpoint, about", BYTES, (double)c->checkpoint_bytes);
    print_line("checkpoint bytes per stream byte", RATIO, c->checkpoint_bytes_per_stream_byte);
}

void capacity_table_print_all(const struct capacity *c, double rate)
{
    struct table t = table_of(c, rate);
    const char *heading = NULL;
    for (size_t i = 0; i < t.count; i++) {
        const struct entry *line = &t.line[i];
        if (line->head) heading = line->head;
        if (isnan(line->value)) continue;
        if (heading) printf("\n%s:\n", heading);
        heading = NULL;
        print_line(line->what, line->unit, line->value);
    }
}

json_t *capacity_table_json(const struct capacity *c, double rate)
{
    struct table t = table_of(c, rate);
    json_t *object = json_object();
    if (!object) return NULL;
    json_put_count(object, "captures", c->producers);
    json_put_count(object, "trainers", c->consumers);
    for (size_t i = 0; i < t.count; i++) json_put_number(object, t.line[i].key, t.line[i].value);
    return object;
}
