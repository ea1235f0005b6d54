/*
 * What a strength of steering does to a model: how far from itself it goes, what becomes of its texts,
 * and the same of random directions as long, as control. Each number is over the same texts, which
 * begin with one prompt and have one seed each.
 *
 *   KL on its own text    of KL(model || steered) at each generated token, the mean in nats: both
 *                         read the text that the steered model generated
 *   KL on a given text    the same at each token but the first of a text that is the same for all
 *   perplexity            exp of the mean -log probability of the generated tokens under the model as
 *                         it is: a steered text that it finds unlikely has a high one
 *   repetition            of the runs of four generated tokens the share that was there before in the
 *                         same text
 *   fires                 how often the features fire where the model as it is reads the steered text:
 *                         of generated tokens, the mean over features. What the text is about, and not
 *                         what the clamp put there
 *   moved                 the mean length that a row was moved by
 */
#ifndef SLUICE_INSPECT_DOSE_H
#define SLUICE_INSPECT_DOSE_H

#include "inspect/generation.h"
#include "inspect/reading.h"

struct dose_options {
    struct generation_options how; /* its seed is the first text's; the others' follow */
    uint32_t texts;
    const int32_t *given; /* (given_tokens) */
    uint32_t given_tokens;
    const uint8_t *given_spared; /* (given_tokens): positions that keep their rows */
    uint64_t control_seed;
};

struct dose {
    double strength;
    double kl_own, kl_given; /* nats per token */
    double perplexity;
    double repetition; /* NaN: all texts are shorter than four tokens */
    double fires;
    double moved, share;              /* length; of the median norm of rows at the hook */
    uint64_t steered_rows, generated; /* of the texts: rows that were steered; tokens */
};

struct doses {
    struct dose_options options;
    const struct steering *steering; /* at strength 1 */
    struct llama_player *player;
    struct reading given;              /* owned */
    float *random[STEERING_MOST];      /* (clamps, width) for each hook; owned */
    double median_norm[STEERING_MOST]; /* of rows at each hook, of unsteered texts */
};

/* Read the given text, make the random directions, and measure norms over one unsteered text. The
 * player's hooks are those of steering_hooks(); steering and player must outlive it. ERR_NOMEM,
 * ERR_LIMIT, and errors of generation_make(). On success the caller ends with doses_close(). */
int doses_open(const struct dose_options *options, const struct steering *steering,
               struct llama_player *player, struct doses *doses);
void doses_close(struct doses *doses);

/* Measure a strength; of the control, with random directions. Strength 0 is the model as it is.
 * Blocks while the model writes. Errors as above. */
int dose_measure(const struct doses *doses, double strength, int is_control, struct dose *dose);

/* Of n tokens the runs of four that were there before, and how many runs there are. */
void dose_repeats(const int32_t *tokens, uint32_t n, uint32_t *repeats, uint32_t *runs);

#endif
