#include "broker/api.h"

#include "base/err.h"
#include "broker/curves.h"
#include "broker/history_query.h"
#include "broker/page.h"
#include "proto/report.h"

#include <stdlib.h>
#include <string.h>

/* ---- answers ---- */

static uint64_t wall_seconds(void)
{
    return process_wall_ns() / 1000000000;
}

static int get_status(void *arg, struct http_reply *reply)
{
    const struct api *api = arg;
    return status_json(api->status, process_now_ns(), &reply->body, &reply->bytes);
}

static int end_body(FILE *out, struct http_reply *reply)
{
    if (fclose(out) == 0) return ERR_OK;
    free(reply->body);
    reply->body = NULL;
    return err_set(ERR_NOMEM, "no memory for the answer");
}

static int get_history(void *arg, const struct http_request *request, struct http_reply *reply)
{
    const struct api *api = arg;
    struct history_query query;
    int result = history_query_parse(api->history, http_argument(request, "series"),
                                     http_argument(request, "from"), http_argument(request, "to"),
                                     http_argument(request, "points"), wall_seconds(), &query);
    if (result != ERR_OK) return result;
    FILE *out = open_memstream(&reply->body, &reply->bytes);
    if (!out) return err_set(ERR_NOMEM, "no memory for the answer");
    history_query_write(api->history, &query, out);
    return end_body(out, reply);
}

/* Names need no escapes (history_file_name_ok). */
static int get_series(void *arg, struct http_reply *reply)
{
    const struct api *api = arg;
    FILE *out = open_memstream(&reply->body, &reply->bytes);
    if (!out) return err_set(ERR_NOMEM, "no memory for the answer");
    fputs("{\"series\":[", out);
    for (uint32_t i = 0; i < history_count(api->history); i++)
        fprintf(out, "%s\"%s\"", i ? "," : "", history_name(api->history, i));
    fprintf(out, "],\"left_out\":%u}", history_left_out(api->history));
    return end_body(out, reply);
}

const struct http_handler *api_handlers(size_t *count)
{
    static struct http_handler handlers[PAGE_HANDLERS + 4] = {
        {.path = "/api/status", .get = get_status},
        {.path = "/api/events", .is_stream = 1},
        {.path = "/api/history", .ask = get_history},
        {.path = "/api/history/series", .get = get_series},
    };
    page_handlers(handlers + 4);
    *count = sizeof handlers / sizeof *handlers;
    return handlers;
}

/* ---- each second ---- */

static void on_report(void *arg, const struct status_news *news)
{
    struct api *api = arg;
    uint64_t now_ns = process_now_ns();
    double started = report_number(news->report, REPORT_PROCESS_START_SECONDS);
    curves_of_report(api->history, news, now_ns);
    if (lives_note(history_lives(api->history), news->name, started))
        history_keep_lives(api->history);
}

static void tell(const struct api *api, struct process *process, uint64_t now_ns)
{
    char *text;
    size_t bytes;
    if (!process_listeners(process) || status_json(api->status, now_ns, &text, &bytes)) return;
    process_tell(process, "status", text, bytes);
    free(text);
}

void api_tick(struct api *api, struct process *process)
{
    uint64_t now_ns = process_now_ns();
    struct overview overview;
    status_tick(api->status, now_ns, &overview);
    curves_of_overview(api->history, &overview, now_ns);
    history_tick(api->history, wall_seconds(), now_ns);
    tell(api, process, now_ns);
}

/* ---- opening ---- */

/* The file of the history; NULL: a broker without pages may have no folder of the run to write in. */
static const char *file_of(const struct config *config, char path[CONFIG_PATH_BYTES])
{
    if (strcmp(config_http(config, "broker"), "off") == 0) return NULL;
    int n = snprintf(path, CONFIG_PATH_BYTES, "%s/history", config->run_dir);
    return n < CONFIG_PATH_BYTES ? path : NULL;
}

/* Not where programs or a pipe hand over rows: they may have none. */
static int is_fed(const struct config *config)
{
    return config->capture.engine != CONFIG_RING && !config_reads_stdin(config);
}

int api_open(struct api *api, struct process *process)
{
    const struct config *config = process_config(process);
    char path[CONFIG_PATH_BYTES];
    int result = history_open(file_of(config, path), config->stream.name, &api->history);
    if (result != ERR_OK) return result;
    struct status_options options = {.stream = config->stream.name,
                                     .advice = advice_setup_of(config),
                                     .lives = history_lives(api->history),
                                     .is_fed = is_fed(config),
                                     .on_report = on_report,
                                     .arg = api};
    return status_new(&options, &api->status);
}

void api_close(struct api *api, int ended)
{
    if (ended && api->history) {
        lives_end(history_lives(api->history));
        history_keep_lives(api->history);
    }
    status_free(api->status);
    history_close(api->history);
}
