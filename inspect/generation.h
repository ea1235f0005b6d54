/* A text goes on: tokens that a model chooses one after another, with or without clamps. */
#ifndef SLUICE_INSPECT_GENERATION_H
#define SLUICE_INSPECT_GENERATION_H

#include "inspect/steering.h"

struct generation_options {
    const int32_t *prompt; /* (prompt_tokens), a BOS in front among them */
    uint32_t prompt_tokens;
    uint32_t tokens;    /* to generate, at most; an end-of-text token ends it */
    double temperature; /* 0: always the likeliest; else what logits are divided by */
    uint64_t seed;
    void (*progress)(void *arg); /* after each token; NULL: nobody is told */
    void *arg;
};

struct generation {  /* all owned */
    uint32_t count;  /* generated */
    int32_t *tokens; /* (count) */
    double nats;     /* -log of their probabilities under the model as it ran, summed */
    uint32_t hooks;
    double *norms[STEERING_MOST]; /* of the rows at each hook as they came, but position 0 */
    uint32_t norms_count[STEERING_MOST];
};

enum generation_way {
    GENERATION_ALONE,   /* no row is looked at: the model as fast as it is. No norms */
    GENERATION_WATCHED, /* the model as it is; norms are taken */
    GENERATION_STEERED
};

/* Run it. The player's hooks are those of steering_hooks(); GENERATION_ALONE needs no steering.
 * ERR_LIMIT: prompt and tokens together are longer than the player takes; ERR_NOMEM; errors of
 * llama_player_feed() and clamp_rows(). The caller ends with generation_free(). */
int generation_make(const struct generation_options *options, struct llama_player *player,
                    struct steering *steering, enum generation_way way,
                    struct generation *generation);
void generation_free(struct generation *generation);

/* The median of the norms at a hook; NaN: there are none. Sorts them. */
double generation_median_norm(struct generation *generation, uint32_t hook);

#endif
