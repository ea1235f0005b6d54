/*
 * What becomes of a socket's connections, as ZeroMQ tells it (zmq_socket_monitor), on the loop.
 * Internal to runtime/.
 */
#ifndef SLUICE_RUNTIME_MONITOR_H
#define SLUICE_RUNTIME_MONITOR_H

struct uv_loop_s;
struct monitor;

enum monitor_event {
    MONITOR_ACCEPTED, /* fd: the new connection's */
    MONITOR_ENDED,    /* fd: that of one that was accepted, or made */
    MONITOR_READY,    /* a handshake has succeeded */
    MONITOR_UNKNOWN,  /* the other side does not take our key: it is not in its list */
    MONITOR_BROKEN,   /* the other side speaks another security; ZeroMQ does not come back to it */
    MONITOR_LOST,     /* the connection ended within the handshake; ZeroMQ comes back to it */
};

/* Watch `socket` until monitor_close(). `told` is called on the loop. ERR_IO, ERR_NOMEM. */
int monitor_open(void *context, struct uv_loop_s *loop, void *socket,
                 void (*told)(void *arg, enum monitor_event event, int fd), void *arg,
                 struct monitor **monitor);
/* Before the socket is closed; the loop must run once more. NULL is fine. */
void monitor_close(struct monitor *monitor);

#endif
