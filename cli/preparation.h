/* What `sluice check` foretells of the model that a capture prepares first. */
#ifndef SLUICE_CLI_PREPARATION_H
#define SLUICE_CLI_PREPARATION_H

#include "engine/engine.h"

/* Print it, and a warning where the disk of the cache does not have the room; nothing where nothing
 * is prepared. */
void preparation_print(const struct engine_forecast *forecast);

#endif
