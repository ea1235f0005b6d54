/*
 * One text through the model twice: as it is, with its logits kept, and steered, compared with these.
 * KL is KL(model || steered model) of the next token, in nats.
 */
#ifndef SLUICE_INSPECT_READING_H
#define SLUICE_INSPECT_READING_H

#include "inspect/steering.h"

enum { READING_MOST_TOKENS = 512 }; /* whose logits are kept: 4 bytes times the vocabulary each */

struct reading {           /* all owned */
    uint32_t first, count; /* predictions that are kept: those made at these positions */
    uint32_t tokens;
    int32_t *token; /* (tokens) */
    uint32_t vocabulary;
    float *logits;     /* (count, vocabulary): of the model as it is */
    double *log_sum;   /* (count) */
    double nats;       /* -log of the probabilities of the tokens that follow, summed ... */
    uint32_t followed; /* ... over so many: the last token of a text is followed by none */
    uint32_t hooks;
    float *rows[STEERING_MOST]; /* (tokens, width) of each hook, as they came */
};

/* Run the text through the model as it is, and keep the predictions made from position `first` on.
 * The player's hooks are those of steering_hooks(). ERR_LIMIT: over READING_MOST_TOKENS of them;
 * ERR_NOMEM; errors of llama_player_feed(). The caller ends with reading_free(). */
int reading_make(const int32_t *tokens, uint32_t count, uint32_t first,
                 const struct steering *steering, struct llama_player *player,
                 struct reading *reading);
void reading_free(struct reading *reading);

/* The same text steered: *kl is the sum over the predictions. Rows count into the clamps. */
int reading_compare(const struct reading *reading, struct steering *steering,
                    struct llama_player *player, double *kl);

/* At how many of the tokens from position `from` on each feature that is steered fires in the model
 * as it is, summed over the features. Errors of subject_encode(). */
int reading_firings(const struct reading *reading, const struct steering *steering, uint32_t from,
                    uint64_t *firings);

#endif
