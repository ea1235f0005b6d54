/* What a trainer is at, in its report, so that `sluice up` names it. The training's thread. */
#ifndef SLUICE_TRAINER_STAGE_H
#define SLUICE_TRAINER_STAGE_H

#include "proto/phase.h"
#include "trainer/state.h"

/* It is at this phase from now on, and so far (rows of `size`; 0: not known). */
void stage_enter(struct training *training, enum phase_of_trainer phase, uint64_t done,
                 uint64_t size);
/* It waits for rows: for those of its first batch in this life, or between two steps. */
void stage_wait(struct training *training);

#endif
