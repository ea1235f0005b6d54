/* A loop of libuv for a command that serves until somebody ends it. */
#ifndef SLUICE_RUNTIME_LOOP_H
#define SLUICE_RUNTIME_LOOP_H

struct uv_loop_s;

/* ERR_NOMEM, ERR_IO. On success the caller ends with loop_close(). */
int loop_open(struct uv_loop_s **loop);
/* Run it until SIGINT, SIGTERM or SIGHUP comes. Blocks. */
void loop_run(struct uv_loop_s *loop);
/* What was opened on it has been closed: let it end, and free it. */
void loop_close(struct uv_loop_s *loop);

#endif
