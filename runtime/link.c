/*
 * ZMQ_FD is edge-triggered, and any call on the socket may swallow the edge. So: reading goes on
 * until EAGAIN, or, where the budget ends it, an idle handle brings the loop back; and after every
 * send ZMQ_EVENTS is read again. ZeroMQ's own heartbeats stay off: with a stalled receiver they
 * abort.
 *
 * Buffers sent without copying come back from ZeroMQ on its I/O thread: they are put on a list
 * there, and released by the loop, which an async handle wakes.
 */
#include "runtime/link.h"

#include "base/err.h"
#include "config/address.h"
#include "proto/frame.h"
#include "runtime/claim.h"
#include "runtime/curve.h"
#include "runtime/log.h"
#include "runtime/monitor.h"
#include "runtime/zap.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>
#include <zmq.h>

/* ZeroMQ orders a send before the return of its buffer, with atomics that ThreadSanitizer does not
 * see in a library that was built without it; so that is said to it here. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define handed_over(thing) __tsan_release(thing)
#define come_back(thing)   __tsan_acquire(thing)
#else
#define handed_over(thing) ((void)(thing))
#define come_back(thing)   ((void)(thing))
#endif

enum {
    DEFAULT_BUDGET = 256,
    DEFAULT_HIGH_WATER = 1000,
    RECONNECT_MS = 100,
    RECONNECT_MAX_MS = 1000,
    REFUSED_MS = 1000, /* after it somebody who was refused asks again */
    TCP_MAXRT_MS = 10000,
    KEEPALIVE_SECONDS = 20,
    BACKLOG = 16,        /* connections that may come at once, before max_peers is looked at */
    HANDSHAKE_MS = 3000, /* a connection that says nothing is ended after it */
    MAX_PARTS = 2,
    ENDPOINT_BYTES = 512,
};

/* A buffer on its way through ZeroMQ. Owned by the hub. */
struct owned {
    struct owned *next;
    struct link_hub *hub;
    void (*release)(void *arg); /* NULL: the send failed, the caller has kept the buffer */
    void *arg;
};

struct link_hub {
    uv_loop_t *loop;
    void *context;
    struct zap *zap; /* once something secure is bound */
    uv_async_t wake;
    pthread_mutex_t mutex;
    struct owned *returned; /* under mutex: back from ZeroMQ, newest first */
    struct owned *spare;    /* loop thread: for the next send */
};

struct link_message {
    struct link_route route;
    uint32_t parts;
    zmq_msg_t part[MAX_PARTS];
};

struct link {
    struct link_hub *hub;
    struct link_options options;
    char endpoint[ENDPOINT_BYTES];
    void *socket; /* NULL once closed: ZeroMQ then has nothing to read and no event */
    uv_poll_t poll;
    uv_idle_t again;
    uv_timer_t retry; /* to connect, once more */
    int open_handles;
    int lock;       /* descriptor of the lock beside a bound ipc socket; -1 */
    int want_write; /* a send met the high-water mark */
    int reading;    /* inside pump() */
    struct link_counters counters;
    struct keys_allow const *allow; /* NULL: who is there may say everything */
    struct monitor *monitor;
    uint32_t peers;
    struct log_limit told;
};

int link_route_equal(const struct link_route *a, const struct link_route *b)
{
    return a->bytes == b->bytes && memcmp(a->id, b->id, a->bytes) == 0;
}

static int zmq_error(const char *what, const char *where)
{
    return err_set(errno == ENOMEM ? ERR_NOMEM : ERR_IO, "%s %s: %s", what, where,
                   zmq_strerror(errno));
}

/* ---- the hub ---- */

static void release_returned(struct link_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    struct owned *list = hub->returned;
    hub->returned = NULL;
    pthread_mutex_unlock(&hub->mutex);
    struct owned *oldest_first = NULL;
    while (list) {
        struct owned *next = list->next;
        list->next = oldest_first;
        oldest_first = list;
        list = next;
    }
    while (oldest_first) {
        struct owned *owned = oldest_first;
        oldest_first = owned->next;
        void (*release)(void *) = owned->release;
        void *arg = owned->arg;
        owned->next = hub->spare;
        hub->spare = owned;
        if (release) release(arg);
    }
}

static void on_wake(uv_async_t *wake)
{
    release_returned(wake->data);
}

/* ZeroMQ is done with a buffer: called on its I/O thread, or inside a call of ours. */
static void give_back(void *data, void *hint)
{
    (void)data;
    struct owned *owned = hint;
    come_back(owned);
    struct link_hub *hub = owned->hub;
    pthread_mutex_lock(&hub->mutex);
    owned->next = hub->returned;
    hub->returned = owned;
    pthread_mutex_unlock(&hub->mutex);
    uv_async_send(&hub->wake);
}

static struct owned *take_owned(struct link_hub *hub)
{
    struct owned *owned = hub->spare;
    if (owned) {
        hub->spare = owned->next;
    } else {
        owned = malloc(sizeof *owned);
        if (owned) owned->hub = hub;
    }
    return owned;
}

int link_hub_open(uv_loop_t *loop, struct link_hub **out)
{
    struct link_hub *hub = calloc(1, sizeof *hub);
    if (!hub) return err_set(ERR_NOMEM, "no memory for ZeroMQ");
    hub->loop = loop;
    hub->context = zmq_ctx_new();
    if (!hub->context) {
        free(hub);
        return err_set(ERR_NOMEM, "no memory for ZeroMQ");
    }
    pthread_mutex_init(&hub->mutex, NULL);
    if (uv_async_init(loop, &hub->wake, on_wake) != 0) {
        zmq_ctx_term(hub->context);
        free(hub);
        return err_set(ERR_IO, "cannot watch ZeroMQ");
    }
    hub->wake.data = hub;
    uv_unref((uv_handle_t *)&hub->wake);
    *out = hub;
    return ERR_OK;
}

static void free_hub(uv_handle_t *wake)
{
    struct link_hub *hub = wake->data;
    while (hub->spare) {
        struct owned *next = hub->spare->next;
        free(hub->spare);
        hub->spare = next;
    }
    pthread_mutex_destroy(&hub->mutex);
    free(hub);
}

void link_hub_unguard(struct link_hub *hub)
{
    zap_close(hub->zap);
    hub->zap = NULL;
}

void link_hub_close(struct link_hub *hub)
{
    if (!hub) return;
    link_hub_unguard(hub);
    while (zmq_ctx_term(hub->context) != 0 && errno == EINTR) continue;
    release_returned(hub); /* no thread of ZeroMQ is left: nothing comes after these */
    uv_close((uv_handle_t *)&hub->wake, free_hub);
}

/* ---- opening ---- */

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int set_options(struct link *link)
{
    const struct link_options *o = &link->options;
    int64_t limit = o->max_message_bytes ? (int64_t)o->max_message_bytes
                                         : FRAME_HEADER_BYTES + FRAME_MAX_RAW_BYTES;
    int send_high_water = o->send_high_water ? o->send_high_water : DEFAULT_HIGH_WATER;
    int receive_high_water = o->receive_high_water ? o->receive_high_water : DEFAULT_HIGH_WATER;
    int failed = zmq_setsockopt(link->socket, ZMQ_MAXMSGSIZE, &limit, sizeof limit) != 0 ||
                 set_int(link->socket, ZMQ_SNDHWM, send_high_water) != 0 ||
                 set_int(link->socket, ZMQ_RCVHWM, receive_high_water) != 0 ||
                 set_int(link->socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) != 0 ||
                 set_int(link->socket, ZMQ_BACKLOG, BACKLOG) != 0 ||
                 /* A host that lost its power keeps no place. */
                 set_int(link->socket, ZMQ_TCP_KEEPALIVE, 1) != 0 ||
                 set_int(link->socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_SECONDS) != 0 ||
                 set_int(link->socket, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_SECONDS / 4) != 0 ||
                 set_int(link->socket, ZMQ_TCP_KEEPALIVE_CNT, 4) != 0 ||
                 set_int(link->socket, ZMQ_LINGER, o->linger_ms) != 0 ||
                 set_int(link->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) != 0 ||
                 set_int(link->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) != 0 ||
                 set_int(link->socket, ZMQ_TCP_MAXRT, TCP_MAXRT_MS) != 0;
    /* Without it a ROUTER drops what it cannot send, and nobody is told. */
    if (o->kind == LINK_ROUTER)
        failed = failed || set_int(link->socket, ZMQ_ROUTER_MANDATORY, 1) != 0;
    return failed ? zmq_error("cannot set up the socket for", o->endpoint) : ERR_OK;
}

/* ---- security ---- */

static int refuse_plain_tcp(const struct link *link)
{
    return err_set(ERR_USAGE,
                   "%s would be open to everybody who reaches it, other users of this machine "
                   "too; HINT: `sluice keygen FILE` makes keys for broker.keys, or leave the "
                   "endpoint out for a socket in the run's folder",
                   link->endpoint);
}

static int guard_socket(struct link *link, const struct link_security *s)
{
    struct link_hub *hub = link->hub;
    int result = ERR_OK;
    if (!s->allow) return err_set(ERR_STATE, "there is no allow-list");
    if (!hub->zap) result = zap_open(hub->context, hub->loop, s->allow, &hub->zap);
    link->allow = s->allow;
    return result == ERR_OK ? curve_server(link->socket, s) : result;
}

static int secure(struct link *link)
{
    const struct link_security *s = link->options.security;
    if (!address_is_tcp(link->endpoint)) return ERR_OK;
    if (!s)
        return link->options.insecure_tcp && !address_is_beyond_loopback(link->endpoint)
                   ? ERR_OK
                   : refuse_plain_tcp(link);
    int result = link->options.bind ? guard_socket(link, s) : curve_client(link->socket, s);
    if (result != ERR_STATE) return result;
    return err_set(ERR_STATE, "%s cannot be encrypted and guarded (CURVE, ZAP): %s", link->endpoint,
                   err_text());
}

/* ---- connections ---- */

/* ZeroMQ sees the end, tells of it and closes. It may have done so before, and the number be that
 * of another connection, which then connects again; never of one that listens. */
static void end_connection(int fd)
{
    int listens = 1;
    socklen_t bytes = sizeof listens;
    if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0 && !listens)
        shutdown(fd, SHUT_RDWR);
}

/* One above the bound is ended at once: where the descriptors of this process run out, libzmq
 * aborts it. (zmq_unbind() would end all that are there.) */
static void bound_peers(struct link *link, int fd)
{
    if (link->peers <= link->options.max_peers) return;
    end_connection(fd);
    if (log_allowed(&link->told))
        log_event(LOG_WARN, "as many connections as may be: another one was ended",
                  LOG_S("endpoint", link->endpoint), LOG_U("connections", link->peers - 1),
                  LOG_U("suppressed", link->told.suppressed));
}

static void after_send(struct link *link);

/* ZeroMQ does not come back to a server that has refused it. */
static void on_retry(uv_timer_t *timer)
{
    struct link *link = timer->data;
    zmq_disconnect(link->socket, link->endpoint);
    if (zmq_connect(link->socket, link->endpoint) != 0)
        uv_timer_start(&link->retry, on_retry, REFUSED_MS, 0);
    after_send(link); /* these, too, may have swallowed an edge */
}

static void tell_refusal(struct link *link, enum monitor_event event)
{
    const char *text = "the broker does not let us in: our key is not in its allow-list, or has no "
                       "role on this side";
    if (!log_allowed(&link->told)) return;
    if (event == MONITOR_BROKEN)
        text = "no common security with the broker: one side has keys, and the other has none";
    if (event == MONITOR_LOST)
        text = "the broker ended a connection before it began: it stops or is full, or its key is "
               "not the one in broker.pub";
    log_event(LOG_WARN, text, LOG_S("endpoint", link->endpoint),
              LOG_U("suppressed", link->told.suppressed));
}

static void on_connection(void *arg, enum monitor_event event, int fd)
{
    struct link *link = arg;
    if (event == MONITOR_ACCEPTED) link->peers++;
    if (event == MONITOR_ENDED && link->peers > 0) link->peers--;
    if (event == MONITOR_ACCEPTED) bound_peers(link, fd);
    if (link->options.bind || !link->open_handles) return;
    if (event == MONITOR_READY) uv_timer_stop(&link->retry);
    if (event == MONITOR_UNKNOWN || event == MONITOR_BROKEN)
        uv_timer_start(&link->retry, on_retry, REFUSED_MS, 0);
    if (event == MONITOR_UNKNOWN || event == MONITOR_BROKEN || event == MONITOR_LOST)
        tell_refusal(link, event);
}

static int watch_connections(struct link *link)
{
    int is_needed = link->options.bind ? link->options.max_peers > 0 : !!link->options.security;
    if (!is_needed) return ERR_OK;
    return monitor_open(link->hub->context, link->hub->loop, link->socket, on_connection, link,
                        &link->monitor);
}

static int bind_to(void *socket, const char *endpoint)
{
    if (zmq_bind(socket, endpoint) == 0) return ERR_OK;
    if (errno != EADDRINUSE) return zmq_error("cannot bind", endpoint);
    return err_set(ERR_EXISTS,
                   "the address %s is in use by another program; HINT: another port, or leave the "
                   "endpoint out for a socket in the run's folder",
                   endpoint);
}

int link_address_is_free(const char *endpoint)
{
    void *context = zmq_ctx_new(), *socket = context ? zmq_socket(context, ZMQ_ROUTER) : NULL;
    int result = socket ? bind_to(socket, endpoint) : zmq_error("no socket for", endpoint);
    if (socket) zmq_close(socket);
    while (context && zmq_ctx_term(context) != 0 && errno == EINTR) continue;
    return result;
}

static int attach(struct link *link)
{
    const char *endpoint = link->options.endpoint;
    const char *path = address_socket_path(endpoint);
    if (!link->options.bind) {
        int mine = path ? claim_folder(path) : ERR_OK;
        if (mine != ERR_OK) return mine;
        if (zmq_connect(link->socket, endpoint) != 0)
            return zmq_error("cannot connect to", endpoint);
        return ERR_OK;
    }
    int result = path ? claim_socket(path, &link->lock) : ERR_OK;
    if (result == ERR_OK) result = bind_to(link->socket, endpoint);
    if (result != ERR_OK) return result;
    size_t bytes = sizeof link->endpoint;
    if (zmq_getsockopt(link->socket, ZMQ_LAST_ENDPOINT, link->endpoint, &bytes) != 0)
        return zmq_error("cannot tell the address of", endpoint);
    return ERR_OK;
}

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_again(uv_idle_t *again);

static int watch(struct link *link)
{
    int fd;
    size_t bytes = sizeof fd;
    if (zmq_getsockopt(link->socket, ZMQ_FD, &fd, &bytes) != 0)
        return zmq_error("cannot watch", link->options.endpoint);
    if (uv_poll_init(link->hub->loop, &link->poll, fd) != 0)
        return err_set(ERR_IO, "cannot watch %s", link->options.endpoint);
    uv_idle_init(link->hub->loop, &link->again);
    uv_timer_init(link->hub->loop, &link->retry);
    link->open_handles = 3;
    link->poll.data = link->again.data = link->retry.data = link;
    if (uv_poll_start(&link->poll, UV_READABLE, on_poll) != 0)
        return err_set(ERR_IO, "cannot watch %s", link->options.endpoint);
    uv_idle_start(&link->again, on_again); /* the first edge may be gone already */
    return ERR_OK;
}

int link_open(struct link_hub *hub, const struct link_options *options, struct link **out)
{
    int result = address_endpoint_check(options->endpoint, options->bind);
    if (result != ERR_OK) return result;
    if (strlen(options->endpoint) >= ENDPOINT_BYTES)
        return err_set(ERR_USAGE, "endpoint too long: %.80s...", options->endpoint);
    struct link *link = calloc(1, sizeof *link);
    if (!link) return err_set(ERR_NOMEM, "no memory for a link");
    link->hub = hub;
    link->lock = -1;
    link->options = *options;
    snprintf(link->endpoint, sizeof link->endpoint, "%s", options->endpoint);
    link->options.endpoint = link->endpoint;
    link->socket = zmq_socket(hub->context, options->kind == LINK_ROUTER ? ZMQ_ROUTER : ZMQ_DEALER);
    result = link->socket ? set_options(link) : zmq_error("no socket for", link->endpoint);
    if (result == ERR_OK) result = secure(link);
    if (result == ERR_OK) result = watch_connections(link);
    link->options.security = NULL; /* the socket has it */
    if (result == ERR_OK) result = attach(link);
    if (result == ERR_OK) result = watch(link);
    if (result != ERR_OK) {
        link_close(link);
        return result;
    }
    *out = link;
    return ERR_OK;
}

const char *link_endpoint(const struct link *link)
{
    return link->endpoint;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    if (--link->open_handles == 0) free(link);
}

void link_close(struct link *link)
{
    if (!link) return;
    int handles = link->open_handles;
    if (handles > 0) {
        /* Before the socket: its descriptor must not be watched once it is another's. */
        uv_close((uv_handle_t *)&link->poll, on_handle_closed);
        uv_close((uv_handle_t *)&link->again, on_handle_closed);
        uv_close((uv_handle_t *)&link->retry, on_handle_closed);
    }
    monitor_close(link->monitor);
    link->monitor = NULL;
    if (link->socket) zmq_close(link->socket);
    link->socket = NULL;
    if (link->lock >= 0) close(link->lock);
    if (handles == 0) free(link);
}

/* ---- reading ---- */

static void message_clear(struct link_message *message)
{
    for (uint32_t i = 0; i < message->parts; i++) zmq_msg_close(&message->part[i]);
    message->parts = 0;
}

/* Read all parts of one message, so that the socket stands at a message's start again. `usable` is
 * 0 where they are not what a link carries. ERR_AGAIN: there is none. */
static int receive(struct link *link, struct link_message *message, int *usable)
{
    int index = link->options.kind == LINK_ROUTER ? -1 : 0, more = 1;
    *usable = 1;
    message->parts = 0;
    message->route.bytes = 0;
    while (more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, link->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            message_clear(message);
            return ERR_AGAIN;
        }
        more = zmq_msg_more(&part);
        size_t bytes = zmq_msg_size(&part);
        if (index < 0 && bytes <= LINK_ROUTE_BYTES) {
            message->route.bytes = (uint8_t)bytes;
            memcpy(message->route.id, zmq_msg_data(&part), bytes);
        } else if (index >= 0 && index < MAX_PARTS) {
            zmq_msg_init(&message->part[index]);
            zmq_msg_move(&message->part[index], &part);
            message->parts++;
            link->counters.received_bytes += bytes;
        } else {
            *usable = 0;
        }
        zmq_msg_close(&part);
        index++;
    }
    if (message->parts == 0) *usable = 0;
    return ERR_OK;
}

static int events_of(struct link *link)
{
    int events = 0;
    size_t bytes = sizeof events;
    return zmq_getsockopt(link->socket, ZMQ_EVENTS, &events, &bytes) == 0 ? events : 0;
}

static void read_messages(struct link *link)
{
    uint32_t budget =
        link->options.budget_messages ? link->options.budget_messages : DEFAULT_BUDGET;
    struct link_message message;
    int usable;
    for (uint32_t i = 0; i < budget; i++) {
        if (receive(link, &message, &usable) != ERR_OK) return;
        if (usable) {
            link->counters.received_messages++;
            link->options.on_message(link->options.arg, link, &message);
        } else {
            link->counters.malformed++;
        }
        message_clear(&message);
    }
}

/* One turn: read up to the budget, tell of room, and come back while there is more of either. */
static void pump(struct link *link)
{
    if (link->reading) return;
    link->reading = 1;
    read_messages(link);
    if (link->want_write && (events_of(link) & ZMQ_POLLOUT)) {
        link->want_write = 0;
        if (link->options.on_writable) link->options.on_writable(link->options.arg, link);
    }
    link->reading = 0;
    int events = events_of(link);
    if ((events & ZMQ_POLLIN) || (link->want_write && (events & ZMQ_POLLOUT))) {
        uv_idle_start(&link->again, on_again);
    } else {
        uv_idle_stop(&link->again);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    pump(poll->data);
}

static void on_again(uv_idle_t *again)
{
    pump(again->data);
}

uint32_t link_parts(const struct link_message *message)
{
    return message->parts;
}

const uint8_t *link_data(const struct link_message *message, uint32_t part, size_t *bytes)
{
    *bytes = 0;
    if (part >= message->parts) return NULL;
    zmq_msg_t *msg = (zmq_msg_t *)&message->part[part]; /* zmq_msg_data changes nothing */
    *bytes = zmq_msg_size(msg);
    return zmq_msg_data(msg);
}

const struct link_route *link_message_route(const struct link_message *message)
{
    return &message->route;
}

uint32_t link_message_roles(const struct link *link, const struct link_message *message,
                            const char **name)
{
    *name = "";
    if (!link->allow) return KEYS_ALL;
    const char *key = zmq_msg_gets(&message->part[0], "User-Id"); /* as zap answered */
    return key ? keys_allow_roles(link->allow, key, name) : 0;
}

void link_message_shut(const struct link_message *message)
{
    end_connection(zmq_msg_get(&message->part[0], ZMQ_SRCFD));
}

struct link_message *link_keep(struct link_message *message)
{
    struct link_message *kept = malloc(sizeof *kept);
    if (!kept) return NULL;
    kept->route = message->route;
    kept->parts = message->parts;
    for (uint32_t i = 0; i < message->parts; i++) {
        zmq_msg_init(&kept->part[i]);
        zmq_msg_move(&kept->part[i], &message->part[i]);
    }
    return kept;
}

void link_message_free(struct link_message *message)
{
    if (!message) return;
    message_clear(message);
    free(message);
}

/* ---- sending ---- */

/* A send may have swallowed the edge of what arrived meanwhile: look again. Inside pump() that
 * happens anyway. */
static void after_send(struct link *link)
{
    if (link->reading) return;
    int events = events_of(link);
    if ((events & ZMQ_POLLIN) || (link->want_write && (events & ZMQ_POLLOUT)))
        uv_idle_start(&link->again, on_again);
}

static int send_failed(struct link *link)
{
    int error = errno;
    link->counters.refused_sends++;
    if (error == EAGAIN) {
        link->want_write = 1;
        return err_set(ERR_AGAIN, "%s is at its high-water mark", link->endpoint);
    }
    if (error == EHOSTUNREACH)
        return err_set(ERR_NOTFOUND, "no such peer at %s (any more)", link->endpoint);
    errno = error;
    return zmq_error("cannot send to", link->endpoint);
}

/* One copied part with more to follow. */
static int send_small(struct link *link, const void *data, size_t bytes)
{
    zmq_msg_t part;
    if (zmq_msg_init_size(&part, bytes) != 0) return -1;
    memcpy(zmq_msg_data(&part), data, bytes);
    if (zmq_msg_send(&part, link->socket, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0) return 0;
    int error = errno;
    zmq_msg_close(&part);
    errno = error;
    return -1;
}

/* Send [route] [prefix] part. `part` is left with the caller where it fails. ZeroMQ takes a message
 * whole or not at all: EAGAIN and EHOSTUNREACH come with its first part, or roll it back. */
static int send_parts(struct link *link, const struct link_route *route, const void *prefix,
                      size_t prefix_bytes, zmq_msg_t *part)
{
    size_t bytes = zmq_msg_size(part);
    int router = link->options.kind == LINK_ROUTER;
    if (router != (route != NULL))
        return err_set(ERR_INTERNAL, "%s: a route is for a ROUTER, and it needs one",
                       link->endpoint);
    if ((router && send_small(link, route->id, route->bytes) != 0) ||
        (prefix_bytes > 0 && send_small(link, prefix, prefix_bytes) != 0) ||
        zmq_msg_send(part, link->socket, ZMQ_DONTWAIT) < 0) {
        int result = send_failed(link);
        after_send(link);
        return result;
    }
    link->counters.sent_messages++;
    link->counters.sent_bytes += prefix_bytes + bytes;
    after_send(link);
    return ERR_OK;
}

int link_send(struct link *link, const struct link_route *route, const void *prefix,
              size_t prefix_bytes, const void *data, size_t bytes)
{
    zmq_msg_t part;
    if (zmq_msg_init_size(&part, bytes) != 0)
        return err_set(ERR_NOMEM, "no memory for a message of %zu bytes", bytes);
    if (bytes > 0) memcpy(zmq_msg_data(&part), data, bytes);
    int result = send_parts(link, route, prefix, prefix_bytes, &part);
    if (result != ERR_OK) zmq_msg_close(&part);
    return result;
}

int link_send_owned(struct link *link, const struct link_route *route, const void *prefix,
                    size_t prefix_bytes, void *data, size_t bytes, void (*release)(void *arg),
                    void *arg)
{
    struct owned *owned = take_owned(link->hub);
    if (!owned) return err_set(ERR_NOMEM, "no memory for a message");
    owned->release = release;
    owned->arg = arg;
    handed_over(owned);
    zmq_msg_t part;
    if (zmq_msg_init_data(&part, data, bytes, give_back, owned) != 0) {
        owned->next = link->hub->spare;
        link->hub->spare = owned;
        return err_set(ERR_NOMEM, "no memory for a message");
    }
    int result = send_parts(link, route, prefix, prefix_bytes, &part);
    if (result != ERR_OK) {
        owned->release = NULL; /* the buffer stays with the caller */
        zmq_msg_close(&part);
    }
    return result;
}

int link_forward(struct link *link, const struct link_route *route, const void *prefix,
                 size_t prefix_bytes, struct link_message *message, uint32_t part)
{
    if (part >= message->parts) return err_set(ERR_INTERNAL, "message has no part %u", part);
    return send_parts(link, route, prefix, prefix_bytes, &message->part[part]);
}

struct link_counters link_counters(const struct link *link)
{
    return link->counters;
}

uint32_t link_peers(const struct link *link)
{
    return link->peers;
}
