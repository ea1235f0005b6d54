/*
 * Whether what lies in a run's folder under the names that a run gives is the run's: of this user,
 * to be written by nobody else, no link. Looked at before anything is written there, by whoever
 * claims the folder (folder.h).
 *
 * Links are followed in three places, which other disks are for: stream.run_dir itself, `buffer`,
 * and the folder of a consumer. What they lead to is looked at in the same way.
 */
#ifndef SLUICE_RUNTIME_OURS_H
#define SLUICE_RUNTIME_OURS_H

#include "config/config.h"

/* Look at the run's folder and at all in it that has a name of made.h; consumer: the folder of one
 * more consumer than those of the configuration counts (NULL: none). Changes nothing. ERR_USAGE:
 * the text names what it is, its owner or its mode, and what to do. ERR_IO, ERR_LIMIT. */
int ours_check(const struct config *config, const char *consumer);

/* Remove temporary files of processes that died, of the names that a run gives, in a folder that
 * was claimed. Returns how many there were. Never blocks for long. */
unsigned ours_sweep(const struct config *config);

#endif
