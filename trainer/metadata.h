/* What an export's metadata says beside what a loader needs: how it was trained, on which rows, how
 * well it does, and of which model they are. docs/EXPORTS.md lists the keys. */
#ifndef SLUICE_TRAINER_METADATA_H
#define SLUICE_TRAINER_METADATA_H

#include "trainer/state.h"

/* Of SAE i, whose hooks are whitened so (NULL: not at all): an object, null where something is not
 * known; the caller decrefs. NULL: no memory. */
json_t *metadata_of(const struct training *t, uint32_t i, const struct whiten *whiten);

#endif
