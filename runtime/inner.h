/*
 * A ZeroMQ socket that talks to ZeroMQ's own threads inside this process, on the libuv loop: for
 * zap and monitor. Internal to runtime/.
 */
#ifndef SLUICE_RUNTIME_INNER_H
#define SLUICE_RUNTIME_INNER_H

struct uv_loop_s;
struct inner;

/* Watch `socket`, which inner_close() closes (so it does on failure). `readable` must receive until
 * there is nothing, also after it sent something: ZMQ_FD tells of a change alone. It is called once
 * at first. ERR_IO, ERR_NOMEM. */
int inner_open(struct uv_loop_s *loop, void *socket, void (*readable)(void *arg, void *socket),
               void *arg, struct inner **inner);
/* The loop must run once more to free it. NULL is fine. */
void inner_close(struct inner *inner);

/* One message of up to `parts` parts, without waiting: how many it had, 0: there is none. Each is
 * cut to part_bytes - 1 bytes and ends with a NUL; bytes[i] is what it had. More parts than these
 * are read and forgotten. */
int inner_receive(void *socket, char *out, int parts, int part_bytes, int *bytes);

#endif
