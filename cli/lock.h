/* One run of a stream at a time. */
#ifndef SLUICE_CLI_LOCK_H
#define SLUICE_CLI_LOCK_H

#include "config/config.h"

/* Take RUN/lock, after the folder has been claimed (runtime/folder.h: its errors). It is inherited
 * by all children on purpose: as long as one of them lives, nobody else may run the stream. Where
 * the holder that the file names is dead, its children are draining: waits for them, at most 20
 * seconds, saying so. ERR_EXISTS: the text names the pid. ERR_IO. Closing *fd gives it back. */
int lock_take(const struct config *config, int *fd);

/* Whether somebody runs the stream now; *pid: who, 0 where that is not known. Changes nothing. */
int lock_held(const struct config *config, long *pid);

/* ERR_EXISTS, with the pid in the text, where somebody runs the stream now; ERR_OK where not.
 * Changes nothing; the errors of folder_check(). */
int lock_check(const struct config *config);

#endif
