/*
 * Memory that several SAEs use in turns: gradients, batch arrays, lists, scratch. Nothing in it
 * outlives a step. It is as large as the largest SAE needs; when a larger one comes it moves, and
 * each SAE lays its arrays anew before its next step.
 */
#ifndef SLUICE_SAE_WORKSPACE_H
#define SLUICE_SAE_WORKSPACE_H

#include "sae/arena.h"

struct sae_workspace {
    struct arena arena;
};

/* Room for `bytes`; what was in it is lost if it grows. ERR_NOMEM: it is as it was. */
int workspace_reserve(struct sae_workspace *workspace, size_t bytes);

#endif
