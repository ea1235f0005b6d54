/* `sluice status`: one look at a running pipeline. */
#include "cli/commands.h"

#include "base/err.h"
#include "cli/disk.h"
#include "cli/finish.h"
#include "cli/lock.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/snapshot.h"
#include "cli/streams.h"
#include "config/address.h"
#include "proto/report.h"
#include "runtime/left_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void row(const char *what, double number, double rate, const char *unit)
{
    char text[32], speed[32];
    progress_number(number, text, sizeof text);
    progress_number(rate, speed, sizeof speed);
    if (isnan(rate))
        printf("  %-22s %16s %s\n", what, text, unit);
    else
        printf("  %-22s %16s %s, %s per second\n", what, text, unit, speed);
}

static double rate_of(const json_t *status, enum report_id metric)
{
    double sum = NAN;
    json_t *process;
    size_t i;
    json_array_foreach(json_object_get(status, "processes"), i, process)
    {
        double rate = report_number(json_object_get(process, "rates"), metric);
        double age_seconds = json_number_value(json_object_get(process, "age_seconds"));
        if (!isnan(rate) && age_seconds <= REPORT_SILENT_SECONDS)
            sum = (isnan(sum) ? 0 : sum) + rate;
    }
    return sum;
}

static void print_processes(const json_t *status)
{
    json_t *process;
    size_t i;
    printf("\n  %-24s %12s\n", "process", "last heard");
    json_array_foreach(json_object_get(status, "processes"), i, process)
    {
        const char *name = json_string_value(json_object_get(process, "name"));
        printf("  %-24s %10.1f s\n", name ? name : "?",
               json_number_value(json_object_get(process, "age_seconds")));
    }
    json_int_t left_out = json_integer_value(json_object_get(status, "without_report"));
    if (left_out > 0)
        printf("\n  %lld captures' numbers find no room here: rates are those of the others.\n",
               (long long)left_out);
}

/* Where it is known: not for an engine without a corpus. */
static void row_if_known(const char *what, double number, const char *unit)
{
    if (!isnan(number)) row(what, number, NAN, unit);
}

static void print_left_out(const struct snapshot *s)
{
    row("filtered", s->filtered_rows, NAN, "rows");
    row_if_known("  special tokens", s->special_rows, "rows");
    row_if_known("  at position 0", s->first_rows, "rows");
    row_if_known("  over the norm limit", s->norm_rows, "rows");
    row("rejected", s->rejected_rows, NAN, "rows");
    row("shed", s->shed_rows, NAN, "rows");
    if (!(s->documents > 0)) return;
    row("documents", s->documents, NAN, "");
    row_if_known("  skipped", s->skipped, "");
    row_if_known("  mended", s->replaced, "");
}

static void print_first_skipped(const struct config *config)
{
    struct left_out l;
    if (left_out_read_all(config, &l) == ERR_OK && l.first_skipped[0])
        printf("\n  The first document that was skipped: %s\n", l.first_skipped);
}

static void print_notice(const struct config *config, const struct snapshot *s)
{
    char notice[512];
    if (disk_notice(config, s, notice, sizeof notice)) printf("  WARNING: %s\n\n", notice);
}

static void print_numbers(const struct config *config, const json_t *status)
{
    struct snapshot s;
    char fraction[3][32];
    snapshot_read(status, &s);
    snapshot_take_files(config, &s);
    print_notice(config, &s);
    row("tokens", s.tokens, rate_of(status, REPORT_CAPTURE_TOKENS), "tokens");
    row("captured", s.captured_rows, rate_of(status, REPORT_CAPTURE_ROWS), "rows");
    row("stored", s.stored_rows, rate_of(status, REPORT_SINK_ROWS), "rows");
    row("planned", s.planned_rows > 0 ? s.planned_rows : NAN, NAN, "rows");
    row("buffer", s.buffer_slabs, NAN, "slabs");
    row("  of", s.buffer_capacity_slabs, NAN, "slabs");
    row("trained", s.trained_rows, rate_of(status, REPORT_TRAINER_ROWS), "rows");
    row("  of", s.planned_draws > 0 ? s.planned_draws : NAN, NAN, "rows");
    row("held out", s.held_out_rows, NAN, "rows");
    if (s.missed_rows > 0) row("missed", s.missed_rows, NAN, "rows, replaced undrawn");
    print_left_out(&s);
    double value[3] = {s.fve, s.l0, 100 * s.dead / s.features};
    for (int i = 0; i < 3; i++) {
        if (isnan(value[i]))
            snprintf(fraction[i], sizeof fraction[i], "-");
        else
            snprintf(fraction[i], sizeof fraction[i], i == 0 ? "%.4f" : "%.1f", value[i]);
    }
    printf("  %-22s %16s\n  %-22s %16s\n  %-22s %16s %%\n", "FVE", fraction[0], "L0", fraction[1],
           "dead features", fraction[2]);
}

/* No broker answers (`why`): say what the run's folder tells. */
static int not_running(const struct options *options, const struct config *config, const char *why)
{
    char buffer[CONFIG_PATH_BYTES], text[512], rows[32];
    snprintf(text, sizeof text, "%s", why);
    if (address_is_tcp(config->broker.front)) /* it may run on another host */
        return err_set(
            ERR_STATE,
            "nothing is heard from the broker at %s (%s); HINT: is it started there, and "
            "is this host's key in its allow-list, with the role status?",
            config->broker.front, text);
    int result = lock_check(config);
    if (result == ERR_EXISTS)
        return err_set(ERR_STATE, "%s; its broker does not answer (%s)", err_text(), text);
    if (result == ERR_OK) result = config_buffer_dir(config, buffer);
    if (result != ERR_OK) return result;
    if (access(buffer, F_OK) != 0)
        return err_set(ERR_NOTFOUND,
                       "the stream '%s' is not running, and has stored nothing in %s; HINT: start "
                       "it with `sluice up %s`",
                       config->stream.name, config->run_dir, options->file);
    report_left_out(config, stdout);
    if (config->trainer.consumers.count == 0)
        return err_set(ERR_STATE,
                       "the stream '%s' is not running; HINT: `sluice buffer info %s` says what is "
                       "stored",
                       config->stream.name, options->file);
    progress_number((double)report_rows_drawn(config), rows, sizeof rows);
    return err_set(ERR_STATE,
                   "the stream '%s' is not running: it stopped unfinished, with %s rows trained on "
                   "at its last checkpoint; HINT: `sluice up %s` goes on, with the same --set",
                   config->stream.name, rows, options->file);
}

/* ---- without FILE: all streams ---- */

static double rows_of(const struct stream_found *s)
{
    struct snapshot numbers;
    if (!s->status) return (double)report_rows_drawn(s->config);
    snapshot_read(s->status, &numbers);
    return numbers.trained_rows;
}

static const char *bottleneck_of(const struct stream_found *s)
{
    const char *word = json_string_value(json_object_get(s->status, "bottleneck"));
    return word ? word : "-";
}

static json_t *number(double value)
{
    return isnan(value) ? json_null() : json_integer((json_int_t)value);
}

static json_t *text_or_null(const char *text)
{
    return text[0] && strcmp(text, "-") != 0 ? json_string(text) : json_null();
}

static int print_list_json(const struct streams *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->count; i++) {
        const struct stream_found *f = &s->found[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "name", f->config->stream.name,
                            "state", streams_word(f->state), "folder", f->config->run_dir, "page",
                            text_or_null(f->page), "trained_rows", number(rows_of(f)), "bottleneck",
                            text_or_null(bottleneck_of(f)), "pid",
                            f->pid > 0 ? json_integer(f->pid) : json_null()));
    }
    json_t *all =
        json_pack("{s:s, s:o, s:i}", "folder", s->folder, "streams", list, "left_out", s->left_out);
    int result = all && json_dumpf(all, stdout, JSON_INDENT(2)) == 0 ? ERR_OK : ERR_IO;
    printf("\n");
    json_decref(all);
    return result;
}

static void print_list(const struct streams *s)
{
    int longest = 6;
    for (int i = 0; i < s->count; i++)
        if ((int)strlen(s->found[i].config->stream.name) > longest)
            longest = (int)strlen(s->found[i].config->stream.name);
    if (s->count)
        printf("%-*s  %-9s  %14s  %-14s  %-25s  %s\n", longest, "stream", "state", "rows trained",
               "bottleneck", "page", "folder");
    else
        printf("No stream has a folder in %s.\n", s->folder);
    for (int i = 0; i < s->count; i++) {
        const struct stream_found *f = &s->found[i];
        char rows[32];
        progress_number(rows_of(f), rows, sizeof rows);
        printf("%-*s  %-9s  %14s  %-14s  %-25s  %s\n", longest, f->config->stream.name,
               streams_word(f->state), rows, bottleneck_of(f), f->page[0] ? f->page : "-",
               f->config->run_dir);
        if (f->state == STREAMS_SILENT)
            printf("%-*s  process %ld runs it; `sluice status FILE` finds a broker that listens "
                   "elsewhere\n",
                   longest, "", f->pid);
    }
    if (s->left_out) printf("%d more are not shown.\n", s->left_out);
    printf("\nStreams with a stream.run_dir of their own are not listed: sluice status FILE\n");
}

static int list_streams(const struct options *options)
{
    static struct streams s; /* large */
    int result = streams_find(&s);
    if (result == ERR_OK && options_get(options, "json"))
        result = print_list_json(&s);
    else if (result == ERR_OK)
        print_list(&s);
    streams_free(&s);
    return result;
}

static void print_page(const struct config *config)
{
    char page[STREAMS_PAGE_BYTES];
    streams_page(config, page);
    if (page[0]) printf("  %-22s %s\n\n", "page", page);
}

/* The same members as of a running one, for scripts. */
static int print_unanswered(const struct config *config, const char *why)
{
    long pid;
    enum streams_state state = streams_unanswered(config, &pid);
    if (state == STREAMS_STOPPED && address_is_tcp(config->broker.front))
        state = STREAMS_SILENT; /* it may run on another host */
    json_t *text = json_pack("{s:s, s:s, s:n, s:[]}", "stream", config->stream.name, "state",
                             streams_word(state), "bottleneck", "processes");
    int result = text && json_dumpf(text, stdout, JSON_INDENT(2)) == 0 ? ERR_OK : ERR_IO;
    json_decref(text);
    printf("\n");
    if (result != ERR_OK) return err_set(result, "cannot print the status");
    if (state == STREAMS_FINISHED) return ERR_OK;
    return err_set(ERR_STATE, "the stream '%s' %s (%.300s)", config->stream.name,
                   state == STREAMS_SILENT ? "does not answer" : "is not running", why);
}

int status_command(const struct options *options, const struct config *config)
{
    json_t *status;
    if (!config) return list_streams(options);
    int result = snapshot_fetch(config, &status);
    if (result != ERR_OK && !snapshot_is_silence(result)) return result;
    if (result != ERR_OK && options_get(options, "json"))
        return print_unanswered(config, err_text());
    if (result != ERR_OK) {
        if (report_finished(config)) {
            printf("Stream %s is finished.\n\n", config->stream.name);
            return report_print(config, stdout);
        }
        return not_running(options, config, err_text());
    }
    if (options_get(options, "json")) {
        result = json_dumpf(status, stdout, JSON_INDENT(2)) == 0 ? ERR_OK : ERR_IO;
        printf("\n");
    } else {
        const char *bound = json_string_value(json_object_get(status, "bottleneck"));
        char finishing[16];
        finish_notice(config, finishing, sizeof finishing);
        printf("Stream %s is running%s%s%s%s.\n\n", config->stream.name, bound ? ", " : "",
               bound ? bound : "", finishing[0] ? ", " : "", finishing);
        print_page(config);
        print_numbers(config, status);
        print_first_skipped(config);
        print_processes(status);
    }
    json_decref(status);
    return result;
}
