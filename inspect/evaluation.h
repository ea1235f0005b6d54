/*
 * The three passes of an evaluation: each context through the model as it is, with the SAE's
 * reconstruction in place of the hook's rows, and with 0 in their place. Rows of special tokens keep
 * what the model made where the SAE is spliced in, and so do position 0 and rows beyond the SAE's norm
 * limit unless it is told otherwise, as trainings leave them out; 0 replaces all. What keeps its row is
 * in no sum.
 */
#ifndef SLUICE_INSPECT_EVALUATION_H
#define SLUICE_INSPECT_EVALUATION_H

#include "engine/llama_player.h"
#include "inspect/fidelity.h"
#include "inspect/subject.h"

struct evaluation;

/* All are lent; `hooks` are the player's: the subject's, in its order. ERR_USAGE: the SAE is no
 * dictionary, or the hook has another width in this model; ERR_NOMEM. The caller closes it. */
int evaluation_open(struct subject *subject, struct llama_player *player,
                    const struct llama_hooks *hooks, uint32_t context_tokens, int splices_first,
                    struct evaluation **evaluation);
/* Run a context of at most context_tokens, and add what it gives. Errors of llama_player_feed() and
 * subject_encode(). Blocks while the model runs, three times; twice where 0 was found to give the
 * same in every context. */
int evaluation_add(struct evaluation *evaluation, const int32_t *tokens, uint32_t count,
                   struct fidelity *fidelity);
void evaluation_close(struct evaluation *evaluation);

#endif
