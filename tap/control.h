/*
 * The tap is talked to while the program runs: one thread serves a unix socket in a folder of this
 * user's alone (proto/tap_folder.h). All signals are blocked in that thread, so that the program's own
 * threads get them as ever. One request is served at a time, of a bounded size and in a bounded time; a
 * program of another user gets no word, and is counted.
 *
 * A child that was forked has no such thread, and leaves its parent's socket alone.
 */
#ifndef SLUICE_TAP_CONTROL_H
#define SLUICE_TAP_CONTROL_H

/* Serve from now on. Once it serves, or was tried, it does nothing more. Any thread. ERR_USAGE: no
 * folder can be had; ERR_IO, ERR_EXISTS, ERR_LIMIT, ERR_NOMEM: the program is tapped without. */
int control_start(void);

/* Take the socket away. At the program's end; does nothing in a forked child. Waits for a request that is
 * under way, a tenth of a second at most. */
void control_stop(void);

#endif
