/*
 * A descriptor that is kept in somebody else's program. A program that closes all descriptors it does
 * not know (a daemon, before it forks) closes ours, and its next file has that number.
 */
#ifndef SLUICE_BASE_HELD_H
#define SLUICE_BASE_HELD_H

#include <sys/types.h>

struct held {
    int fd; /* -1: none */
    dev_t device;
    ino_t inode;
};

#define HELD_NONE                                                                                  \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Keep fd, which is a file, a socket or a pipe (all eventfds and their like have one inode); -1: none. */
void held_take(struct held *held, int fd);

/* Whether its number is still that file's. */
int held_is(const struct held *held);

/* Close it, unless its number is another file's by now; it holds none then. */
void held_close(struct held *held);

#endif
