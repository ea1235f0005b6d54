/* A text goes on: tokens that a model chooses one after another, with or without clamps. */
#ifndef SLUICE_INSPECT_GENERATION_H
#define SLUICE_INSPECT_GENERATION_H

#include "inspect/clamp.h"
#include "inspect/firing.h"

struct generation_options {
    const int32_t *prompt; /* (prompt_tokens), a BOS in front among them */
    uint32_t prompt_tokens;
    uint32_t tokens;    /* to generate, at most; an end-of-text token ends it */
    double temperature; /* 0: always the likeliest; else what logits are divided by */
    uint64_t seed;
};

struct generation {  /* all owned */
    uint32_t count;  /* generated */
    int32_t *tokens; /* (count) */
    double nats;     /* -log of their probabilities under the model as it ran, summed */
    double *norms;   /* of the rows at the hook as they came, but position 0 */
    uint32_t norms_count;
};

/* Run it. `clamps` NULL: the model as it is. Of the player's hooks the first is the subject's.
 * ERR_USAGE: prompt and tokens together are longer than the player takes; ERR_NOMEM; errors of
 * llama_player_feed() and clamp_rows(). The caller ends with generation_free(). */
int generation_make(const struct generation_options *options, const struct subject *subject,
                    struct llama_player *player, struct clamps *clamps,
                    struct generation *generation);
void generation_free(struct generation *generation);

/* The median of the norms; NaN: there are none. Sorts them. */
double generation_median_norm(struct generation *generation);

#endif
