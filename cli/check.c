/* `sluice check`: everything that can be validated without running, and the sizes that follow. */
#include "base/err.h"
#include "base/own.h"
#include "cli/capacity.h"
#include "cli/capacity_table.h"
#include "cli/commands.h"
#include "cli/live.h"
#include "cli/preflight.h"
#include "cli/preparation.h"
#include "cli/probe.h"
#include "cli/progress.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static void text_line(const char *what, const char *text)
{
    printf("  %-34s %s\n", what, text);
}

static void number_line(const char *what, double number)
{
    char text[32];
    progress_number(number, text, sizeof text);
    text_line(what, text);
}

static void print_stream(const struct config *config, const struct probe *p)
{
    text_line("stream", config->stream.name);
    text_line("folder", config->run_dir);
    if (p->model[0]) text_line(config->capture.engine == CONFIG_FILES ? "rows" : "model", p->model);
    for (uint32_t h = 0; h < p->hooks; h++) {
        char text[128];
        snprintf(text, sizeof text, "%s, %u values", p->hook[h].name, p->hook[h].width);
        text_line(h ? "" : "hooks", text);
    }
    for (uint32_t h = 0; !p->hooks && h < config->stream.hooks.count; h++)
        text_line(h ? "" : "hooks", config->stream.hooks.item[h]);
    if (p->corpus_files)
        number_line(p->opened ? "corpus, files" : "corpus, files and patterns", p->corpus_files);
    if (p->corpus_note[0]) text_line("", p->corpus_note);
}

/* Bytes that the disk of the run's folder has left for the buffer, what it holds already among
 * them; UINT64_MAX where nobody can tell. */
static uint64_t room_for_buffer(const struct config *config)
{
    char path[CONFIG_PATH_BYTES], file[CONFIG_PATH_BYTES + 16];
    struct statvfs disk;
    struct stat data;
    if (config_buffer_dir(config, path) != ERR_OK) return UINT64_MAX;
    snprintf(file, sizeof file, "%s/data.mdb", path);
    uint64_t held = stat(file, &data) == 0 ? (uint64_t)data.st_blocks * 512 : 0;
    while (statvfs(path, &disk) != 0) { /* the nearest folder that is there already */
        char *slash = strrchr(path, '/');
        if (!slash || slash == path) return UINT64_MAX;
        *slash = '\0';
    }
    return (uint64_t)disk.f_bavail * disk.f_frsize + held;
}

/* ---- warnings: an array of texts ---- */

static void warn(json_t *warnings, const char *text)
{
    json_array_append_new(warnings, json_string(text));
}

static void warn_of_disk(const struct config *config, json_t *warnings)
{
    char room[32], size[32], text[CONFIG_PATH_BYTES + 256];
    uint64_t bytes = room_for_buffer(config);
    if (bytes >= config->sink.size_bytes) return;
    progress_bytes((double)bytes, room, sizeof room);
    progress_bytes((double)config->sink.size_bytes, size, sizeof size);
    snprintf(text, sizeof text,
             "the disk of %s has room for %s, and the buffer may take %s; HINT: make room, lower "
             "sink.size, or set stream.run_dir",
             config->run_dir, room, size);
    warn(warnings, text);
}

static void warn_of_parents(const struct config *config, json_t *warnings)
{
    char parents[512], text[640];
    if (own_parents(config->run_dir, parents, sizeof parents) != ERR_OK || !parents[0]) return;
    snprintf(text, sizeof text,
             "%s; HINT: choose another stream.run_dir where they are not trusted", parents);
    warn(warnings, text);
}

static json_t *warnings_of(const struct config *config, const struct capacity *c)
{
    json_t *warnings = c ? json_deep_copy(c->warnings) : json_array();
    if (c && c->checkpoint_bytes_per_stream_byte > 1)
        warn(warnings, "checkpoints would write more than the stream itself; HINT: raise sink.size "
                       "or sink.checkpoint_share");
    warn_of_disk(config, warnings);
    warn_of_parents(config, warnings);
    return warnings;
}

/* ---- what is asked ---- */

struct asked {
    double rate;     /* of --capacity; NaN: it was not given */
    long long width; /* of --width; 0: it was not given */
    int json;
};

static int asked_of(const struct options *options, struct asked *asked)
{
    const char *text = options_get(options, "capacity");
    char *end = NULL;
    asked->rate = text ? strtod(text, &end) : NAN;
    asked->json = options_get(options, "json") != NULL;
    if (text && (end == text || *end || !(asked->rate >= 1e-3 && asked->rate <= 1e12)))
        return err_set(ERR_USAGE,
                       "--capacity takes rows per second, a number such as 5000, and not '%s'",
                       text);
    return options_number(options, "width", 1, ROW_MAX_WIDTH, 0, &asked->width);
}

/* What is not known before the model runs is taken as told: so wide is each hook. */
static int assume_width(const struct config *config, uint32_t width, struct probe *p)
{
    const struct config_list *hooks = &config->stream.hooks;
    if (p->opened)
        return err_set(ERR_USAGE,
                       "--width is for streams whose width the file does not tell; this "
                       "one's rows have %u values",
                       p->width);
    p->hooks = hooks->count ? hooks->count : 1;
    if ((uint64_t)p->hooks * width > ROW_MAX_WIDTH || p->hooks > ROW_MAX_HOOKS)
        return err_set(ERR_USAGE, "%u hooks of %u values are more than the %d that a row can have",
                       p->hooks, width, ROW_MAX_WIDTH);
    for (uint32_t h = 0; h < p->hooks; h++) {
        snprintf(p->hook[h].name, sizeof p->hook[h].name, "%s",
                 hooks->count ? hooks->item[h] : "hook");
        p->hook[h].width = width;
    }
    p->width = p->hooks * width;
    return ERR_OK;
}

/* ---- what is told ---- */

static void print_warnings(const json_t *warnings)
{
    const json_t *text;
    size_t i;
    json_array_foreach(warnings, i, text) printf("\nWARNING: %s\n", json_string_value(text));
}

static void print_sizes(const struct capacity *c, double rate)
{
    if (isnan(rate))
        capacity_table_print(c);
    else
        capacity_table_print_all(c, rate);
    printf(
        "\nWhat is `at most` is a cap, whatever peers send: without floods, broker and sink take a "
        "fraction of it. Beside a\ncapture's memory comes the model, and what the engine computes "
        "in. Pages of the buffer's file are the kernel's to\ntake back.%s\n",
        isnan(rate) ? " `--capacity 5000` tells what 5000 rows per second need." : "");
}

static void print_text(const struct options *options, const struct config *config,
                       const struct probe *p, const struct capacity *c, double rate)
{
    json_t *warnings = warnings_of(config, c);
    printf("%s is valid.\n\n", options->file);
    print_stream(config, p);
    if (c)
        print_sizes(c, rate);
    else
        printf("\n%s: sizes follow from the model when it runs, or from --width.\n",
               config->capture.engine == CONFIG_RING ? "Rows come from a running program"
                                                     : "The corpus is standard input");
    preparation_print(&p->forecast);
    print_warnings(warnings);
    json_decref(warnings);
}

static int print_json(const struct options *options, const struct config *config,
                      const struct capacity *c, double rate)
{
    json_t *capacity = c ? capacity_table_json(c, rate) : json_null();
    json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:o}", "file", options->file, "stream",
                               config->stream.name, "folder", config->run_dir, "capacity", capacity,
                               "warnings", warnings_of(config, c));
    if (!object) return err_set(ERR_NOMEM, "no memory for the sizes");
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
    return ERR_OK;
}

int check_command(const struct options *options, const struct config *config)
{
    struct probe probe;
    struct capacity capacity = {.producers = 0};
    struct asked asked;
    struct part part;
    if (options_get(options, "live")) return live_check(options, config);
    int result = part_parse(config, options_get(options, "only"), &part);
    if (result == ERR_OK) result = asked_of(options, &asked);
    if (result == ERR_OK) result = preflight(config, &part);
    if (result == ERR_OK) result = probe_engine(config, &probe);
    if (result == ERR_OK && asked.width)
        result = assume_width(config, (uint32_t)asked.width, &probe);
    if (result == ERR_OK && probe.width) result = capacity_of(config, &probe, &capacity);
    if (result == ERR_OK) {
        const struct capacity *known = probe.width ? &capacity : NULL;
        if (asked.json)
            result = print_json(options, config, known, asked.rate);
        else
            print_text(options, config, &probe, known, asked.rate);
    }
    capacity_free(&capacity);
    return result;
}
