/*
 * A ZeroMQ DEALER or ROUTER socket on a libuv loop.
 *
 * Messages have one or two parts: [prefix] data. A prefix is small and copied (the 4-byte link
 * number between broker and sink). Everything here runs on the loop's thread and never blocks, but
 * for link_hub_close(). ZeroMQ's high-water marks are a backstop: flow is controlled by credit.
 */
#ifndef SLUICE_RUNTIME_LINK_H
#define SLUICE_RUNTIME_LINK_H

#include "runtime/keys.h"

#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct link_hub;
struct link;
struct link_message;

enum link_kind { LINK_DEALER, LINK_ROUTER };
enum { LINK_ROUTE_BYTES = 15 };

/* Who a ROUTER's message came from and goes to. Compare with link_route_equal(). */
struct link_route {
    uint8_t bytes;
    uint8_t id[LINK_ROUTE_BYTES];
};
int link_route_equal(const struct link_route *a, const struct link_route *b);

/* One hub a process: the ZeroMQ context, and the way back to the loop for buffers that were sent
 * without copying. ERR_NOMEM, ERR_IO. */
int link_hub_open(struct uv_loop_s *loop, struct link_hub **hub);
/* After all links are closed. Waits until queued messages have left or link_options.linger_ms is
 * over; every buffer's release has been called when it returns. */
void link_hub_close(struct link_hub *hub);

/* CURVE: what a tcp endpoint needs. Copied when a link is opened. */
struct link_security {
    struct keys_pair own;
    char server[KEYS_TEXT_BYTES];   /* to connect: the other side's public key */
    uint32_t roles;                 /* to bind: of these one is needed to come in at all */
    const struct keys_allow *allow; /* to bind: who may come in; until unguard */
};

/* Nobody is let in any more: the allow-list may go. After the links that are bound. */
void link_hub_unguard(struct link_hub *hub);

struct link_options {
    enum link_kind kind;
    const char *endpoint;                 /* ipc://PATH, tcp://ADDRESS:PORT */
    const struct link_security *security; /* of tcp; ipc needs none: its folder is the user's own */
    int insecure_tcp;                     /* tcp without it, on loopback, for tests */
    int bind;                 /* 1: bind; 0: connect (and reconnect, 0.1 to 1 s, for ever) */
    size_t max_message_bytes; /* larger ones end their sender's connection; 0: largest frame */
    int send_high_water;      /* messages to a peer; 0: 1000 */
    int receive_high_water;   /* messages from a peer, beside those in its kernel's; 0: 1000 */
    uint32_t max_peers;       /* bind: connections at once; one more is ended; 0: no bound */
    int linger_ms;            /* how long a close waits for what is queued */
    uint32_t budget_messages; /* read in one go before the loop gets a turn; 0: 256 */
    /* A message came. Borrowed: gone when the callback returns, but for what link_forward() or
     * link_keep() took. May send, and may close any link. */
    void (*on_message)(void *arg, struct link *link, struct link_message *message);
    /* A send that failed with ERR_AGAIN may work now. May be NULL. */
    void (*on_writable)(void *arg, struct link *link);
    void *arg;
};

/* Open a socket. A bound ipc endpoint makes its folder (0700) and takes a lock beside the socket,
 * so that a stale socket is replaced and a live one is not stolen; who connects makes the folder or
 * finds it ours alone. A tcp endpoint has CURVE, and where it is bound a ZAP handler with its domain
 * enforced; else it is not opened. ERR_EXISTS: the address is in use (text: by whom). ERR_USAGE:
 * malformed, tcp without security, or a folder that others have or enter. ERR_STATE: the security
 * could not be had. ERR_IO, ERR_NOMEM. */
int link_open(struct link_hub *hub, const struct link_options *options, struct link **link);
/* The endpoint as bound ("tcp://127.0.0.1:40123" for port 0) or as given. */
const char *link_endpoint(const struct link *link);
void link_close(struct link *link);

/* A message's parts. `part` 0 is the first after the routing id. */
uint32_t link_parts(const struct link_message *message);
const uint8_t *link_data(const struct link_message *message, uint32_t part, size_t *bytes);
const struct link_route *link_message_route(const struct link_message *message);
/* What its sender may say (enum keys_role), by the allow-list as it is now; 0: it is in it no more.
 * Without security: everything. *name: what the list calls it, "" where it has no name. */
uint32_t link_message_roles(const struct link *link, const struct link_message *message,
                            const char **name);
/* End the connection that it came by. Its peer may connect again, with all to begin anew. */
void link_message_shut(const struct link_message *message);
/* Take the message out of the callback (malloc'ed; NULL without memory); link_message_free() it. */
struct link_message *link_keep(struct link_message *message);
void link_message_free(struct link_message *message);

/* Send; `route` for a ROUTER, NULL for a DEALER; prefix may be NULL (0 bytes: one part).
 * ERR_AGAIN: at the high-water mark, nothing was taken. ERR_NOTFOUND: a ROUTER does not know this
 * peer (any more). ERR_NOMEM. Failure leaves ownership with the caller. */
int link_send(struct link *link, const struct link_route *route, const void *prefix,
              size_t prefix_bytes, const void *data, size_t bytes); /* copies */
/* Without copying: `data` may not be changed before release(arg) has been called, once, on the loop
 * thread (or inside link_hub_close). On failure release is not called. */
int link_send_owned(struct link *link, const struct link_route *route, const void *prefix,
                    size_t prefix_bytes, void *data, size_t bytes, void (*release)(void *arg),
                    void *arg);
/* Send one part of a received message on, without copying; that part is empty afterwards. */
int link_forward(struct link *link, const struct link_route *route, const void *prefix,
                 size_t prefix_bytes, struct link_message *message, uint32_t part);

/* Whether a tcp endpoint could be bound now: binds it, and lets it go, within milliseconds. Nobody
 * should connect meanwhile. ERR_EXISTS: another program has it. ERR_IO: it cannot be bound. */
int link_address_is_free(const char *endpoint);

struct link_counters {
    uint64_t received_messages, received_bytes, sent_messages, sent_bytes;
    uint64_t malformed;     /* received with no data part or more than two: dropped */
    uint64_t refused_sends; /* ERR_AGAIN and ERR_NOTFOUND */
};
struct link_counters link_counters(const struct link *link);
/* Connections at present, where max_peers is set. */
uint32_t link_peers(const struct link *link);

#endif
