#include "runtime/http_stream.h"

#include "base/err.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum { BLOCK_BYTES = 8 << 10, SEND_BUFFER_BYTES = 64 << 10 };

struct document {
    unsigned holders;
    uint64_t number;
    size_t bytes;
    char text[];
};

struct listener {
    struct http_stream *stream;
    struct MHD_Connection *connection; /* NULL: free */
    struct visit *visit;
    struct document *document; /* that it takes now; NULL: it has taken all there is */
    size_t taken_bytes;
    uint64_t seen; /* number of the newest that it has taken, or begun to */
    int is_waiting;
};

struct http_stream {
    uv_loop_t *loop;
    struct document *newest; /* NULL: none yet */
    uint64_t sent;           /* documents so far */
    int is_over;
    size_t listeners;
    struct listener listener[HTTP_STREAM_LISTENERS];
};

int http_stream_new(uv_loop_t *loop, struct http_stream **stream)
{
    struct http_stream *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for a stream of events");
    s->loop = loop;
    *stream = s;
    return ERR_OK;
}

static void release(struct document **held)
{
    struct document *d = *held;
    *held = NULL;
    if (d && --d->holders == 0) free(d);
}

static struct document *hold(struct document *d)
{
    if (d) d->holders++;
    return d;
}

void http_stream_free(struct http_stream *s)
{
    if (!s) return;
    release(&s->newest);
    free(s);
}

size_t http_stream_listeners(const struct http_stream *s)
{
    return s->listeners;
}

static struct document *document_new(size_t most_bytes)
{
    struct document *d = malloc(sizeof *d + most_bytes);
    if (d) *d = (struct document){.holders = 1};
    return d;
}

/* What is said first: when to come again after an end. */
static struct document *greeting(void)
{
    struct document *d = document_new(32);
    if (d) d->bytes = (size_t)snprintf(d->text, 32, "retry: %d\n\n", HTTP_STREAM_RETRY_MS);
    return d;
}

/* ---- taking ---- */

static void take_next(struct listener *l)
{
    struct document *newest = l->stream->newest;
    if (l->document || !newest || newest->number <= l->seen) return;
    l->document = hold(newest);
    l->taken_bytes = 0;
    l->seen = newest->number;
    http_visits_set(l->visit, VISIT_ANSWERED, uv_now(l->stream->loop));
}

static void wait_for_more(struct listener *l)
{
    l->is_waiting = 1;
    http_visits_set(l->visit, VISIT_LISTENING, uv_now(l->stream->loop));
    MHD_suspend_connection(l->connection);
}

/* libmicrohttpd asks for what goes next. */
static ssize_t on_room(void *arg, uint64_t position, char *out, size_t most_bytes)
{
    struct listener *l = arg;
    (void)position;
    if (l->stream->is_over) return MHD_CONTENT_READER_END_OF_STREAM;
    take_next(l);
    if (!l->document) {
        wait_for_more(l);
        return 0;
    }
    size_t bytes = l->document->bytes - l->taken_bytes;
    if (bytes > most_bytes) bytes = most_bytes;
    memcpy(out, l->document->text + l->taken_bytes, bytes);
    l->taken_bytes += bytes;
    if (l->taken_bytes == l->document->bytes) release(&l->document);
    return (ssize_t)bytes;
}

static void on_leave(void *arg)
{
    struct listener *l = arg;
    release(&l->document);
    l->connection = NULL;
    if (--l->stream->listeners == 0) release(&l->stream->newest); /* it would be an old one */
}

static struct listener *free_place(struct http_stream *s)
{
    for (int i = 0; i < HTTP_STREAM_LISTENERS; i++)
        if (!s->listener[i].connection) return &s->listener[i];
    return NULL;
}

struct MHD_Response *http_stream_join(struct http_stream *s, struct MHD_Connection *connection,
                                      struct visit *visit)
{
    struct listener *l = s->is_over ? NULL : free_place(s);
    struct document *first = l ? greeting() : NULL;
    int bytes = SEND_BUFFER_BYTES; /* the system would keep much more for one who takes nothing */
    if (!first) return NULL;
    *l =
        (struct listener){.stream = s, .connection = connection, .visit = visit, .document = first};
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_room, l, on_leave);
    if (!response) {
        release(&l->document);
        l->connection = NULL;
        return NULL;
    }
    s->listeners++;
    if (visit) setsockopt(visit->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return response;
}

/* ---- sending ---- */

static void wake_all(struct http_stream *s)
{
    for (int i = 0; i < HTTP_STREAM_LISTENERS; i++) {
        struct listener *l = &s->listener[i];
        if (!l->connection || !l->is_waiting) continue;
        l->is_waiting = 0;
        http_visits_set(l->visit, VISIT_ANSWERED, uv_now(s->loop));
        MHD_resume_connection(l->connection);
    }
}

void http_stream_send(struct http_stream *s, const char *event, const char *text, size_t bytes)
{
    size_t most = bytes + strlen(event) + sizeof "event: \ndata: \n\n";
    struct document *d = s->listeners ? document_new(most) : NULL;
    if (!d) return;
    int n = snprintf(d->text, most, "event: %s\ndata: ", event);
    memcpy(d->text + n, text, bytes);
    memcpy(d->text + n + bytes, "\n\n", 2);
    d->bytes = (size_t)n + bytes + 2;
    d->number = ++s->sent;
    release(&s->newest);
    s->newest = d;
    wake_all(s);
}

void http_stream_end(struct http_stream *s)
{
    s->is_over = 1;
    wake_all(s);
}
