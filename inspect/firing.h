/* Which features fire at each token of a text. */
#ifndef SLUICE_INSPECT_FIRING_H
#define SLUICE_INSPECT_FIRING_H

#include "engine/llama_player.h"
#include "inspect/subject.h"

struct firing {         /* all owned */
    uint32_t count;     /* tokens, a BOS in front among them */
    int32_t *tokens;    /* (count) */
    uint32_t counted;   /* of them, not left out */
    uint8_t *left_out;  /* (count): what the SAE is not trained on: subject_keeps() */
    float *rows;        /* (count, subject->width) raw */
    struct pairs pairs; /* of each token */
};

/* A text's tokens, with BOS in front where the SAE's rows had it (where it does not tell: as the
 * model's file says). *tokens is malloc'ed. ERR_USAGE: not UTF-8, no token, or more than `most`;
 * ERR_NOMEM. */
int firing_tokens(const struct subject *subject, struct llama_runner *runner, const char *text,
                  uint32_t most, int32_t **tokens, uint32_t *count);

/* Run a text through the model and the SAE. `hooks` are those the player was opened with: the
 * subject's, in its order. Errors of firing_tokens(), llama_player_feed() and subject_encode(). The
 * caller ends with firing_free(). Blocks while the model runs. */
int firing_make(struct subject *subject, struct llama_player *player,
                const struct llama_hooks *hooks, const char *text, uint32_t most,
                struct firing *firing);
void firing_free(struct firing *firing);

/* Whether the hooks have the SAE's widths in this model. ERR_USAGE. */
int firing_check_widths(const struct subject *subject, const struct llama_hooks *hooks);

struct firing_at { /* a feature at a token */
    uint32_t feature;
    float value;
};
/* The strongest features of token `row`, at most `most` of them, into out[most]; how many. Of equal
 * ones the lower number comes first. */
uint32_t firing_strongest(const struct firing *firing, uint32_t row, uint32_t most,
                          struct firing_at *out);

/* The subject's hooks, as the engine takes them. ERR_USAGE: a name that is none. */
int firing_hooks(const struct subject *subject, struct llama_hooks *hooks);

#endif
