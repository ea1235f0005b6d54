/*
 * A slot of a batched host, as servers have them: a conversation whose last part is generated
 * greedily. Holds: position of a token = its index in `text`; the context has text[0 .. held - 1] of
 * this slot, and what follows is submitted next.
 */
#ifndef SLUICE_TESTS_HOSTS_SLOT_H
#define SLUICE_TESTS_HOSTS_SLOT_H

#include "tests/hosts/batch.h"

#include <stddef.h>
#include <stdint.h>

struct slot {
    int id;
    llama_token *text; /* room for `room` tokens */
    int room, count, held;
    int shared;        /* tokens at the start that all slots have: the system prompt */
    int drafted;       /* at the end of the text: guesses, of which the model may reject a tail */
    int first_answer;  /* index in the batch of the first token with logits; -1: none */
    int turn;          /* of the conversation, from 0; the caller's */
    int wanted;        /* tokens that this turn has left to generate */
    llama_token *said; /* what it generated, all turns; room for `said_room` */
    int said_room, said_count;
    struct {
        uint8_t *bytes; /* NULL: nothing is kept */
        size_t size;
        llama_token *text;
        int count, held, turn, wanted, said_count;
    } kept;
};

/* `room`: tokens of text; `said_room`: of what it generates. */
void slot_open(struct slot *slot, int id, int room, int said_room);
void slot_close(struct slot *slot);

/* Put tokens behind the text, and `wanted` tokens are to be generated behind these. */
void slot_ask(struct slot *slot, const llama_token *tokens, int count, int wanted);
/* Guess up to `most` tokens: what followed when the last two tokens stood together before. */
void slot_guess(struct slot *slot, int most);
/* Add what the context has not yet, at most `room` tokens; returns how many. */
int slot_submit(struct slot *slot, struct batch *batch, int room);
/* After the batch: take what the model says, and remove the guesses that it rejected from the
 * context. Returns the number of tokens generated. */
int slot_hear(struct slot *slot, struct batch *batch);

/* Remove all but the system prompt from the context; the text is submitted again. */
void slot_forget(struct slot *slot, struct batch *batch);
/* Remove half of what follows the system prompt from the middle, and move the rest down. */
void slot_shift(struct slot *slot, struct batch *batch);
/* Save the slot's state, and go back to it: whatever it generated since is generated again. */
void slot_keep(struct slot *slot, struct batch *batch);
void slot_go_back(struct slot *slot, struct batch *batch);

#endif
