/* The logit lens of the model of an SAE, for commands that tell which tokens features promote. */
#ifndef SLUICE_CLI_LENS_H
#define SLUICE_CLI_LENS_H

#include "cli/subject.h"
#include "inspect/lens.h"

struct own_lens { /* all owned */
    struct llama_hooks hooks;
    struct llama_player *player;
    struct lens lens;
};

/* Load the model of subject_unembedding() and open the lens. Errors of subject_unembedding(),
 * llama_runner_try(), llama_player_open() and lens_open(). Blocks for seconds. On success the caller
 * ends with own_lens_close(). `own` stays where it is. */
int own_lens_open(const struct options *options, const struct subject *subject,
                  struct own_lens *own);
/* Passes over one that is all 0. */
void own_lens_close(struct own_lens *own);

#endif
