/* Which processes of a pipeline run on this host: all, or those that `--only` names. */
#ifndef SLUICE_CLI_PART_H
#define SLUICE_CLI_PART_H

#include "wiring/processes.h"

struct part {
    int has[PROCESS_KINDS];
    const char *only; /* as it was given; NULL: all */
};

/* "broker,sink" to those two, "capture-1" to the second of captures; NULL to all. `only` outlives
 * it. ERR_USAGE: no such process; a sink without its trainers, or they without it: they share the
 * buffer's files. */
int part_parse(const struct config *config, const char *only, struct part *part);
/* Whether the process of that name ("capture-1") is among them. */
int part_has(const struct part *part, enum process_kind kind, const char *name);

#endif
