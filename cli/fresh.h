/* `--fresh`: what an earlier run left is removed. */
#ifndef SLUICE_CLI_FRESH_H
#define SLUICE_CLI_FRESH_H

#include "config/config.h"

/* Remove what runs have made in the run's folder (config/made.h) but its lock and marker: the
 * buffer, those that were set aside, descriptor, logs, addresses, sockets, and the folders of the
 * consumers that the configuration names. The folder must be claimed and locked. Whatever else lies
 * there stays, and is named on stderr. Follows no link: where buffer, a consumer's folder or the
 * like is one, nothing is removed. ERR_USAGE: such a link; ERR_IO, with what could not be
 * removed. */
int fresh_start(const struct config *config);

#endif
