#include "cli/report.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "buffer/consumer.h"
#include "cli/progress.h"
#include "cli/remarks.h"
#include "proto/message.h"
#include "runtime/left_out.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUMMARY_LIMIT_BYTES = 16 << 20, FVE_ROWS = 2000 /* held out at least */ };

static int summary_path(const struct config *config, const char *consumer, char *out)
{
    char dir[CONFIG_PATH_BYTES];
    int result = config_consumer_dir(config, consumer, dir);
    if (result != ERR_OK) return result;
    if (snprintf(out, CONFIG_PATH_BYTES, "%s/summary.json", dir) >= CONFIG_PATH_BYTES)
        return err_set(ERR_LIMIT, "path too long: %.80s...", dir);
    return ERR_OK;
}

static int has_drawn(const struct config *config, const char *consumer)
{
    char buffer[CONFIG_PATH_BYTES];
    struct consumer_state state;
    if (config_buffer_dir(config, buffer) != ERR_OK) return 0;
    if (consumer_read(buffer, consumer, &state) != ERR_OK) return 0;
    int finished = state.finished && state.stream == stream_key(config->stream.name);
    consumer_state_free(&state);
    return finished;
}

int report_consumer_finished(const struct config *config, const char *consumer)
{
    char path[CONFIG_PATH_BYTES];
    return has_drawn(config, consumer) && summary_path(config, consumer, path) == ERR_OK &&
           access(path, R_OK) == 0;
}

uint64_t report_rows_drawn(const struct config *config)
{
    const struct config_list *consumers = &config->trainer.consumers;
    char buffer[CONFIG_PATH_BYTES];
    uint64_t least = UINT64_MAX;
    if (config_buffer_dir(config, buffer) != ERR_OK) return 0;
    for (uint32_t i = 0; i < consumers->count; i++) {
        struct consumer_state state;
        if (consumer_read(buffer, consumers->item[i], &state) != ERR_OK) return 0;
        if (state.rows_drawn < least) least = state.rows_drawn;
        consumer_state_free(&state);
    }
    return consumers->count ? least : 0;
}

static int all(const struct config *config, int (*has)(const struct config *, const char *consumer))
{
    const struct config_list *consumers = &config->trainer.consumers;
    for (uint32_t i = 0; i < consumers->count; i++)
        if (!has(config, consumers->item[i])) return 0;
    return consumers->count > 0;
}

int report_all_drawn(const struct config *config)
{
    return all(config, has_drawn);
}

int report_finished(const struct config *config)
{
    return all(config, report_consumer_finished);
}

static double real(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "-";
}

static void print_fraction(double x, int digits, int width, FILE *out)
{
    if (isnan(x))
        fprintf(out, "  %*s", width, "-");
    else
        fprintf(out, "  %*.*f", width, digits, x);
}

/* Columns as wide as the longest of their names. */
struct columns {
    int consumer, sae;
};

static void widen(int *width, const char *name)
{
    if ((int)strlen(name) > *width) *width = (int)strlen(name);
}

static struct columns columns_of(const json_t *summaries)
{
    struct columns columns = {12, 24};
    json_t *summary, *sae;
    size_t i, j;
    json_array_foreach(summaries, i, summary)
    {
        widen(&columns.consumer, text(summary, "consumer"));
        json_array_foreach(json_object_get(summary, "saes"), j, sae)
            widen(&columns.sae, text(sae, "name"));
    }
    return columns;
}

static void print_sae(const json_t *summary, const json_t *sae, struct columns columns, FILE *out)
{
    char features[32], k[32], dead[32], steps[32], rows[32];
    progress_number(real(sae, "features"), features, sizeof features);
    progress_number(real(sae, "k"), k, sizeof k);
    progress_number(real(sae, "dead"), dead, sizeof dead);
    progress_number(real(sae, "steps"), steps, sizeof steps);
    progress_number(real(summary, "rows"), rows, sizeof rows);
    fprintf(out, "  %-*s  %-*s  %8s  %5s", columns.consumer, text(summary, "consumer"), columns.sae,
            text(sae, "name"), features, k);
    print_fraction(real(sae, "fve"), 4, 6, out);
    print_fraction(real(sae, "l0"), 1, 6, out);
    fprintf(out, "  %7s  %8s  %12s\n", dead, steps, rows);
}

static void print_indented(const char *lines, FILE *out)
{
    while (*lines) {
        size_t n = strcspn(lines, "\n");
        fprintf(out, "    %.*s\n", (int)n, lines);
        lines += n + (lines[n] == '\n');
    }
}

static void print_files(const json_t *sae, FILE *out)
{
    json_t *exports = json_object_get(sae, "exports"), *item;
    size_t i;
    json_array_foreach(exports, i, item)
        fprintf(out, "  %-10s  %s\n", text(item, "layout"), text(item, "folder"));
    if (json_object_get(sae, "counts_file"))
        fprintf(out, "  %-10s  %s\n", "counters", text(sae, "counts_file"));
}

/* Of all autoencoders of a consumer. */
static void print_curves(const json_t *summary, FILE *out)
{
    const char *lines = json_string_value(json_object_get(summary, "metrics_file"));
    const char *folder = json_string_value(json_object_get(summary, "tensorboard_folder"));
    if (lines) fprintf(out, "  %-10s  %s\n", "curves", lines);
    if (folder) fprintf(out, "  %-10s  tensorboard --logdir %s\n", lines ? "" : "curves", folder);
}

/* How to load the first export that there is. */
static void print_python(const json_t *summaries, FILE *out)
{
    json_t *saes = json_object_get(json_array_get(summaries, 0), "saes");
    json_t *exports = json_object_get(json_array_get(saes, 0), "exports");
    if (json_array_size(exports) == 0) return;
    fprintf(out, "\nLoad %s in Python:\n\n", json_array_size(saes) > 1 ? "the first" : "it");
    print_indented(text(json_array_get(exports, 0), "python"), out);
}

/* Within how many rows a feature of the summary's autoencoders must fire: "10k", or from least to
 * most. */
static void dead_windows(const json_t *summary, char *out, size_t out_bytes)
{
    json_t *saes = json_object_get(summary, "saes"), *sae;
    double least = INFINITY, most = 0;
    char number[2][32];
    size_t i;
    json_array_foreach(saes, i, sae)
    {
        if (!json_object_get(sae, "dead_window_rows")) continue; /* a counter */
        least = fmin(least, real(sae, "dead_window_rows"));
        most = fmax(most, real(sae, "dead_window_rows"));
    }
    snprintf(out, out_bytes, "-");
    if (most == 0) return;
    progress_number(least, number[0], sizeof number[0]);
    progress_number(most, number[1], sizeof number[1]);
    if (least == most)
        snprintf(out, out_bytes, "no firing in %s rows", number[0]);
    else
        snprintf(out, out_bytes, "no firing in %s to %s rows", number[0], number[1]);
}

/* Of what was skipped, what a faster trainer would have drawn. */
static void print_missed(const json_t *summary, FILE *out)
{
    char missed[32];
    if (!(real(summary, "missed_rows") > 0)) return;
    progress_number(real(summary, "missed_rows"), missed, sizeof missed);
    fprintf(out, " (%s missed: replaced before they were drawn)", missed);
}

void report_rows(const json_t *summary, FILE *out)
{
    char held[32], skipped[32], window[96], time[32];
    json_t *shuffle = json_object_get(summary, "shuffle");
    progress_number(real(summary, "held_out_rows"), held, sizeof held);
    progress_number(real(summary, "skipped_rows"), skipped, sizeof skipped);
    dead_windows(summary, window, sizeof window);
    progress_time(real(summary, "seconds"), time, sizeof time);
    fprintf(out, "\n  %s: %s training; %s rows held out, %s skipped", text(summary, "consumer"),
            time, held, skipped);
    print_missed(summary, out);
    fprintf(out, "; dead: %s", window);
    if (json_object_get(shuffle, "entropy_ratio"))
        fprintf(out, "; entropy of a batch %.3f of the ideal", real(shuffle, "entropy_ratio"));
    const char *why = remarks_no_fve(summary);
    if (why) fprintf(out, "; no FVE: %s", why);
    if (why && real(summary, "evaluated_rows") < FVE_ROWS)
        fprintf(out, "; HINT: raise trainer.eval_rows, or train on more rows");
    fprintf(out, "\n");
}

int report_summary(const struct config *config, const char *consumer, json_t **summary)
{
    char path[CONFIG_PATH_BYTES], *data;
    size_t bytes;
    int result = summary_path(config, consumer, path);
    if (result == ERR_OK) result = own_read(path, SUMMARY_LIMIT_BYTES, &data, &bytes);
    if (result != ERR_OK) return result;
    *summary = json_loadb(data, bytes, 0, NULL);
    free(data);
    return *summary ? ERR_OK : err_set(ERR_FORMAT, "%s is no JSON", path);
}

void report_left_out(const struct config *config, FILE *out)
{
    char text[LEFT_OUT_TEXT_BYTES];
    struct left_out l;
    if (left_out_read_all(config, &l) != ERR_OK) return;
    fprintf(out, "\n");
    if (l.has_corpus) {
        left_out_documents_text(&l, text, sizeof text);
        fprintf(out, "  documents: %s\n", text);
    }
    left_out_rows_text(&l, text, sizeof text);
    fprintf(out, "  rows: %s", text);
    if (l.producers < config->capture.producers)
        fprintf(out, " (as %u of %u producers tell)", l.producers, config->capture.producers);
    fprintf(out, "\n");
    left_out_short_text(config, &l, text, sizeof text);
    if (text[0]) fprintf(out, "  WARNING: %s\n", text);
}

int report_print(const struct config *config, FILE *out)
{
    const struct config_list *consumers = &config->trainer.consumers;
    json_t *all = json_array(), *summary, *sae;
    int result = ERR_OK;
    size_t i, j;
    for (uint32_t c = 0; c < consumers->count && result == ERR_OK; c++) {
        result = report_summary(config, consumers->item[c], &summary);
        if (result == ERR_OK) json_array_append_new(all, summary);
    }
    struct columns columns = columns_of(all);
    if (result == ERR_OK && json_array_size(all) > 0)
        fprintf(out, "  %-*s  %-*s  %8s  %5s  %6s  %6s  %7s  %8s  %12s\n", columns.consumer,
                "consumer", columns.sae, "sae", "features", "k", "FVE", "L0", "dead", "steps",
                "rows");
    json_array_foreach(all, i, summary) json_array_foreach(json_object_get(summary, "saes"), j, sae)
        print_sae(summary, sae, columns, out);
    if (result == ERR_OK) report_left_out(config, out);
    json_array_foreach(all, i, summary)
    {
        report_rows(summary, out);
        json_array_foreach(json_object_get(summary, "saes"), j, sae) print_files(sae, out);
        print_curves(summary, out);
        remarks_print(summary, out);
    }
    print_python(all, out);
    json_decref(all);
    return result;
}
