/*
 * Who may come in. A feature browser shows texts of users on a port that every program of this machine
 * can reach, and through which any page of the internet could try to speak:
 *
 *   - the program that asks is of the same user (runtime/peer.h);
 *   - the host that it asks for is this one, by number or as localhost, with this port;
 *   - an Origin that it tells is that host; what changes something has to tell one;
 *   - it knows the token: in the address that was printed, once, and from then on in a cookie.
 */
#ifndef SLUICE_BROWSE_DOOR_H
#define SLUICE_BROWSE_DOOR_H

#include "browse/token.h"
#include "runtime/http.h"

struct door {
    char token[TOKEN_BYTES];
    char address[64];     /* "127.0.0.1:8080" */
    char port[8];         /* "8080" */
    char cookie_name[32]; /* cookies of a host are not told apart by port */
};

struct door_visit { /* of a request; NULL: it has none */
    const char *method, *path, *host, *origin, *cookie, *token;
};

enum door_verdict {
    DOOR_OPEN,
    DOOR_ENTER, /* the token is right: hand out the cookie, and ask for the page without it */
    DOOR_SHUT,
};

/* A new token, for a server that is bound to "127.0.0.1:8080". ERR_IO: the system gives no random
 * numbers. */
int door_open(struct door *door, const char *address);
/* What to do with a visit; *why: a sentence where it is shut. */
enum door_verdict door_judge(const struct door *door, const struct door_visit *visit,
                             const char **why);
/* http_options.may_pass of a door. */
int door_may_pass(void *arg, const struct http_request *request, struct http_reply *reply);

#endif
