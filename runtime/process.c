/*
 * The life of a process, in the order of process_main(): command line, configuration, hardening,
 * loop, services, start(), loop, stop(), everything closed.
 */
#include "runtime/process.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "config/address.h"
#include "proto/message.h"
#include "runtime/folder.h"
#include "runtime/harden.h"
#include "runtime/last_error.h"
#include "runtime/ours.h"
#include "runtime/readiness.h"
#include "runtime/signals.h"
#include "runtime/site.h"
#include "runtime/vitals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum {
    TICK_MS = 1000,
    HANDLERS_MAX = 32,
    HTTP_SHARE = 8, /* of the files that may be open, one in so many is for pages */
    HTTP_LEAST = 32,
    LINK_THREADS = 2, /* that ZeroMQ starts; where it cannot, it aborts */
    LEAST_BYTES = 16 << 20,
    LEAST_FILES = 45, /* of a broker before anybody connects; where ZeroMQ gets none, it aborts */
};

struct process_timer {
    struct process *process;
    uv_timer_t timer;
    void (*fn)(void *arg);
    void *arg;
};

struct process_wake {
    struct process *process;
    uv_async_t async;
    void (*fn)(void *arg);
    void *arg;
};

struct process {
    const struct process_spec *spec;
    struct options options;
    struct config *config;
    char name[64];
    void *state;
    uv_loop_t loop;
    int loop_open;
    uv_async_t signalled; /* SIGTERM, SIGINT */
    uv_timer_t tick;
    uv_pipe_t parent;
    struct link_hub *hub;
    struct metric *table; /* the spec's metrics, then the vitals */
    struct metrics *metrics;
    struct http_handler handlers[HANDLERS_MAX];
    struct http *http;
    struct readiness readiness;
    struct link *report;
    struct log_limit report_limit, announce_limit;
    int draining, finished, code;
    int has_parent;
    struct site site;
    struct site_socket socket[2]; /* that a broker serves */
};

/* ---- what the process can ask for ---- */

void *process_state(struct process *p)
{
    return p->state;
}

const struct config *process_config(const struct process *p)
{
    return p->config;
}

const struct options *process_options(const struct process *p)
{
    return &p->options;
}

const char *process_name(const struct process *p)
{
    return p->name;
}

struct metrics *process_metrics(struct process *p)
{
    return p->metrics;
}

struct link_hub *process_hub(struct process *p)
{
    return p->hub;
}

uint64_t process_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t process_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

static void tell_error(int code)
{
    char limits[256];
    limits_text(limits, sizeof limits);
    const char *text = err_text()[0] ? err_text() : err_str(code);
    if (code != ERR_NOMEM || !limits[0] || strstr(text, "ulimit"))
        log_error("%s", text);
    else
        log_error("%s (%s)", text, limits);
}

void process_finish(struct process *p, int code)
{
    if (code != ERR_OK) {
        int gone = site_check_now(&p->site);
        if (gone != ERR_OK) code = gone;
        tell_error(code);
        if (p->code == ERR_OK) p->code = code;
    }
    p->finished = 1;
    uv_stop(&p->loop);
}

void process_report_to(struct process *p, struct link *link)
{
    p->report = link;
}

size_t process_listeners(const struct process *p)
{
    return http_listeners(p->http);
}

void process_tell(struct process *p, const char *event, const char *text, size_t bytes)
{
    if (p->http) http_send(p->http, event, text, bytes);
}

static void on_timer(uv_timer_t *timer)
{
    struct process_timer *t = timer->data;
    if (!t->process->finished) t->fn(t->arg); /* stop() may have freed what it would use */
}

struct process_timer *process_timer_new(struct process *p, void (*fn)(void *arg), void *arg)
{
    struct process_timer *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    *t = (struct process_timer){.process = p, .fn = fn, .arg = arg};
    uv_timer_init(&p->loop, &t->timer);
    t->timer.data = t;
    return t;
}

void process_timer_set(struct process_timer *t, uint64_t interval_ms)
{
    if (interval_ms == 0) {
        uv_timer_stop(&t->timer);
    } else {
        uv_timer_start(&t->timer, on_timer, interval_ms, interval_ms);
    }
}

static void on_wake(uv_async_t *async)
{
    struct process_wake *w = async->data;
    if (!w->process->finished) w->fn(w->arg);
}

struct process_wake *process_wake_new(struct process *p, void (*fn)(void *arg), void *arg)
{
    struct process_wake *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    *w = (struct process_wake){.process = p, .fn = fn, .arg = arg};
    if (uv_async_init(&p->loop, &w->async, on_wake) != 0) {
        free(w);
        return NULL;
    }
    w->async.data = w;
    return w;
}

void process_wake_send(struct process_wake *w)
{
    uv_async_send(&w->async);
}

/* ---- metrics and the report ---- */

static int open_metrics(struct process *p)
{
    size_t count = p->spec->metrics_count;
    p->table = calloc(count + vitals_count, sizeof *p->table);
    if (!p->table) return err_set(ERR_NOMEM, "no memory for metrics");
    if (count > 0) memcpy(p->table, p->spec->metrics, count * sizeof *p->table);
    memcpy(p->table + count, vitals_metrics, vitals_count * sizeof *p->table);
    int result = metrics_new(p->table, count + vitals_count, &p->metrics);
    if (result == ERR_OK) vitals_begin(p->metrics, count);
    return result;
}

int process_report(struct process *p, char **text, size_t *bytes)
{
    int result = metrics_json(p->metrics, text, bytes);
    if (result == ERR_OK) last_error_put(text, bytes);
    return result;
}

static int send_report(struct process *p)
{
    char *text;
    size_t bytes;
    int result = process_report(p, &text, &bytes);
    if (result != ERR_OK) return result;
    struct message message = {.type = MESSAGE_REPORT, .text = text, .text_bytes = (uint32_t)bytes};
    snprintf(message.name, sizeof message.name, "%s", p->name);
    size_t size = message_bytes(&message);
    uint8_t *encoded = malloc(size);
    if (!encoded) result = err_set(ERR_NOMEM, "no memory for the report");
    if (result == ERR_OK) result = message_encode(&message, encoded);
    if (result == ERR_OK) result = link_send(p->report, NULL, NULL, 0, encoded, size);
    free(encoded);
    free(text);
    return result;
}

/* Where its page is, now that it has its role. A full disk is waited for. */
static void announce(struct process *p)
{
    int result = http_announce(p->http);
    if (result == ERR_NOSPC) ours_sweep(p->config); /* for the next try */
    if (result == ERR_NOSPC && log_allowed(&p->announce_limit))
        log_warn("the address of the page is not written, as the disk is full: %s", err_text());
    else if (result != ERR_OK && result != ERR_NOSPC)
        process_finish(p, result);
}

static void look_whether_ready(struct process *p)
{
    uint64_t now_ns = process_now_ns();
    int result = p->spec->ready ? p->spec->ready(p) : ERR_OK;
    enum readiness_news news = readiness_note(&p->readiness, result, now_ns);
    vitals_unready(p->metrics, p->spec->metrics_count, readiness_seconds(&p->readiness, now_ns));
    if (news == READINESS_UNWELL)
        log_event(LOG_ERROR, "not healthy: it could not do its work for a minute",
                  LOG_S("why", p->readiness.why));
    else if (news == READINESS_RECOVERED)
        log_info("healthy again");
}

/* What it is at work in; who serves no socket looks at none. */
static int look_at_site(struct process *p)
{
    int result = site_check(&p->site);
    for (int i = 0; i < 2 && result == ERR_OK; i++) result = site_check_socket(&p->socket[i]);
    return result;
}

static void on_tick(uv_timer_t *tick)
{
    struct process *p = tick->data;
    if (p->finished) return;
    int result = look_at_site(p);
    if (result != ERR_OK) {
        process_finish(p, result);
        return;
    }
    vitals_measure(p->metrics, p->spec->metrics_count);
    if (p->spec->stats) p->spec->stats(p);
    look_whether_ready(p);
    if (p->report && send_report(p) != ERR_OK && log_allowed(&p->report_limit))
        log_debug("no report: %s", err_text());
    if (p->http) announce(p);
}

/* ---- ending ---- */

static void begin_drain(struct process *p, const char *why)
{
    if (p->draining || p->finished) return;
    p->draining = 1;
    signals_limit(PROCESS_DRAIN_SECONDS);
    log_event(LOG_INFO, "draining", LOG_S("why", why));
    if (p->spec->drain) {
        p->spec->drain(p);
    } else {
        process_finish(p, ERR_OK);
    }
}

static void on_signalled(uv_async_t *async)
{
    begin_drain(async->data, "signal");
}

/* ---- the parent's pipe: its end is the parent's death ---- */

static void allocate(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
    static char ignored[64];
    (void)handle;
    (void)wanted;
    *buffer = uv_buf_init(ignored, sizeof ignored);
}

static void on_parent(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer)
{
    (void)buffer;
    if (bytes >= 0) return;
    uv_read_stop(stream);
    begin_drain(stream->data, "the parent is gone");
}

static int watch_parent(struct process *p)
{
    const char *text = getenv("SLUICE_PARENT_FD");
    if (!text || !text[0]) return ERR_OK;
    char *end;
    long fd = strtol(text, &end, 10);
    struct stat st;
    if (end == text || *end || fd < 0 || fd > INT_MAX || fstat((int)fd, &st) != 0 ||
        !S_ISFIFO(st.st_mode))
        return err_set(ERR_USAGE, "SLUICE_PARENT_FD=%.20s is not an open pipe", text);
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    unsetenv("SLUICE_PARENT_FD");
    p->has_parent = 1;
    uv_pipe_init(&p->loop, &p->parent, 0);
    p->parent.data = p;
    if (uv_pipe_open(&p->parent, (int)fd) != 0 ||
        uv_read_start((uv_stream_t *)&p->parent, allocate, on_parent) != 0)
        return err_set(ERR_IO, "cannot watch SLUICE_PARENT_FD=%ld", fd);
    return ERR_OK;
}

/* ---- opening and closing ---- */

static int ready(void *arg)
{
    return readiness_ready(&((struct process *)arg)->readiness, process_now_ns());
}

static int health(void *arg)
{
    return readiness_health(&((struct process *)arg)->readiness, process_now_ns());
}

/* As many as it asks for, or as its share of the descriptors lasts for; 0: as few as others have. */
static unsigned connections_of(const struct process_spec *spec)
{
    unsigned room = limits_files_left() / HTTP_SHARE;
    if (room < HTTP_LEAST) return 0;
    return room < spec->connections ? room : spec->connections;
}

static int open_http(struct process *p)
{
    char path[CONFIG_PATH_BYTES];
    const char *address = config_http(p->config, p->spec->section);
    if (strcmp(address, "off") == 0) return ERR_OK;
    if (p->spec->handlers_count > HANDLERS_MAX)
        return err_set(ERR_INTERNAL, "more than %d HTTP handlers", HANDLERS_MAX);
    for (size_t i = 0; i < p->spec->handlers_count; i++) {
        p->handlers[i] = p->spec->handlers[i];
        p->handlers[i].arg = p->state;
    }
    int result = config_http_file(p->config, p->name, path);
    if (result != ERR_OK) return result;
    struct http_options options = {.address = address,
                                   .address_file = path,
                                   .metrics = p->metrics,
                                   .ready = ready,
                                   .health = health,
                                   .health_arg = p,
                                   .connections = connections_of(p->spec),
                                   .handlers = p->handlers,
                                   .handlers_count = p->spec->handlers_count};
    result = http_open(&p->loop, &options, &p->http);
    if (result == ERR_OK)
        log_event(LOG_INFO, "serving metrics", LOG_S("address", http_address(p->http)));
    return result;
}

/* A broker alone may have nothing to write into the run's folder. */
static int claim_folder(struct process *p)
{
    const struct config *c = p->config;
    int broker = strcmp(p->spec->section, "broker") == 0;
    int elsewhere = broker && c->broker.front[0] && c->broker.back[0];
    if (elsewhere && strcmp(config_http(c, p->spec->section), "off") == 0) return ERR_OK;
    int result = folder_claim(c);
    if (result == ERR_OK) ours_sweep(c);
    return result == ERR_OK ? site_open(&p->site, c) : result;
}

/* What a broker serves below the run's folder, or elsewhere. */
static int know_sockets(struct process *p)
{
    char endpoint[CONFIG_PATH_BYTES];
    int result = ERR_OK;
    for (int i = 0; i < 2 && strcmp(p->spec->section, "broker") == 0 && result == ERR_OK; i++) {
        result = config_endpoint(p->config, i ? CONFIG_BACK : CONFIG_FRONT, endpoint);
        const char *path = result == ERR_OK ? address_socket_path(endpoint) : NULL;
        if (path) snprintf(p->socket[i].path, sizeof p->socket[i].path, "%s", path);
    }
    return result;
}

static int open_all(struct process *p)
{
    p->state = calloc(1, p->spec->state_bytes ? p->spec->state_bytes : 1);
    if (!p->state) return err_set(ERR_NOMEM, "no memory");
    uint32_t peers = p->config->capture.producers + p->config->trainer.consumers.count;
    limits_raise_files();
    int result = limits_files(LEAST_FILES + peers, "this process");
    if (result != ERR_OK) return result;
    if (uv_loop_init(&p->loop) != 0) return err_set(ERR_IO, "no event loop");
    p->loop_open = 1;
    uv_async_init(&p->loop, &p->signalled, on_signalled);
    uv_timer_init(&p->loop, &p->tick);
    p->signalled.data = p->tick.data = p;
    signals_handle(p->name, &p->signalled);
    result = watch_parent(p);
    if (result == ERR_OK) result = limits_threads(LINK_THREADS, "ZeroMQ");
    if (result == ERR_OK) result = limits_memory(LEAST_BYTES, "the process itself");
    if (result == ERR_OK) result = claim_folder(p);
    if (result == ERR_OK) result = know_sockets(p);
    if (result == ERR_OK) result = link_hub_open(&p->loop, &p->hub);
    if (result == ERR_OK) result = open_metrics(p);
    if (result == ERR_OK) result = open_http(p);
    return result;
}

/* A process_timer or process_wake; anything else is not ours to free. */
static void on_closed(uv_handle_t *handle)
{
    if (handle->type == UV_TIMER || handle->type == UV_ASYNC) free(handle->data);
}

static void close_left(uv_handle_t *handle, void *arg)
{
    struct process *p = arg;
    if (uv_is_closing(handle)) return;
    int own = handle == (uv_handle_t *)&p->signalled || handle == (uv_handle_t *)&p->tick ||
              handle == (uv_handle_t *)&p->parent;
    uv_close(handle, own ? NULL : on_closed);
}

static void close_all(struct process *p)
{
    p->report = NULL;
    http_close(p->http);
    if (p->loop_open) uv_run(&p->loop, UV_RUN_NOWAIT); /* links and http give their handles back */
    link_hub_close(p->hub);
    if (p->loop_open) {
        uv_run(&p->loop, UV_RUN_NOWAIT);
        signals_end(); /* their handler needs the loop */
        uv_walk(&p->loop, close_left, p);
        while (uv_run(&p->loop, UV_RUN_DEFAULT)) continue;
        if (uv_loop_close(&p->loop) != 0) log_error("handles are left on the loop");
    }
    metrics_free(p->metrics);
    free(p->table);
    free(p->state);
    site_close(&p->site);
    config_free(p->config);
}

/* How it ends is in the last report: why it failed; a trainer has finished, a capture has nothing
 * under way. `has_begun`: start() was through, so that there is something to refresh gauges from. */
static void tell_last(struct process *p, int has_begun)
{
    if (!p->report) return;
    if (has_begun && p->spec->stats) p->spec->stats(p);
    if (send_report(p) != ERR_OK) log_debug("no last report: %s", err_text());
}

static void run(struct process *p)
{
    int result = open_all(p);
    int started = result == ERR_OK;
    if (started) {
        log_event(LOG_INFO, "starting", LOG_S("version", SLUICE_VERSION),
                  LOG_S("run", p->config->run_dir));
        result = p->spec->start(p);
    }
    if (result != ERR_OK) process_finish(p, result);
    if (!p->finished) {
        uv_timer_start(&p->tick, on_tick, 0, TICK_MS); /* at once, so that it is heard of */
        uv_run(&p->loop, UV_RUN_DEFAULT);
    }
    tell_last(p, result == ERR_OK);
    if (started && p->spec->stop) p->spec->stop(p);
    int code = p->code;
    log_event(LOG_INFO, "stopped", LOG_I("exit_code", err_exit_code(code)));
    close_all(p);
}

/* ---- command line ---- */

static int complain(const struct process_spec *spec, int code)
{
    fprintf(stderr, "%s: %s\n", spec->program.name, err_text());
    return code;
}

static int name_of(struct process *p)
{
    if (p->spec->name) return p->spec->name(p->config, &p->options, p->name);
    snprintf(p->name, sizeof p->name, "%s", p->spec->section);
    return ERR_OK;
}

/* One section of docs/METRICS.md. */
static int print_metrics(const struct process_spec *spec)
{
    struct process p = {.spec = spec};
    int result = open_metrics(&p);
    if (result == ERR_OK) {
        printf("## %s\n\n", spec->program.name);
        metrics_markdown(p.table, spec->metrics_count + vitals_count, stdout);
        if (spec->document) spec->document(stdout);
    }
    metrics_free(p.metrics);
    free(p.table);
    return result;
}

/* The configuration, and the answers that need no process. *done: nothing is left to do. */
static int prepare(struct process *p, int argc, char **argv, int *done)
{
    struct options *o = &p->options;
    *done = argc == 2 && strcmp(argv[1], "--print-metrics") == 0;
    if (*done) return print_metrics(p->spec);
    int result = options_parse(&p->spec->program, argc, argv, o, done);
    if (result != ERR_OK || *done) return result;
    if (o->file) result = config_load(o->file, o->sets, o->sets_count, &p->config);
    if (result == ERR_OK && o->print_config) {
        *done = 1;
        return config_print(p->config, stdout);
    }
    if (result == ERR_OK) result = config_check_section(p->config, p->spec->section);
    if (result == ERR_OK && p->spec->check) result = p->spec->check(p->config);
    if (result == ERR_OK) result = name_of(p);
    if (result == ERR_OK && o->check) {
        *done = 1;
        printf("%s: ok\n", o->file);
    }
    return result;
}

void process_keep_freed_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

int process_main(const struct process_spec *spec, int argc, char **argv)
{
    struct process p = {.spec = spec};
    int done = 0;
    site_init(&p.site);
    if (prepare(&p, argc, argv, &done) != ERR_OK) {
        config_free(p.config);
        return complain(spec, 2);
    }
    if (done) {
        config_free(p.config);
        return options_end_output() == ERR_OK ? 0 : complain(spec, 1);
    }
    harden();
    log_open(p.name, p.options.log_level);
    run(&p);
    int code = err_exit_code(p.code);
    return code == 1 && p.has_parent && err_is_final(p.code) ? PROCESS_EXIT_FINAL : code;
}
