/* `sluice status`: one look at a running pipeline. */
#include "cli/commands.h"

#include "base/err.h"
#include "buffer/consumer.h"
#include "cli/disk.h"
#include "cli/lock.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/snapshot.h"
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
        if (!isnan(rate)) sum = (isnan(sum) ? 0 : sum) + rate;
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
    if (s.passed_over_rows > 0) row("passed over", s.passed_over_rows, NAN, "rows");
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

/* The least that a consumer had drawn at its last checkpoint; 0 where one has none. */
static uint64_t rows_drawn(const struct config *config, const char *buffer)
{
    const struct config_list *consumers = &config->trainer.consumers;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < consumers->count; i++) {
        struct consumer_state state;
        if (consumer_read(buffer, consumers->item[i], &state) != ERR_OK) return 0;
        if (state.rows_drawn < least) least = state.rows_drawn;
        consumer_state_free(&state);
    }
    return least;
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
    progress_number((double)rows_drawn(config, buffer), rows, sizeof rows);
    return err_set(ERR_STATE,
                   "the stream '%s' is not running: it stopped unfinished, with %s rows trained on "
                   "at its last checkpoint; HINT: `sluice up %s` goes on",
                   config->stream.name, rows, options->file);
}

int status_command(const struct options *options, const struct config *config)
{
    json_t *status;
    int result = snapshot_fetch(config, &status);
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
        printf("Stream %s is running%s%s.\n\n", config->stream.name, bound ? ", " : "",
               bound ? bound : "");
        print_numbers(config, status);
        print_first_skipped(config);
        print_processes(status);
    }
    json_decref(status);
    return result;
}
