/* Whether a run waits for room on a disk, in words. */
#ifndef SLUICE_CLI_DISK_H
#define SLUICE_CLI_DISK_H

#include "cli/snapshot.h"

#include <stddef.h>

/* "the disk of RUN/buffer is full: 0.1 MB free, needs 0.3 MB; capture waits", out of what the
 * processes report, or, where they say nothing (yet), of what the disk of the run folder says.
 * Returns whether there is something to tell; else out[] is "". Looks at the disk. */
int disk_notice(const struct config *config, const struct snapshot *snapshot, char *out,
                size_t bytes);

#endif
