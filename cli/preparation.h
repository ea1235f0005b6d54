/* What `sluice check` foretells of the model that a capture prepares first. */
#ifndef SLUICE_CLI_PREPARATION_H
#define SLUICE_CLI_PREPARATION_H

#include "config/config.h"

/* Print it, and a warning where the disk of the cache or the memory does not have the room; nothing
 * where nothing is prepared. Tries the model in a child process. Errors of source_forecast(). */
int preparation_print(const struct config *config);

#endif
