#include "runtime/curve.h"

#include "base/err.h"
#include "runtime/zap.h"

#include <string.h>
#include <zmq.h>

/* libzmq 4.3 takes it; its header names it for drafts alone. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

static int set_text(void *socket, int option, const char *text)
{
    return zmq_setsockopt(socket, option, text, strlen(text));
}

static int set_on(void *socket, int option)
{
    const int on = 1;
    return zmq_setsockopt(socket, option, &on, sizeof on);
}

static int has_int(void *socket, int option, int value)
{
    int now = -1;
    size_t bytes = sizeof now;
    return zmq_getsockopt(socket, option, &now, &bytes) == 0 && now == value;
}

static int has_text(void *socket, int option, const char *text)
{
    char now[ZAP_DOMAIN_BYTES] = "";
    size_t bytes = sizeof now;
    return zmq_getsockopt(socket, option, now, &bytes) == 0 && strcmp(now, text) == 0;
}

static int judge(int was_set, int holds)
{
    if (was_set && holds) return ERR_OK;
    return err_set(ERR_STATE, "%s", was_set ? "it did not take hold" : zmq_strerror(zmq_errno()));
}

int curve_client(void *socket, const struct link_security *s)
{
    int was_set = set_text(socket, ZMQ_CURVE_SERVERKEY, s->server) == 0 &&
                  set_text(socket, ZMQ_CURVE_PUBLICKEY, s->own.public_key) == 0 &&
                  set_text(socket, ZMQ_CURVE_SECRETKEY, s->own.secret) == 0;
    return judge(was_set, has_int(socket, ZMQ_MECHANISM, ZMQ_CURVE));
}

int curve_server(void *socket, const struct link_security *s)
{
    char domain[ZAP_DOMAIN_BYTES];
    zap_domain(s->roles, domain);
    int was_set = set_on(socket, ZMQ_CURVE_SERVER) == 0 &&
                  set_text(socket, ZMQ_CURVE_SECRETKEY, s->own.secret) == 0 &&
                  set_text(socket, ZMQ_ZAP_DOMAIN, domain) == 0 &&
                  set_on(socket, ZMQ_ZAP_ENFORCE_DOMAIN) == 0;
    return judge(was_set, has_int(socket, ZMQ_MECHANISM, ZMQ_CURVE) &&
                              has_int(socket, ZMQ_CURVE_SERVER, 1) &&
                              has_int(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1) &&
                              has_text(socket, ZMQ_ZAP_DOMAIN, domain));
}
