#include "runtime/monitor.h"

#include "base/err.h"
#include "runtime/inner.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { PARTS = 2, PART_BYTES = 256 };

static const int watched = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED |
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

static atomic_uint monitors;

struct monitor {
    void *watched; /* the socket */
    struct inner *inner;
    void (*told)(void *arg, enum monitor_event event, int fd);
    void *arg;
};

static void tell(struct monitor *m, uint16_t event, int32_t value)
{
    switch (event) {
    case ZMQ_EVENT_ACCEPTED:
        m->told(m->arg, MONITOR_ACCEPTED, value);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        m->told(m->arg, MONITOR_ENDED, value);
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        m->told(m->arg, MONITOR_READY, -1);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        m->told(m->arg, MONITOR_UNKNOWN, -1);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        m->told(m->arg, MONITOR_BROKEN, -1);
        break;
    default:
        m->told(m->arg, MONITOR_LOST, -1);
        break;
    }
}

/* An event is its number (u16) and a value (i32), and the address as a second part. */
static void on_readable(void *arg, void *socket)
{
    char part[PARTS][PART_BYTES];
    int bytes[PARTS];
    while (inner_receive(socket, part[0], PARTS, PART_BYTES, bytes)) {
        uint16_t event;
        int32_t value;
        if (bytes[0] < (int)(sizeof event + sizeof value)) continue;
        memcpy(&event, part[0], sizeof event);
        memcpy(&value, part[0] + sizeof event, sizeof value);
        tell(arg, event, value);
    }
}

int monitor_open(void *context, struct uv_loop_s *loop, void *socket,
                 void (*told)(void *arg, enum monitor_event event, int fd), void *arg,
                 struct monitor **out)
{
    struct monitor *m = calloc(1, sizeof *m);
    char address[64];
    int none = 0;
    if (!m) return err_set(ERR_NOMEM, "no memory to watch connections");
    *m = (struct monitor){.watched = socket, .told = told, .arg = arg};
    /* A name of its own: ZeroMQ forgets one that is over when it comes to it. */
    snprintf(address, sizeof address, "inproc://monitor-%u", atomic_fetch_add(&monitors, 1));
    void *reader = zmq_socket(context, ZMQ_PAIR);
    /* Without a bound: an event that finds no room would stop ZeroMQ's thread. */
    if (!reader || zmq_setsockopt(reader, ZMQ_RCVHWM, &none, sizeof none) != 0 ||
        zmq_setsockopt(reader, ZMQ_LINGER, &none, sizeof none) != 0 ||
        zmq_socket_monitor(socket, address, watched) != 0 || zmq_connect(reader, address) != 0) {
        int result = err_set(ERR_IO, "cannot watch connections: %s", zmq_strerror(zmq_errno()));
        if (reader) zmq_close(reader);
        free(m);
        return result;
    }
    int result = inner_open(loop, reader, on_readable, m, &m->inner);
    if (result != ERR_OK)
        free(m);
    else
        *out = m;
    return result;
}

void monitor_close(struct monitor *m)
{
    if (!m) return;
    zmq_socket_monitor(m->watched, NULL, 0);
    inner_close(m->inner);
    free(m);
}
