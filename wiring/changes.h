/*
 * What a run was trained with, and from which step on. Settings that a resume may change (rates,
 * lambda, batch, plan, ...) are written into every checkpoint with the list of all changes before
 * it, so that summary, history and exports tell a run as it was.
 *
 * Settings are JSON, in the words of the configuration: {"trainer": {key: value}, "saes": [{key:
 * value}, ...]}, in force at the end of the list. A change is {"sae": index, or null for a key of
 * the trainer's, "key", "from_step", "from_rows", "old", "new"}: `new` holds for the steps made
 * after from_step, when from_rows rows had been trained on. Changes are in order of from_step.
 */
#ifndef SLUICE_WIRING_CHANGES_H
#define SLUICE_WIRING_CHANGES_H

#include "wiring/plan.h"

#include <jansson.h>

enum { CHANGES_OF_TRAINER = -1 };

/* The settings of today; the caller decrefs. `kernels` as sae_kernels() names them. ERR_NOMEM. */
int changes_settings(const struct config *config, const struct plan *plan, const char *kernels,
                     json_t **settings);

/* Those that a checkpoint of an older build tells: of its SAEs' options (count of them) alone. */
json_t *changes_settings_of(const struct sae_options *options, uint32_t count);

/* Append to `changes` what differs between `then` and `now`, from this step on. A key that `then`
 * does not know is no change. A change of the same step is joined with, and where that leads back,
 * taken out: nothing was trained between. ERR_NOMEM. */
int changes_add(json_t *changes, const json_t *then, const json_t *now, uint64_t steps,
                uint64_t rows);

/* A new list of those of one SAE, or CHANGES_OF_TRAINER; the caller decrefs. NULL: no memory. */
json_t *changes_of(const json_t *changes, int sae);

/* One line in the log for each change of this step. */
void changes_log(const json_t *changes, uint64_t steps);

#endif
