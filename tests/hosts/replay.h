/* What a host's truth (truth.h) says that the context held in the end, slot by slot. */
#ifndef SLUICE_TESTS_HOSTS_REPLAY_H
#define SLUICE_TESTS_HOSTS_REPLAY_H

#include <stdint.h>

enum { REPLAY_SLOTS = 64, REPLAY_TOKENS = 8192 };

struct replay {
    int32_t held[REPLAY_SLOTS][REPLAY_TOKENS]; /* the token of each position */
    int count[REPLAY_SLOTS];
    long tokens; /* submitted */
    long removes, copies, shifts, loads, clears;
    int32_t saved[REPLAY_TOKENS];
    int saved_count;
};

/* Read the lines of one context. A token that leaves a gap, or stands where one is, is an error, as is a
 * line that nobody writes: ERR_FORMAT with the line's number; ERR_NOTFOUND: no file. */
int replay_read(const char *path, int context, struct replay *replay);

#endif
