/* What can be told of a pipeline without opening its engine: `check` and `up` ask the same. */
#ifndef SLUICE_CLI_PREFLIGHT_H
#define SLUICE_CLI_PREFLIGHT_H

#include "cli/part.h"

/* Of the processes that run on this host: each section against what its process cannot do without,
 * the environment, the run's folder, model and corpus files, standard input where it is the corpus.
 * All that is wrong is told: the earlier ones on stderr, the last in err_text(), with the code of
 * the first. Writes nothing; reads folders and the heads of files. */
int preflight(const struct config *config, const struct part *part);

#endif
