/*
 * HTTP on loopback, on the process's own loop: handlers run on the loop thread, so they need no
 * locks and must not block. GET and HEAD, and POST where a handler takes a body. /healthz and /readyz
 * are always there, and /metrics where there are metrics.
 */
#ifndef SLUICE_RUNTIME_HTTP_H
#define SLUICE_RUNTIME_HTTP_H

#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct metrics;
struct http;
struct MHD_Connection;

struct http_request {
    const char *method, *path;
    const char *body; /* of a POST, with a NUL behind it; else NULL */
    size_t bytes;     /* of the body */
    int socket;       /* of the connection */
    struct MHD_Connection *connection;
};

/* A header of the request, whatever its case; an argument of its address, with %XX decoded; a cookie.
 * NULL: there is none. Valid while the handler runs. */
const char *http_header(const struct http_request *request, const char *name);
const char *http_argument(const struct http_request *request, const char *name);
const char *http_cookie(const struct http_request *request, const char *name);

struct http_reply {
    unsigned status;          /* set to 200 before the handler runs */
    const char *content_type; /* set to "application/json" before */
    char *body;               /* malloc'ed by the handler; freed by http */
    size_t bytes;
    int file;            /* set to -1 before; else the body is this open file, which http closes, or
                               * the part of it that a Range asks for */
    uint64_t file_bytes; /* its length */
    const char *policy;  /* Content-Security-Policy; NULL: none */
    char location[64];   /* of a redirect; "": none */
    char cookie[128];    /* Set-Cookie; "": none */
};

struct http_handler {
    const char *path; /* exact: "/api/status" */
    /* Fill in the reply. An error becomes status 500 with err_text(); of ERR_USAGE, 400. */
    int (*get)(void *arg, struct http_reply *reply);
    void *arg;
    /* In place of `get`: the same with the request. */
    int (*ask)(void *arg, const struct http_request *request, struct http_reply *reply);
    size_t most_body_bytes; /* of a POST; 0: it takes GET and HEAD */
    int is_stream;          /* in place of both: who asks listens to what http_send() tells */
};

struct http_options {
    const char *address;      /* "127.0.0.1:0", "[::1]:9090"; port 0 = any free one */
    const char *address_file; /* where http_announce() writes the bound "127.0.0.1:PORT" (0600);
                               * NULL: nowhere; copied. Of any free port the one that it names since
                               * an earlier life, if that is free */
    const struct metrics *metrics; /* NULL: no /metrics */
    /* Before any handler: whether the request may go on. 0: the reply is the answer. NULL: all may.
     * Requests for other hosts than this machine's are refused before. */
    int (*may_pass)(void *arg, const struct http_request *request, struct http_reply *reply);
    void *may_pass_arg;
    /* ERR_OK: /readyz (/healthz) answers "ok". Otherwise 503 with err_text(). NULL: always. */
    int (*ready)(void *arg);
    int (*health)(void *arg);
    void *health_arg;
    unsigned request_seconds; /* a request with its answer takes no longer, or its connection is
                               * ended; 0: 10 */
    unsigned connections;     /* at most; 0: 32 */
    const struct http_handler *handlers; /* outlive http */
    size_t handlers_count;
};

/* Listen. ERR_USAGE (an address that is not loopback or malformed), ERR_EXISTS (port in use),
 * ERR_LIMIT (the address file's path is too long), ERR_IO. */
int http_open(struct uv_loop_s *loop, const struct http_options *options, struct http **http);
/* Write the address file, once; nothing is done where it is written, or has no place. Not before a
 * process has its role: the file may be that of another life, which is at work. ERR_IO,
 * ERR_NOSPC. */
int http_announce(struct http *http);
/* "127.0.0.1:PORT" as bound. */
const char *http_address(const struct http *http);
/* How many listen (NULL: none), and an event for all of them: one line of text, which is copied. Who
 * is slow skips what it has no time for, and is ended when it takes none for as long as a request may
 * take. Never waits. */
size_t http_listeners(const struct http *http);
void http_send(struct http *http, const char *event, const char *text, size_t bytes);
/* Stop listening; removes the address file that it wrote. Loop thread; the loop must run once more
 * afterwards to release its handles (process.c sees to it). */
void http_close(struct http *http);

#endif
