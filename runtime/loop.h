/* A loop of libuv for a command that serves until somebody ends it. */
#ifndef SLUICE_RUNTIME_LOOP_H
#define SLUICE_RUNTIME_LOOP_H

#include <signal.h>

struct uv_loop_s;

enum { LOOP_SIGNALS = 3 };

struct loop_signals { /* what was done at them */
    struct sigaction were[LOOP_SIGNALS];
};

/* ERR_NOMEM, ERR_IO. On success the caller ends with loop_close(). */
int loop_open(struct uv_loop_s **loop);
/* Run it until SIGINT, SIGTERM or SIGHUP comes; one that is ignored (nohup) ends nothing. Blocks. */
void loop_run(struct uv_loop_s *loop);
/* For work on the loop's thread that takes long and leaves nothing half done: between these two the
 * signals that end the loop end the process at once. */
void loop_begin_long(struct loop_signals *signals);
void loop_end_long(const struct loop_signals *signals);
/* What was opened on it has been closed: let it end, and free it. */
void loop_close(struct uv_loop_s *loop);

#endif
