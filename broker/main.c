/*
 * sluice-broker: passes frames from producers to sinks, and credit and acks back; keeps what every
 * process reports, for people.
 */
#include "base/err.h"
#include "base/limits.h"
#include "base/streams.h"
#include "broker/api.h"
#include "broker/gauges.h"
#include "broker/guard.h"
#include "broker/routes.h"
#include "runtime/process.h"
#include "wiring/bounds.h"
#include "wiring/link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    EXPIRE_MS = 1000,
    TO_SINK_MESSAGES = 1 << 16, /* bounded by credit, and by what a link may say (routes.h) */
    KEPT_FILES = 16,            /* for all but connections */
    TURN_MESSAGES = 16,  /* of one side, before the other has a turn: a flood waits as others do */
    MALFORMED_COSTS = 8, /* times what its bytes would */
};

struct broker {
    struct api api; /* first: its handlers get the process's state */
    struct process *process;
    struct link *front, *back;
    struct routes *routes;
    struct guard *guard;
    struct keys_allow *allow; /* NULL: without keys */
    struct process_timer *timer;
    int is_draining;
    struct log_limit dropped, flood;
};

static void count_drop(struct broker *b, uint32_t reason)
{
    metrics_add_at(process_metrics(b->process), GAUGE_DROPPED, reason, 1);
    if (log_allowed(&b->dropped))
        log_event(LOG_WARN, "message dropped", LOG_S("reason", broker_drops[reason]),
                  LOG_U("suppressed", b->dropped.suppressed));
}

static int send_to(struct link *link, const struct link_route *route, uint32_t number,
                   const struct message *m)
{
    uint8_t small[4096], *data = small;
    size_t bytes = message_bytes(m);
    if (bytes > sizeof small && !(data = malloc(bytes)))
        return err_set(ERR_NOMEM, "no memory for an answer");
    int result = message_encode(m, data);
    if (result == ERR_OK)
        result = link_send(link, route, number ? &number : NULL, number ? sizeof number : 0, data,
                           bytes);
    if (data != small) free(data);
    return result;
}

static void tell_gone(struct broker *b, const struct routes_gone *gone)
{
    struct message m = {.type = MESSAGE_GONE, .stream = gone->stream};
    send_to(b->back, &gone->sink, gone->link, &m); /* a sink that is not there needs no telling */
}

static void take_report(struct broker *b, const struct link_route *from, const struct message *m)
{
    if (!guard_reads_report(b->guard, from, process_now_ns()))
        count_drop(b, ROUTES_TOO_SOON);
    else if (status_report(b->api.status, from, m->name, m->text, m->text_bytes, process_now_ns()))
        count_drop(b, ROUTES_MALFORMED);
}

/* Who is charged: with keys all connections of a client together, so that it gains nothing by
 * connecting again. */
static struct link_route account_of(const struct link_route *from, const char *name)
{
    uint64_t key = name[0] ? stream_key(name) : 0;
    struct link_route account = {.bytes = sizeof key};
    if (!name[0]) return *from;
    memcpy(account.id, &key, sizeof key);
    return account;
}

/* Whether the sender is past what any client of the protocol says: its connection is over then.
 * What is passed on to a sink is bounded by routes.h. */
static int floods(struct broker *b, struct link_message *message, const char *name,
                  const struct routes_verdict *v, size_t bytes)
{
    size_t charged = v->forward == ROUTES_TO_SINK  ? 0
                     : v->drop == ROUTES_MALFORMED ? MALFORMED_COSTS * bytes
                                                   : bytes;
    struct link_route account = account_of(link_message_route(message), name);
    if (guard_allows(b->guard, &account, charged, process_now_ns())) return 0;
    metrics_add_at(process_metrics(b->process), GAUGE_DROPPED, BROKER_FLOOD, 1);
    metrics_add(process_metrics(b->process), GAUGE_SHUT, 1);
    if (log_allowed(&b->flood))
        log_event(LOG_WARN, "connection ended: it floods", LOG_U("message_bytes", bytes),
                  LOG_U("suppressed", b->flood.suppressed));
    link_message_shut(message);
    return 1;
}

/* The answer costs its own bytes: a question is small. */
static void tell_status(struct broker *b, struct link *link, struct link_message *message,
                        const char *name, uint64_t number)
{
    struct message m = {.type = MESSAGE_TELL, .session = number};
    char *text;
    size_t bytes;
    if (status_json(b->api.status, process_now_ns(), &text, &bytes)) return;
    m.text = text;
    m.text_bytes = (uint32_t)bytes;
    struct link_route account = account_of(link_message_route(message), name);
    guard_charge(b->guard, &account, bytes, process_now_ns());
    if (send_to(link, link_message_route(message), 0, &m))
        count_drop(b, BROKER_UNSENDABLE); /* it asks again */
    free(text);
}

static void count_forward(struct broker *b, int is_frame, size_t bytes)
{
    struct metrics *m = process_metrics(b->process);
    metrics_add(m, is_frame ? GAUGE_FRAMES : GAUGE_MESSAGES, 1);
    if (is_frame) metrics_add(m, GAUGE_BYTES, (double)bytes);
}

static void from_producer(void *arg, struct link *link, struct link_message *message)
{
    struct broker *b = arg;
    struct routes_verdict v;
    size_t bytes;
    const uint8_t *data = link_data(message, link_parts(message) - 1, &bytes);
    const struct link_route *from = link_message_route(message);
    const char *name = "";
    int is_frame = message_is_frame(data, bytes);
    if (link_parts(message) == 1) {
        routes_from_producer(b->routes, from, link_message_roles(link, message, &name), data, bytes,
                             process_now_ns(), &v);
    } else {
        memset(&v, 0, sizeof v);
        v.drop = ROUTES_MALFORMED;
    }
    int is_in_credit = is_frame && v.forward == ROUTES_TO_SINK;
    if (!is_in_credit && floods(b, message, name, &v, bytes)) return;
    if (v.drop) count_drop(b, v.drop);
    if (v.is_report) take_report(b, from, &v.report);
    if (v.is_ask) tell_status(b, link, message, name, v.ask_number);
    if (v.has_answer) send_to(link, from, 0, &v.answer);
    if (v.forward != ROUTES_TO_SINK) return;
    if (link_forward(b->back, &v.route, &v.link, sizeof v.link, message, 0))
        count_drop(b, BROKER_UNSENDABLE); /* the sink sees a gap, or its session runs out */
    else
        count_forward(b, is_frame, bytes);
}

/* One part: for the broker itself. Two: the link's number, then what is for its producer. */
static uint32_t link_number(struct link_message *message)
{
    uint32_t number = 0;
    size_t bytes;
    if (link_parts(message) < 2) return 0;
    const uint8_t *prefix = link_data(message, 0, &bytes);
    if (bytes == sizeof number) memcpy(&number, prefix, sizeof number);
    return number;
}

static void from_sink(void *arg, struct link *link, struct link_message *message)
{
    struct broker *b = arg;
    struct routes_verdict v;
    struct routes_gone gone;
    size_t bytes;
    uint32_t part = link_parts(message) - 1;
    const uint8_t *data = link_data(message, part, &bytes);
    const struct link_route *from = link_message_route(message);
    const char *name;
    routes_from_sink(b->routes, from, link_message_roles(link, message, &name),
                     link_number(message), data, bytes, process_now_ns(), &v);
    if (v.forward != ROUTES_TO_PRODUCER && floods(b, message, name, &v, bytes)) return;
    if (v.drop) count_drop(b, v.drop);
    if (v.is_report) take_report(b, from, &v.report);
    if (v.has_answer) send_to(link, from, v.link, &v.answer);
    if (v.forward != ROUTES_TO_PRODUCER) return;
    int result = link_forward(b->front, &v.route, NULL, 0, message, part);
    if (result == ERR_OK) {
        count_forward(b, 0, bytes);
        return;
    }
    count_drop(b, BROKER_UNSENDABLE);
    if (result == ERR_NOTFOUND && routes_lost(b->routes, &v.route, &gone)) tell_gone(b, &gone);
}

/* The list as it is now holds from the next message on. */
static void refresh_allow(struct broker *b)
{
    int code;
    if (!b->allow) return;
    if (keys_allow_refresh(b->allow, &code))
        log_event(LOG_INFO, "allow-list read again", LOG_U("clients", keys_allow_count(b->allow)));
    if (code)
        log_event(LOG_ERROR, "the allow-list cannot be read: the one of before holds on",
                  LOG_S("why", err_text()));
}

static void expire(void *arg)
{
    struct broker *b = arg;
    struct routes_gone gone;
    refresh_allow(b);
    while (routes_expire(b->routes, process_now_ns(), &gone)) tell_gone(b, &gone);
}

/* As many as the configuration has use for, or as the descriptors of this process last for: without
 * any, libzmq aborts. Half of them are for connections that are about to be ended. */
static uint32_t most_peers(const struct config *config)
{
    uint32_t left = limits_files_left(), wanted = bounds_peers(config);
    uint32_t pages = left / 8 < API_CONNECTIONS ? left / 8 : API_CONNECTIONS;
    uint32_t kept = KEPT_FILES + pages, room = left > kept ? (left - kept) / 2 : 0;
    if (room >= wanted) return wanted;
    log_event(LOG_WARN,
              "fewer connections than might come are taken, as files are limited; raise ulimit -n",
              LOG_U("connections", room ? room : 1), LOG_U("wanted", wanted),
              LOG_U("files_left", left));
    return room ? room : 1;
}

static int open_side(struct broker *b, enum config_socket socket, struct link **link)
{
    const struct config *config = process_config(b->process);
    int is_front = socket == CONFIG_FRONT;
    struct link_options options = {
        .max_message_bytes =
            is_front ? bounds_message_bytes(config) : MESSAGE_HEADER_BYTES + MESSAGE_MAX_TEXT_BYTES,
        .send_high_water = is_front ? BOUNDS_ANSWERS : TO_SINK_MESSAGES,
        .receive_high_water = BOUNDS_READ_AHEAD,
        .max_peers = is_front ? most_peers(config) : BOUNDS_SINKS,
        .budget_messages = TURN_MESSAGES,
        .linger_ms = 200,
        .on_message = is_front ? from_producer : from_sink,
        .arg = b,
    };
    int result = wiring_bind(b->process, socket, b->allow, options, link);
    if (result == ERR_OK) log_event(LOG_INFO, "listening", LOG_S("endpoint", link_endpoint(*link)));
    return result;
}

/* A window of frames whose session is over meanwhile costs an honest producer no more than this. */
static uint64_t burst_points(const struct config *config)
{
    uint64_t frame = 1 + bounds_frame_bytes(config) / GUARD_POINT_BYTES;
    return GUARD_POINTS + config->sink.window_slabs * frame;
}

static int open_tables(struct broker *b)
{
    const struct config *config = process_config(b->process);
    uint32_t peers = bounds_peers(config);
    struct guard_options guard = {.max_peers = 2 * (peers + BOUNDS_SINKS),
                                  .bursts = 2 * (config->capture.producers + 1),
                                  .burst_points = burst_points(config)};
    uint64_t life;
    if (getrandom(&life, sizeof life, 0) != sizeof life)
        return err_set(ERR_IO, "the system gives no random numbers");
    int result = routes_new(life, peers, &b->routes);
    if (result == ERR_OK) result = guard_new(&guard, &b->guard);
    return result == ERR_OK ? api_open(&b->api, b->process) : result;
}

static int broker_start(struct process *process)
{
    struct broker *b = process_state(process);
    b->process = process;
    int result = open_tables(b);
    if (result == ERR_OK) result = wiring_allow(process_config(process), &b->allow);
    if (result == ERR_OK) result = open_side(b, CONFIG_FRONT, &b->front);
    if (result == ERR_OK) result = open_side(b, CONFIG_BACK, &b->back);
    if (result != ERR_OK) return result;
    b->timer = process_timer_new(process, expire, b);
    if (!b->timer) return err_set(ERR_NOMEM, "no memory for a timer");
    process_timer_set(b->timer, EXPIRE_MS);
    return ERR_OK;
}

/* The broker's own numbers go the short way. */
static void broker_stats(struct process *process)
{
    struct broker *b = process_state(process);
    char *text;
    size_t bytes;
    metrics_set(process_metrics(process), GAUGE_LINKS, routes_links(b->routes));
    metrics_set(process_metrics(process), GAUGE_SINKS, routes_sinks(b->routes));
    metrics_set(process_metrics(process), GAUGE_PEERS, link_peers(b->front) + link_peers(b->back));
    if (process_report(process, &text, &bytes)) return;
    status_report(b->api.status, NULL, process_name(process), text, bytes, process_now_ns());
    free(text);
    api_tick(&b->api, process);
}

/* Not while no sink is there, or the stream stands still. */
static int broker_ready(struct process *process)
{
    struct broker *b = process_state(process);
    uint64_t stream = stream_key(process_config(process)->stream.name);
    if (routes_ended(b->routes, stream)) return ERR_OK;
    if (!routes_sinks(b->routes)) return err_set(ERR_STATE, "no sink of the stream is there");
    return status_moves(b->api.status, process_now_ns());
}

static void broker_stop(struct process *process)
{
    struct broker *b = process_state(process);
    if (b->front) link_close(b->front);
    if (b->back) link_close(b->back);
    routes_free(b->routes);
    guard_free(b->guard);
    api_close(&b->api, b->is_draining);
    link_hub_unguard(process_hub(process));
    keys_allow_close(b->allow);
}

static void broker_drain(struct process *process)
{
    struct broker *b = process_state(process);
    b->is_draining = 1;
    process_finish(process, ERR_OK);
}

static struct process_spec broker_process = {
    .program = {.name = "sluice-broker",
                .summary = "pass frames from producers to sinks",
                .description =
                    "Forwards frames from producers to sinks as far as the sinks' credit "
                    "goes, and credit and acks back. Serves what every process reports "
                    "under /api/status, and what was, under /api/history."},
    .section = "broker",
    .metrics = broker_gauges,
    .metrics_count = GAUGES,
    .connections = API_CONNECTIONS,
    .state_bytes = sizeof(struct broker),
    .start = broker_start,
    .drain = broker_drain,
    .stats = broker_stats,
    .ready = broker_ready,
    .stop = broker_stop,
};

int main(int argc, char **argv)
{
    streams_open();
    process_keep_freed_memory();
    broker_process.handlers = api_handlers(&broker_process.handlers_count);
    return process_main(&broker_process, argc, argv);
}
