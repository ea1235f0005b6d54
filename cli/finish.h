/* `sluice finish FILE`: a live run comes to its end (runtime/finish.h says how). */
#ifndef SLUICE_CLI_FINISH_H
#define SLUICE_CLI_FINISH_H

#include "config/config.h"

#include <stddef.h>

/* "finishing" where it was asked for and the run is not finished, else "": out[bytes]. Looks at the
 * disk. */
void finish_notice(const struct config *config, char *out, size_t bytes);

#endif
