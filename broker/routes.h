/*
 * Who talks to whom. Producers come in at the front, sinks at the back; a producer's connection
 * gets a number, its link. No sockets here: each message in gives a verdict on where it goes.
 *
 * Holds:
 * - A frame is forwarded only in the session, and up to the credit, that the sink last told its
 *   link, and once, unless the sink asks for it again; so what the broker may have under way is
 *   bounded by what sinks have room for, and it needs no queue of its own.
 * - The broker knows nothing that it can't learn again: after a restart its life differs, producers
 *   and sinks are told, and open new sessions.
 */
#ifndef SLUICE_BROKER_ROUTES_H
#define SLUICE_BROKER_ROUTES_H

#include "proto/message.h"
#include "runtime/link.h"

enum { ROUTES_MAX_SINKS = 64 };

enum routes_drop {              /* why a message went nowhere */
                   ROUTES_KEPT, /* it did not: forwarded, answered or taken */
                   ROUTES_MALFORMED,
                   ROUTES_NO_SINK,
                   ROUTES_NO_SESSION,
                   ROUTES_NO_CREDIT,
                   ROUTES_NO_LINK,
                   ROUTES_TOO_SOON, /* the same was said just now and is not answered yet */
                   ROUTES_REPEATED, /* a frame that went on already, and nobody asked for again */
                   ROUTES_NOT_ALLOWED, /* its key has not the role */
                   ROUTES_DROPS,
};

struct routes_verdict {
    enum routes_drop drop;
    enum { ROUTES_NOWHERE, ROUTES_TO_SINK, ROUTES_TO_PRODUCER } forward;
    struct link_route route; /* forward: to whom */
    uint32_t link;           /* forward to a sink: from which link */
    int has_answer;          /* to the sender, with `link` as prefix where it is a sink */
    struct message answer;   /* its text is static */
    int is_report;           /* `report` is a MESSAGE_REPORT */
    struct message report;
    int is_ask;          /* a MESSAGE_ASK */
    uint64_t ask_number; /* to be told with the answer */
};

struct routes;

/* `life` differs from that of every broker before; at most `max_links` producers at once.
 * ERR_NOMEM. */
int routes_new(uint64_t life, uint32_t max_links, struct routes **routes);
void routes_free(struct routes *routes);

/* A message from the front, of the peer `from`, who may say what `roles` allow (enum keys_role). */
void routes_from_producer(struct routes *routes, const struct link_route *from, uint32_t roles,
                          const uint8_t *data, size_t bytes, uint64_t now_ns,
                          struct routes_verdict *verdict);
/* A message from the back; link 0: for the broker itself. */
void routes_from_sink(struct routes *routes, const struct link_route *from, uint32_t roles,
                      uint32_t link, const uint8_t *data, size_t bytes, uint64_t now_ns,
                      struct routes_verdict *verdict);

/* A link that is over (its peer has gone, or is silent): its sink must be told GONE. */
struct routes_gone {
    struct link_route sink;
    uint32_t link;
    uint64_t stream;
};
/* Take one link that has been silent for too long off the table: 1, and *gone; 0: there is none.
 * Silent sinks go as well. */
int routes_expire(struct routes *routes, uint64_t now_ns, struct routes_gone *gone);
/* Take the link of a front peer that can't be reached off the table. 0: it had none. */
int routes_lost(struct routes *routes, const struct link_route *peer, struct routes_gone *gone);

uint32_t routes_links(const struct routes *routes);
uint32_t routes_sinks(const struct routes *routes);
/* Whether the stream's sink has left for good. */
int routes_ended(struct routes *routes, uint64_t stream);

#endif
