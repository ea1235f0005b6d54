/*
 * HTTP on loopback, on the process's own loop: handlers run on the loop thread, so they need no
 * locks and must not block. GET and HEAD only. /metrics, /healthz and /readyz are
 * always there.
 */
#ifndef SLUICE_RUNTIME_HTTP_H
#define SLUICE_RUNTIME_HTTP_H

#include <stddef.h>

struct uv_loop_s;
struct metrics;
struct http;

struct http_reply {
    unsigned status;          /* set to 200 before the handler runs */
    const char *content_type; /* set to "application/json" before */
    char *body;               /* malloc'ed by the handler; freed by http */
    size_t bytes;
};

struct http_handler {
    const char *path; /* exact: "/api/status" */
    /* Fill in the reply. An error becomes status 500 with err_text(). */
    int (*get)(void *arg, struct http_reply *reply);
    void *arg;
};

struct http_options {
    const char *address;      /* "127.0.0.1:0", "[::1]:9090"; port 0 = any free one */
    const char *address_file; /* where http_announce() writes the bound "127.0.0.1:PORT" (0600);
                               * NULL: nowhere; copied */
    const struct metrics *metrics;
    /* ERR_OK: /readyz (/healthz) answers "ok". Otherwise 503 with err_text(). NULL: always. */
    int (*ready)(void *arg);
    int (*health)(void *arg);
    void *health_arg;
    unsigned request_seconds; /* a request with its answer takes no longer, or its connection is
                               * ended; 0: 10 */
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
/* Stop listening; removes the address file that it wrote. Loop thread; the loop must run once more
 * afterwards to release its handles (process.c sees to it). */
void http_close(struct http *http);

#endif
