/*
 * A folder that a command makes: written beside its place, and put there whole, so that nobody sees
 * half of it. It must be an empty folder, or not there yet.
 */
#ifndef SLUICE_CLI_PLACE_H
#define SLUICE_CLI_PLACE_H

#include <limits.h>

struct place {
    char dir[PATH_MAX];    /* where it is to be, without slashes at its end */
    char folder[PATH_MAX]; /* where it is made: DIR.PID.tmp */
};

/* Whether `given` may be made; said before anything is read. ERR_USAGE: it is there and not an empty
 * folder, or the path is empty or too long. */
int place_check(const char *given, struct place *place);
/* Make place->folder. ERR_IO. */
int place_begin(const struct place *place);
/* Sync what was made and put it in its place where `result` is ERR_OK, else remove it. Gives `result`,
 * with its text, or ERR_USAGE, ERR_NOSPC, ERR_IO where it cannot be put there. */
int place_end(const struct place *place, int result);

#endif
