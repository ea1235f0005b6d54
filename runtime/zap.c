#include "runtime/zap.h"

#include "base/err.h"
#include "runtime/inner.h"
#include "runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { /* parts of a request */
       PART_VERSION,
       PART_REQUEST,
       PART_DOMAIN,
       PART_ADDRESS,
       PART_ROUTING_ID,
       PART_MECHANISM,
       PART_CREDENTIALS,
       PARTS,
};
enum { PART_BYTES = 256, KEY_BINARY_BYTES = 32 };

struct zap {
    const struct keys_allow *allow;
    struct inner *inner;
    struct log_limit refused;
};

struct request {
    char part[PARTS][PART_BYTES];
    int bytes[PARTS];
};

static void answer(void *socket, const struct request *r, const char *status, const char *text,
                   const char *user)
{
    zmq_send_const(socket, "1.0", 3, ZMQ_SNDMORE);
    int request = r->bytes[PART_REQUEST] < PART_BYTES ? r->bytes[PART_REQUEST] : PART_BYTES - 1;
    zmq_send(socket, r->part[PART_REQUEST], (size_t)request, ZMQ_SNDMORE);
    zmq_send(socket, status, strlen(status), ZMQ_SNDMORE);
    zmq_send(socket, text, strlen(text), ZMQ_SNDMORE);
    zmq_send(socket, user, strlen(user), ZMQ_SNDMORE);
    zmq_send(socket, "", 0, 0);
}

static int is_well_formed(const struct request *r, int parts)
{
    return parts == PARTS && strcmp(r->part[PART_VERSION], "1.0") == 0 &&
           strcmp(r->part[PART_MECHANISM], "CURVE") == 0 &&
           r->bytes[PART_CREDENTIALS] == KEY_BINARY_BYTES && r->bytes[PART_REQUEST] < PART_BYTES;
}

static const char domain_format[] = "sluice-%u";

void zap_domain(uint32_t roles, char *out)
{
    snprintf(out, ZAP_DOMAIN_BYTES, domain_format, roles);
}

static uint32_t roles_of(const char *domain)
{
    unsigned roles;
    return sscanf(domain, domain_format, &roles) == 1 ? roles : 0;
}

static void judge(struct zap *zap, void *socket, const struct request *r, int parts)
{
    char key[KEYS_TEXT_BYTES] = "";
    if (is_well_formed(r, parts))
        zmq_z85_encode(key, (const uint8_t *)r->part[PART_CREDENTIALS], KEY_BINARY_BYTES);
    if (key[0] && (keys_allow_roles(zap->allow, key, NULL) & roles_of(r->part[PART_DOMAIN]))) {
        answer(socket, r, "200", "OK", key);
        return;
    }
    answer(socket, r, "400", "not in the allow-list, or without a role here", "");
    if (log_allowed(&zap->refused))
        log_event(
            LOG_WARN,
            "connection refused: its key is not in the allow-list, or has no role on this side",
            LOG_S("address", r->part[PART_ADDRESS]), LOG_S("key", key),
            LOG_U("suppressed", zap->refused.suppressed));
}

static void on_readable(void *arg, void *socket)
{
    struct request r;
    for (;;) {
        memset(&r, 0, sizeof r);
        int parts = inner_receive(socket, r.part[0], PARTS, PART_BYTES, r.bytes);
        if (!parts) return;
        judge(arg, socket, &r, parts);
    }
}

int zap_open(void *context, struct uv_loop_s *loop, const struct keys_allow *allow,
             struct zap **out)
{
    struct zap *zap = calloc(1, sizeof *zap);
    void *socket = zap ? zmq_socket(context, ZMQ_REP) : NULL;
    int none = 0;
    if (!socket || zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none) != 0 ||
        zmq_bind(socket, "inproc://zeromq.zap.01") != 0) {
        if (socket) zmq_close(socket);
        free(zap);
        return err_set(ERR_IO, "cannot answer who may connect (ZAP): %s",
                       zmq_strerror(zmq_errno()));
    }
    zap->allow = allow;
    int result = inner_open(loop, socket, on_readable, zap, &zap->inner);
    if (result != ERR_OK)
        free(zap);
    else
        *out = zap;
    return result;
}

void zap_close(struct zap *zap)
{
    if (!zap) return;
    inner_close(zap->inner);
    free(zap);
}
