/*
 * Server-sent events: each document goes to all who listen at that moment. It is kept once for all of
 * them, until the last one has taken it. Who is slow holds one document at most, and then goes on with
 * the newest: what came between is skipped. Nobody is waited for. Loop thread.
 */
#ifndef SLUICE_RUNTIME_HTTP_STREAM_H
#define SLUICE_RUNTIME_HTTP_STREAM_H

#include "runtime/http_visits.h"

#include <stddef.h>
#include <stdint.h>

enum { HTTP_STREAM_LISTENERS = 64, HTTP_STREAM_RETRY_MS = 1000 };

struct MHD_Connection;
struct MHD_Response;
struct uv_loop_s;
struct http_stream;

/* ERR_NOMEM. The loop is for its time. */
int http_stream_new(struct uv_loop_s *loop, struct http_stream **stream);
/* After the last listener has gone: libmicrohttpd has been stopped. NULL is fine. */
void http_stream_free(struct http_stream *stream);

/* The answer to one who wants to listen, whose visit is `visit`; NULL: there is no place. */
struct MHD_Response *http_stream_join(struct http_stream *stream, struct MHD_Connection *connection,
                                      struct visit *visit);
/* How many listen. */
size_t http_stream_listeners(const struct http_stream *stream);
/* Tell all of them, as an event of this name: the text, which has no line ends, is copied. Without
 * memory nobody is told. libmicrohttpd must run afterwards. */
void http_stream_send(struct http_stream *stream, const char *event, const char *text,
                      size_t bytes);
/* End all of them: before libmicrohttpd is stopped, which must run once more between. */
void http_stream_end(struct http_stream *stream);

#endif
