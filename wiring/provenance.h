/* Where an SAE's rows came from, as an export's metadata tells it: stream, model, hooks, what was
 * left out, and the build that tells it. docs/EXPORTS.md lists the keys. */
#ifndef SLUICE_WIRING_PROVENANCE_H
#define SLUICE_WIRING_PROVENANCE_H

#include "proto/descriptor.h"

#include <jansson.h>

/* Put it into `m`; null where something is not known. `dataset`: as the configuration has it; NULL
 * or "": not told. */
void provenance_put(json_t *m, const struct descriptor *d, const char *dataset);

#endif
