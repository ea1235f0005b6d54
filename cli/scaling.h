/* The scaling picture of a sweep: held-out loss against training compute, one line an autoencoder,
 * and the share of dead features against width. */
#ifndef SLUICE_CLI_SCALING_H
#define SLUICE_CLI_SCALING_H

#include "cli/outcome.h"

#include <stdio.h>

/* Write it as SVG. Errors stay in the FILE. ERR_NOMEM. */
int scaling_draw(const struct outcomes *outcomes, FILE *out);

#endif
