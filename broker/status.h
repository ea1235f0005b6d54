/*
 * What every process last reported, as one JSON document. Bounded: so many processes, so many bytes
 * each, kept as text and not as a tree; the oldest makes room.
 *
 *     {"stream": NAME, "bottleneck": "producer-bound" | "buffer-bound" | "trainer-bound" | null,
 *      "processes": [{"name", "kind", "age_seconds", "report": {...},
 *                     "rates": {COUNTER: per second}}]}
 *
 * The bottleneck: while no producer waits for room, it is the producers; while they wait and the
 * buffer is full, it is the trainers, who do not free it; while they wait and it is not, it is the
 * way into the buffer.
 */
#ifndef SLUICE_BROKER_STATUS_H
#define SLUICE_BROKER_STATUS_H

#include "runtime/link.h"

#include <stddef.h>
#include <stdint.h>

enum { STATUS_MAX_PROCESSES = 256 };

struct status;

/* `stream` is copied. ERR_NOMEM. */
int status_new(const char *stream, struct status **status);
void status_free(struct status *status);

/* A report of `name` (a flat JSON object of metrics) that came from the peer `from`; NULL: from this
 * process. ERR_FORMAT, ERR_NOMEM, ERR_LIMIT (a peer reports under one name): it is not kept. */
int status_report(struct status *status, const struct link_route *from, const char *name,
                  const char *text, size_t bytes, uint64_t now_ns);

/* The document; caller frees *text. ERR_NOMEM. */
int status_json(const struct status *status, uint64_t now_ns, char **text, size_t *bytes);

/* The bottleneck alone: a constant; NULL where nobody reports that could tell. */
const char *status_bottleneck(const struct status *status, uint64_t now_ns);

#endif
