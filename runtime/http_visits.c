#include "runtime/http_visits.h"

#include "base/err.h"

#include <stdlib.h>
#include <sys/socket.h>

enum { CROWDED_QUIET_MS = 1000, CROWDED_ANSWER_MS = 3000 };

int http_visits_open(struct http_visits *v, unsigned most, unsigned seconds)
{
    *v = (struct http_visits){.most = most, .seconds = seconds};
    v->visit = calloc(most, sizeof *v->visit);
    if (!v->visit) return err_set(ERR_NOMEM, "no memory for HTTP");
    for (unsigned i = 0; i < most; i++) v->visit[i].fd = -1;
    return ERR_OK;
}

void http_visits_close(struct http_visits *v)
{
    free(v->visit);
    v->visit = NULL;
    v->most = 0;
}

struct visit *http_visits_find(struct http_visits *v, int fd)
{
    for (unsigned i = 0; i < v->most; i++)
        if (v->visit[i].fd == fd) return &v->visit[i];
    return NULL;
}

void http_visits_add(struct http_visits *v, int fd, uint64_t now_ms)
{
    struct visit *place = http_visits_find(v, -1);
    if (!place) return;
    *place = (struct visit){fd, VISIT_QUIET, now_ms};
    v->live++;
}

void http_visits_remove(struct http_visits *v, int fd)
{
    struct visit *place = fd >= 0 ? http_visits_find(v, fd) : NULL;
    if (!place) return;
    place->fd = -1;
    v->live--;
}

void http_visits_set(struct visit *visit, enum visit_state state, uint64_t now_ms)
{
    if (!visit) return;
    visit->state = state;
    visit->since_ms = now_ms;
}

static uint64_t time_of(const struct http_visits *v, const struct visit *one)
{
    uint64_t all_ms = 1000 * (uint64_t)v->seconds, crowded_ms;
    if (one->state == VISIT_LISTENING) return UINT64_MAX;
    if (v->live < v->most - v->most / 4) return all_ms;
    crowded_ms = one->state == VISIT_QUIET ? CROWDED_QUIET_MS : CROWDED_ANSWER_MS;
    return crowded_ms < all_ms ? crowded_ms : all_ms;
}

void http_visits_end_slow(struct http_visits *v, uint64_t now_ms)
{
    for (unsigned i = 0; i < v->most; i++) {
        struct visit *one = &v->visit[i];
        uint64_t most_ms = time_of(v, one);
        if (one->fd < 0 || most_ms == UINT64_MAX || now_ms < one->since_ms + most_ms) continue;
        shutdown(one->fd, SHUT_RDWR);
        one->since_ms = now_ms;
    }
}
