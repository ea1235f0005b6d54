/*
 * libmicrohttpd without threads of its own: its epoll descriptor is watched by the loop, and a
 * timer keeps its time-outs. Only this file and http_stream.c include microhttpd.h.
 */
#include "runtime/http.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "config/address.h"
#include "runtime/http_listen.h"
#include "runtime/http_stream.h"
#include "runtime/http_visits.h"
#include "runtime/metrics.h"
#include "runtime/range.h"

#include <microhttpd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum {
    CONNECTIONS = 32,
    BACKLOG = 512,
    CONNECTION_BYTES = 16 << 10,
    REQUEST_SECONDS = 10, /* for one, from the first byte to the last of its answer */
    RUNS_A_TURN = 16,
    WAKE_MS = 1000,
    PATH_BYTES = 4096,
};

struct http {
    struct http_options options;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    int open_handles;
    char address[HTTP_ADDRESS_BYTES];
    char address_file[PATH_BYTES]; /* "": none */
    int is_announced;              /* it is ours */
    struct http_visits visits;
    struct http_stream *stream; /* NULL: nobody may listen */
};

static int socket_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

static struct visit *visit_of(struct http *http, struct MHD_Connection *connection)
{
    int fd = socket_of(connection);
    return fd >= 0 ? http_visits_find(&http->visits, fd) : NULL;
}

/* ---- answering ---- */

static int get_metrics(void *arg, struct http_reply *reply)
{
    const struct http *http = arg;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return metrics_text(http->options.metrics, &reply->body, &reply->bytes);
}

static int get_state(const struct http *http, int (*is_ok)(void *arg), struct http_reply *reply)
{
    const char *text = "ok";
    if (is_ok && is_ok(http->options.health_arg) != ERR_OK) {
        reply->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        text = err_text();
    }
    reply->content_type = "text/plain; charset=utf-8";
    int n = asprintf(&reply->body, "%s\n", text);
    if (n < 0) {
        reply->body = NULL;
        return err_set(ERR_NOMEM, "no memory");
    }
    reply->bytes = (size_t)n;
    return ERR_OK;
}

static int get_health(void *arg, struct http_reply *reply)
{
    const struct http *http = arg;
    return get_state(http, http->options.health, reply);
}

static int get_ready(void *arg, struct http_reply *reply)
{
    const struct http *http = arg;
    return get_state(http, http->options.ready, reply);
}

static int find(struct http *http, const char *path, struct http_handler *handler)
{
    const struct http_handler always[] = {
        {.path = "/metrics", .get = get_metrics, .arg = http},
        {.path = "/healthz", .get = get_health, .arg = http},
        {.path = "/readyz", .get = get_ready, .arg = http},
    };
    for (size_t i = http->options.metrics ? 0 : 1; i < sizeof always / sizeof always[0]; i++)
        if (strcmp(path, always[i].path) == 0) {
            *handler = always[i];
            return 1;
        }
    for (size_t i = 0; i < http->options.handlers_count; i++)
        if (strcmp(path, http->options.handlers[i].path) == 0) {
            *handler = http->options.handlers[i];
            return 1;
        }
    return 0;
}

static struct http_reply no_reply(void)
{
    return (struct http_reply){
        .status = MHD_HTTP_OK, .content_type = "application/json", .file = -1};
}

/* Of a file, as much as is asked for. NULL: no memory. Closes the file then, too. */
static struct MHD_Response *file_response(struct MHD_Connection *connection,
                                          struct http_reply *reply)
{
    const char *asked = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
    uint64_t first = 0, bytes = reply->file_bytes;
    char told[80];
    enum range range = reply->status == MHD_HTTP_OK
                           ? range_read(asked, reply->file_bytes, &first, &bytes)
                           : RANGE_ALL;
    if (range != RANGE_PART) {
        first = 0;
        bytes = range == RANGE_NONE ? 0 : reply->file_bytes;
    }
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64(bytes, reply->file, first);
    if (!response) {
        close(reply->file);
        return NULL;
    }
    MHD_add_response_header(response, "Accept-Ranges", "bytes");
    if (range == RANGE_PART) {
        snprintf(told, sizeof told, "bytes %llu-%llu/%llu", (unsigned long long)first,
                 (unsigned long long)(first + bytes - 1), (unsigned long long)reply->file_bytes);
        reply->status = MHD_HTTP_PARTIAL_CONTENT;
    } else if (range == RANGE_NONE) {
        snprintf(told, sizeof told, "bytes */%llu", (unsigned long long)reply->file_bytes);
        reply->status = MHD_HTTP_RANGE_NOT_SATISFIABLE;
    }
    if (range != RANGE_ALL) MHD_add_response_header(response, "Content-Range", told);
    return response;
}

static struct MHD_Response *body_response(struct http_reply *reply)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->bytes, reply->body, MHD_RESPMEM_MUST_FREE);
    if (!response) free(reply->body);
    return response;
}

static void add_headers(struct MHD_Response *response, const char *content_type)
{
    MHD_add_response_header(response, "Content-Type", content_type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct http_reply *reply,
                                  const char *allow)
{
    struct MHD_Response *response =
        reply->file >= 0 ? file_response(connection, reply) : body_response(reply);
    if (!response) return MHD_NO;
    add_headers(response, reply->content_type);
    if (reply->policy) {
        MHD_add_response_header(response, "Content-Security-Policy", reply->policy);
        MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    }
    if (reply->location[0]) MHD_add_response_header(response, "Location", reply->location);
    if (reply->cookie[0]) MHD_add_response_header(response, "Set-Cookie", reply->cookie);
    if (allow) MHD_add_response_header(response, "Allow", allow);
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
                                 const char *text, const char *allow)
{
    struct http_reply reply = no_reply();
    reply.status = status;
    reply.content_type = "text/plain; charset=utf-8";
    int n = asprintf(&reply.body, "%s\n", text);
    if (n < 0) return MHD_NO;
    reply.bytes = (size_t)n;
    return send_reply(connection, &reply, allow);
}

/* A page of the internet may not read ours through a name that it points at 127.0.0.1. */
static int host_ok(struct MHD_Connection *connection)
{
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    if (!host) return 1;
    const char *colon = strrchr(host, ':');
    size_t length = strlen(host);
    if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1))
        length = (size_t)(colon - host);
    return address_is_loopback(host, length);
}

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_argument(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_cookie(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, name);
}

/* Of the handler's reply, and where it failed what is said of that. */
static enum MHD_Result run(const struct http_handler *handler, const struct http_request *request)
{
    struct http_reply reply = no_reply();
    int result = handler->ask ? handler->ask(handler->arg, request, &reply)
                              : handler->get(handler->arg, &reply);
    if (result == ERR_OK) return send_reply(request->connection, &reply, NULL);
    free(reply.body);
    if (reply.file >= 0) close(reply.file);
    return send_text(request->connection,
                     result == ERR_USAGE ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_INTERNAL_SERVER_ERROR,
                     err_text(), NULL);
}

/* Whoever asks listens from now on. */
static enum MHD_Result send_stream(struct http *http, struct MHD_Connection *connection)
{
    struct MHD_Response *response =
        http->stream ? http_stream_join(http->stream, connection, visit_of(http, connection))
                     : NULL;
    if (!response)
        return send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                         "too many listen already; HINT: close other pages, or ask /api/status",
                         NULL);
    add_headers(response, "text/event-stream; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- bodies ---- */

struct upload { /* the body of a POST, so far */
    struct http_handler handler;
    char *data; /* (handler.most_body_bytes + 1) */
    size_t bytes;
    int is_too_long;
};

static enum MHD_Result begin_upload(const struct http_handler *handler, void **context)
{
    struct upload *u = calloc(1, sizeof *u);
    if (u) u->data = malloc(handler->most_body_bytes + 1);
    if (!u || !u->data) {
        free(u);
        return MHD_NO;
    }
    u->handler = *handler;
    *context = u;
    return MHD_YES;
}

static enum MHD_Result go_on_upload(struct upload *u, const char *data, size_t *bytes)
{
    if (*bytes > u->handler.most_body_bytes - u->bytes)
        u->is_too_long = 1;
    else
        memcpy(u->data + u->bytes, data, *bytes);
    if (!u->is_too_long) u->bytes += *bytes;
    *bytes = 0;
    return MHD_YES;
}

static void end_upload(struct upload *u)
{
    if (!u) return;
    free(u->data);
    free(u);
}

static enum MHD_Result answer_upload(struct upload *u, struct http_request *request)
{
    char text[80];
    if (u->is_too_long) {
        snprintf(text, sizeof text, "at most %zu bytes are taken here", u->handler.most_body_bytes);
        return send_text(request->connection, MHD_HTTP_CONTENT_TOO_LARGE, text, NULL);
    }
    u->data[u->bytes] = '\0';
    request->body = u->data;
    request->bytes = u->bytes;
    return run(&u->handler, request);
}

/* ---- a request ---- */

/* Whether it is one that is answered by a handler; else it is answered here. */
static int admit(struct http *http, struct http_request *request, struct http_handler *handler,
                 enum MHD_Result *result)
{
    struct MHD_Connection *connection = request->connection;
    const char *method = request->method;
    int is_post = strcmp(method, "POST") == 0, is_get = !is_post;
    struct http_reply reply = no_reply();
    if (!host_ok(connection)) {
        *result = send_text(connection, MHD_HTTP_FORBIDDEN, "only for names of this machine", NULL);
        return 0;
    }
    if (http->options.may_pass &&
        !http->options.may_pass(http->options.may_pass_arg, request, &reply)) {
        *result = send_reply(connection, &reply, NULL);
        return 0;
    }
    if (!is_post && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        *result =
            send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only", "GET, HEAD");
        return 0;
    }
    if (!find(http, request->path, handler)) {
        *result = send_text(connection, MHD_HTTP_NOT_FOUND,
                            http->options.metrics
                                ? "no such page; /metrics, /healthz and /readyz are always there"
                                : "no such page",
                            NULL);
        return 0;
    }
    if (is_get == (handler->most_body_bytes == 0)) return 1;
    *result = is_post ? send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only",
                                  "GET, HEAD")
                      : send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "POST only", "POST");
    return 0;
}

/* libmicrohttpd calls it once with the headers, then with each piece of a body, and at its end. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **context)
{
    struct http_handler handler = {0};
    struct http *http = arg;
    struct http_request request = {
        .method = method, .path = path, .connection = connection, .socket = socket_of(connection)};
    enum MHD_Result result;
    (void)version;
    if (!*context)
        http_visits_set(visit_of(http, connection), VISIT_ANSWERED, uv_now(http->poll.loop));
    if (*context && *upload_bytes > 0) return go_on_upload(*context, upload, upload_bytes);
    if (*context) return answer_upload(*context, &request);
    if (!admit(http, &request, &handler, &result)) return result;
    if (handler.is_stream) return send_stream(http, connection);
    return handler.most_body_bytes ? begin_upload(&handler, context) : run(&handler, &request);
}

/* ---- connections ---- */

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *http = arg;
    (void)context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        http_visits_add(&http->visits, socket_of(connection), uv_now(http->poll.loop));
    else
        http_visits_remove(&http->visits, socket_of(connection));
}

static void on_answered(void *arg, struct MHD_Connection *connection, void **context,
                        enum MHD_RequestTerminationCode code)
{
    struct http *http = arg;
    (void)code;
    end_upload(*context);
    *context = NULL;
    http_visits_set(visit_of(http, connection), VISIT_QUIET, uv_now(http->poll.loop));
}

/* ---- on the loop ---- */

static void on_timer(uv_timer_t *timer);

/* Serve what is there, then sleep until something comes, libmicrohttpd's next time-out, or a second
 * has passed: at its limit of connections it stops listening, and only the run after the one in
 * which a connection ended listens again. No event would wake us for that. */
static void serve(struct http *http)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    int has_timeout = 1;
    http_visits_end_slow(&http->visits, uv_now(http->poll.loop));
    MHD_run(http->daemon);
    for (int i = 0; i < RUNS_A_TURN; i++) {
        MHD_run(http->daemon);
        has_timeout = MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES;
        if (!has_timeout || wait_ms > 0) break;
    }
    if (!has_timeout || wait_ms > WAKE_MS) wait_ms = WAKE_MS;
    uv_timer_start(&http->timer, on_timer, wait_ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    serve(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    serve(poll->data);
}

/* ---- opening ---- */

static int start_daemon(struct http *http, int fd)
{
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer, http,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, http->visits.most,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        http->options.request_seconds, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        MHD_OPTION_NOTIFY_COMPLETED, on_answered, http, MHD_OPTION_END);
    if (!http->daemon) {
        close(fd);
        return err_set(ERR_IO, "cannot serve HTTP at %s", http->address);
    }
    return ERR_OK;
}

static int watch(struct http *http, uv_loop_t *loop)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || uv_poll_init(loop, &http->poll, info->epoll_fd) != 0)
        return err_set(ERR_IO, "cannot watch HTTP at %s", http->address);
    uv_timer_init(loop, &http->timer);
    http->open_handles = 2;
    http->poll.data = http->timer.data = http;
    if (uv_poll_start(&http->poll, UV_READABLE, on_poll) != 0)
        return err_set(ERR_IO, "cannot watch HTTP at %s", http->address);
    return ERR_OK;
}

int http_announce(struct http *http)
{
    const char *path = http->address_file, *slash = strrchr(path, '/');
    char line[HTTP_ADDRESS_BYTES + 1], folder[PATH_BYTES];
    if (!slash || http->is_announced) return ERR_OK;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    int result = own_make(folder, 0);
    if (result != ERR_OK) return result;
    int n = snprintf(line, sizeof line, "%s\n", http->address);
    result = file_replace(path, line, (size_t)n);
    http->is_announced = result == ERR_OK;
    return result;
}

/* The path of the address file, kept for http_announce(). */
static int keep_path(struct http *http, const char *path)
{
    if (!path) return ERR_OK;
    if (!strchr(path, '/') || strlen(path) >= sizeof http->address_file)
        return err_set(ERR_LIMIT, "bad path for the HTTP address: %.80s", path);
    snprintf(http->address_file, sizeof http->address_file, "%s", path);
    return ERR_OK;
}

static int has_stream(const struct http_options *options)
{
    for (size_t i = 0; i < options->handlers_count; i++)
        if (options->handlers[i].is_stream) return 1;
    return 0;
}

int http_open(uv_loop_t *loop, const struct http_options *options, struct http **out)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http) return err_set(ERR_NOMEM, "no memory for HTTP");
    http->options = *options;
    if (!http->options.request_seconds) http->options.request_seconds = REQUEST_SECONDS;
    int fd = -1;
    int result = keep_path(http, options->address_file);
    if (result == ERR_OK)
        result = http_visits_open(&http->visits,
                                  options->connections ? options->connections : CONNECTIONS,
                                  http->options.request_seconds);
    if (result == ERR_OK && has_stream(options)) result = http_stream_new(loop, &http->stream);
    if (result == ERR_OK)
        result =
            http_listen_again(options->address, options->address_file, BACKLOG, http->address, &fd);
    if (result == ERR_OK) result = start_daemon(http, fd);
    if (result == ERR_OK) result = watch(http, loop);
    if (result != ERR_OK) {
        http_close(http);
        return result;
    }
    *out = http;
    return ERR_OK;
}

const char *http_address(const struct http *http)
{
    return http->address;
}

size_t http_listeners(const struct http *http)
{
    return http && http->stream ? http_stream_listeners(http->stream) : 0;
}

void http_send(struct http *http, const char *event, const char *text, size_t bytes)
{
    if (!http_listeners(http)) return;
    http_stream_send(http->stream, event, text, bytes);
    serve(http);
}

static void release(struct http *http)
{
    http_stream_free(http->stream);
    http_visits_close(&http->visits);
    free(http);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http *http = handle->data;
    if (--http->open_handles == 0) release(http);
}

/* libmicrohttpd ends no connection that is suspended: those who listen are woken to see the end. */
static void stop_daemon(struct http *http)
{
    if (!http->daemon) return;
    if (http->stream) http_stream_end(http->stream);
    for (int i = 0; i < RUNS_A_TURN; i++) MHD_run(http->daemon);
    MHD_stop_daemon(http->daemon);
}

void http_close(struct http *http)
{
    if (!http) return;
    int handles = http->open_handles;
    if (http->is_announced) unlink(http->address_file);
    if (handles > 0) {
        uv_close((uv_handle_t *)&http->poll, on_handle_closed);
        uv_close((uv_handle_t *)&http->timer, on_handle_closed);
    }
    stop_daemon(http);
    if (handles == 0) release(http);
}
