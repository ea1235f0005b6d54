#include "runtime/inner.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <zmq.h>

struct inner {
    uv_poll_t poll;
    void *socket;
    void (*readable)(void *arg, void *socket);
    void *arg;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct inner *inner = poll->data;
    (void)status;
    (void)events;
    inner->readable(inner->arg, inner->socket);
}

int inner_open(uv_loop_t *loop, void *socket, void (*readable)(void *arg, void *socket), void *arg,
               struct inner **out)
{
    int fd;
    size_t bytes = sizeof fd;
    struct inner *inner = calloc(1, sizeof *inner);
    if (!inner) {
        zmq_close(socket);
        return err_set(ERR_NOMEM, "no memory to watch ZeroMQ");
    }
    *inner = (struct inner){.socket = socket, .readable = readable, .arg = arg};
    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &bytes) != 0 ||
        uv_poll_init(loop, &inner->poll, fd) != 0) {
        zmq_close(socket);
        free(inner);
        return err_set(ERR_IO, "cannot watch ZeroMQ");
    }
    inner->poll.data = inner;
    if (uv_poll_start(&inner->poll, UV_READABLE, on_poll) != 0) {
        inner_close(inner);
        return err_set(ERR_IO, "cannot watch ZeroMQ");
    }
    uv_unref((uv_handle_t *)&inner->poll); /* what it serves keeps the loop alive */
    readable(arg, socket);
    *out = inner;
    return ERR_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void inner_close(struct inner *inner)
{
    if (!inner) return;
    uv_close((uv_handle_t *)&inner->poll, on_closed); /* before its descriptor is another's */
    zmq_close(inner->socket);
}

int inner_receive(void *socket, char *out, int parts, int part_bytes, int *bytes)
{
    int n = 0, more = 1;
    while (more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            return 0;
        }
        more = zmq_msg_more(&part);
        if (n < parts) {
            size_t size = zmq_msg_size(&part), room = (size_t)part_bytes - 1;
            char *to = out + (size_t)n * (size_t)part_bytes;
            size_t taken = size < room ? size : room;
            memcpy(to, zmq_msg_data(&part), taken);
            to[taken] = '\0';
            bytes[n] = (int)size;
        }
        n++;
        zmq_msg_close(&part);
    }
    return n < parts ? n : parts;
}
