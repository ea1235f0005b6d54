/*
 * Which features push towards a next token. Two answers, which need not agree:
 *
 *   direct   what a feature's value at the last token adds to the token's logit straight through the
 *            residual stream, the final norm held where it is (inspect/lens.h). What later layers
 *            make of it is not in it; earlier tokens have none.
 *   ablated  how much the logit falls when the feature's part is taken out of the rows of all tokens
 *            and the model goes on from there: x - f_i W_dec,i, the error of the SAE kept. Special
 *            tokens and position 0 keep their rows, and what fires there does not count.
 *
 * Logits are told less their mean over the vocabulary.
 */
#ifndef SLUICE_INSPECT_ATTRIBUTION_H
#define SLUICE_INSPECT_ATTRIBUTION_H

#include "inspect/firing.h"
#include "inspect/lens.h"

struct attribution_watch { /* of the passes, which take long */
    void (*done)(void *arg, size_t passes, size_t all);
    void *arg;
};

struct attribution {
    uint32_t feature;
    float value;    /* at the last token; 0: it fires at earlier ones alone */
    uint32_t fires; /* tokens at which it does */
    double direct, ablated;
};

struct attributions {
    double logit, probability; /* of the token, as the model has it */
    int32_t likeliest;         /* the token that it would choose */
    size_t count;
    struct attribution *of; /* (count), the largest of |direct| and |ablated| first; owned */
};

/* Of a text that fired so (`hook` is the SAE's in the player's list) and a token. Only the `most`
 * features with the largest direct effects, and as many of the others with the largest values over all
 * tokens, are ablated: each takes a pass of the whole text, after which `watch` is told (NULL: nobody
 * is). The caller frees `of`. ERR_USAGE: no such token, no token of the text that counts, or the SAE
 * does not write into the residual stream; ERR_NOMEM; errors of llama_player_feed(). */
int attribution_make(struct subject *subject, struct lens *lens, uint32_t hook,
                     const struct firing *firing, int32_t token, uint32_t most,
                     const struct attribution_watch *watch, struct attributions *attributions);

/* How well both agree: how many have one sign in both, of those that have both; and Spearman's
 * correlation of ranks over them (NaN: fewer than three). */
struct attribution_agreement {
    size_t both, same_sign;
    double ranks;
};
struct attribution_agreement attribution_agree(const struct attributions *attributions);

#endif
