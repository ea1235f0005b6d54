/*
 * The logit lens: what a direction of the residual stream does to the logits by itself, through the
 * final norm and the unembedding. The model computes it: rows of its last layer are replaced by
 * directions. Of an RMS norm, norm(x) = g x / rms(x), so with the norm's divisor held at that of a
 * row x, adding d to x adds U g d / rms(x) to the logits; of a layer norm d is centred first and the
 * divisor is the standard deviation. Which of the two the model has is found by trying.
 */
#ifndef SLUICE_INSPECT_LENS_H
#define SLUICE_INSPECT_LENS_H

#include "engine/llama_player.h"

struct lens {
    struct llama_player *player;
    const struct llama_hooks *hooks;
    uint32_t hook; /* of the player's: the residual stream after the last layer */
    uint32_t width, vocabulary;
    int centres;   /* a layer norm */
    float *rows;   /* (PLAYER_PASS_TOKENS, width) */
    float *halves; /* (PLAYER_PASS_TOKENS, vocabulary): see lens_read() */
};

/* The name of that hook, for the player's list: "resid_post.29". Writes out[64]. */
void lens_hook(int32_t layers, char out[64]);

/* `hook` is which of the player's hooks it is. Clears the player's sequence. ERR_NOMEM, and errors of
 * llama_player_feed(). lens_close() frees; the player stays. */
int lens_open(struct llama_player *player, const struct llama_hooks *hooks, uint32_t hook,
              struct lens *lens);
void lens_close(struct lens *lens);

/* What the final norm divides by at this row (width). */
double lens_divisor(const struct lens *lens, const float *row);

/* Of each of n directions (n, width) what it adds to the logits where the norm divides by 1, less the
 * mean over the vocabulary, which no probability sees: told one direction at a time, in order, as
 * (vocabulary) values that may be changed. Clears the player's sequence. Errors of
 * llama_player_feed(). Two passes of the whole model for each 128 directions. */
int lens_read(struct lens *lens, const float *directions, uint32_t n,
              void (*take)(void *arg, uint32_t index, float *logits), void *arg);

#endif
