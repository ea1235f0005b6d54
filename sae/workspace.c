#include "sae/workspace.h"

#include "base/err.h"
#include "sae/sae.h"

#include <stdlib.h>

int sae_workspace_new(struct sae_workspace **out)
{
    struct sae_workspace *workspace = calloc(1, sizeof *workspace);
    if (!workspace) return err_set(ERR_NOMEM, "no memory for a workspace");
    workspace->arena.shared = 1;
    *out = workspace;
    return ERR_OK;
}

void sae_workspace_free(struct sae_workspace *workspace)
{
    if (!workspace) return;
    arena_close(&workspace->arena);
    free(workspace);
}

int workspace_reserve(struct sae_workspace *workspace, size_t bytes)
{
    if (bytes <= workspace->arena.size && workspace->arena.base) return ERR_OK;
    struct arena grown = {.used = bytes, .shared = workspace->arena.shared};
    int result = arena_open(&grown);
    if (result != ERR_OK) return result;
    arena_close(&workspace->arena);
    workspace->arena = grown;
    return ERR_OK;
}
