/* `sluice up FILE`: the whole pipeline on this machine, from start or resume to summary. */
#ifndef SLUICE_CLI_UP_H
#define SLUICE_CLI_UP_H

#include "config/config.h"
#include "runtime/options.h"

#include <stdio.h>

/* What shows a finished run's results. */
typedef int up_report(const struct config *config, FILE *out);

/* Run it. Blocks until the run has finished, failed, or was stopped. ERR_OK: finished, or drained
 * after a signal. ERR_EXISTS: the stream is run already (text: by which process). */
int up_run(const struct options *options, const struct config *config, up_report *report);

/* The same with the table of report_print(). */
int up_command(const struct options *options, const struct config *config);

#endif
