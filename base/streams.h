/*
 * Standard descriptors. Whoever starts a program may have closed 0, 1 or 2. Then the next file that
 * is opened gets that number: a lock is read as standard input, or a printf writes over a log or a
 * buffer.
 */
#ifndef SLUICE_BASE_STREAMS_H
#define SLUICE_BASE_STREAMS_H

/* Call this first in main(), before anything is opened: each of 0, 1 and 2 that is closed becomes
 * one that stands for nothing. What is read from 0 and written to 1 fails with EBADF, as if they
 * were still closed, so that it is told; what is written to 2 is lost: nobody is there to be told.
 * Programs that are started from here inherit that. Ends the process (exit code 1) where the system
 * has no descriptor left. */
void streams_open(void);

/* Whether something can be read from standard input: not if it was closed. */
int streams_has_input(void);

#endif
