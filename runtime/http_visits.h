/*
 * The connections to a page, by their descriptors: what each is at, and since when. libmicrohttpd's own
 * limit starts anew with each byte, so who sends one every few seconds would keep a place for ever;
 * here each request with its answer, and each document of a stream, has its time. While the places run
 * short, those that have not said what they want, and those that take their answers slowly, have less of
 * it, so that somebody new is heard soon. Not thread-safe; knows no library.
 */
#ifndef SLUICE_RUNTIME_HTTP_VISITS_H
#define SLUICE_RUNTIME_HTTP_VISITS_H

#include <stdint.h>

enum visit_state {
    VISIT_QUIET,    /* its request is not complete */
    VISIT_ANSWERED, /* takes the answer, or a document of a stream */
    VISIT_LISTENING, /* has taken what there is of a stream, and waits for more: for as long as it likes */
};

struct visit {
    int fd; /* -1: free */
    enum visit_state state;
    uint64_t since_ms;
};

struct http_visits {
    unsigned most, live;
    unsigned seconds; /* for a request with its answer */
    struct visit *visit;
};

/* ERR_NOMEM. */
int http_visits_open(struct http_visits *visits, unsigned most, unsigned seconds);
void http_visits_close(struct http_visits *visits);

void http_visits_add(struct http_visits *visits, int fd, uint64_t now_ms);
void http_visits_remove(struct http_visits *visits, int fd);
/* NULL: it is none of them. Valid until it is removed. */
struct visit *http_visits_find(struct http_visits *visits, int fd);
/* What it is at from now on; NULL is fine. */
void http_visits_set(struct visit *visit, enum visit_state state, uint64_t now_ms);
/* Shut down those whose time is over: libmicrohttpd sees the end, and tells of it. */
void http_visits_end_slow(struct http_visits *visits, uint64_t now_ms);

#endif
