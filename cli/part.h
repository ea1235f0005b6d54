/* Which processes of a pipeline run on this host: all, or those that `--only` names. */
#ifndef SLUICE_CLI_PART_H
#define SLUICE_CLI_PART_H

#include "wiring/processes.h"

struct part {
    int has[PROCESS_KINDS];
};

/* "broker,sink" to those two; NULL to all. ERR_USAGE: no such process; a sink without its trainers,
 * or they without it: they share the buffer's files. */
int part_parse(const struct config *config, const char *only, struct part *part);

#endif
