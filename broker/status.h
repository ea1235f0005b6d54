/*
 * What every process last reported, as one JSON document. Bounded: so many processes, so many bytes,
 * kept as text and not as a tree; the oldest makes room. The document is one message: where not all
 * find room in it, reports of captures are left out of it, and counted; they are kept all the same,
 * and are in the overview.
 *
 *     {"stream": NAME, "bottleneck": "producer-bound" | "buffer-bound" | "trainer-bound" | null,
 *      "processes": [{"name", "kind", "age_seconds",
 *                     "is_through": with its work, as it last reported,
 *                     "report": {...}, "rates": {COUNTER: per second}}],
 *      "without_report": N (of them, whose report, {}, and rates found no room),
 *      "overview": {NUMBER: ...} (overview.h), "advice": "a sentence" | null (advice.h),
 *      "stalled": what status_moves() says | null, "errors": [...] (errors.h), "restarts": {...} (lives.h)}
 *
 * The bottleneck: while no producer waits for room, it is the producers; while they wait and the
 * buffer is full, it is the trainers, who do not free it; while they wait and it is not, it is the
 * way into the buffer.
 */
#ifndef SLUICE_BROKER_STATUS_H
#define SLUICE_BROKER_STATUS_H

#include "broker/advice.h"
#include "broker/lives.h"
#include "broker/overview.h"
#include "runtime/link.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { STATUS_MAX_PROCESSES = 320 }; /* 256 captures, and the others */

struct status;

/* A report that has just come, beside the one that growth is counted from: the one before it, or an
 * earlier one where that came less than half a second before. Then rates are those of before. */
struct status_news {
    const char *name;
    int kind;                              /* enum process_kind; -1: none of them */
    const json_t *before, *report, *rates; /* before, rates: NULL at the first */
    double seconds;                        /* between the two */
};

struct status_options {
    const char *stream;         /* copied */
    struct advice_setup advice; /* of zeros: there is none */
    struct lives *lives;        /* outlives the status; NULL: restarts are not counted */
    int is_fed; /* rows come from a corpus, and not from programs or a pipe, which may have none for
                 * as long as they like */
    void (*on_report)(void *arg, const struct status_news *news); /* may be NULL */
    void *arg;
};

/* ERR_NOMEM. */
int status_new(const struct status_options *options, struct status **status);
void status_free(struct status *status);

/* A report of `name` (a flat JSON object of metrics) that came from the peer `from`; NULL: from this
 * process. ERR_FORMAT, ERR_NOMEM, ERR_LIMIT (a peer reports under one name): it is not kept. */
int status_report(struct status *status, const struct link_route *from, const char *name,
                  const char *text, size_t bytes, uint64_t now_ns);

/* The document; caller frees *text. ERR_NOMEM. */
int status_json(const struct status *status, uint64_t now_ns, char **text, size_t *bytes);

/* Once a second: what is told of growth follows from it. The overview of now is left in *overview. */
void status_tick(struct status *status, uint64_t now_ns, struct overview *overview);

/* Whether rows move where they should (movement.h). ERR_STATE: the text says who has moved none, and
 * for how long. */
int status_moves(const struct status *status, uint64_t now_ns);

/* The bottleneck alone: a constant; NULL where nobody reports that could tell. */
const char *status_bottleneck(const struct status *status, uint64_t now_ns);

#endif
