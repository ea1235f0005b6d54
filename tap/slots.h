/*
 * The sequences of a llama.cpp context: which tokens of a slot (a seq_id) belong together. Bookkeeping
 * alone; knows no llama.cpp.
 *
 * A slot lives in generations. While one lasts, positions only grow, and nothing that the cache holds
 * below them changes. So (sequence, position) never names two rows, where `sequence` is a number that a
 * generation is given with its first captured token. A generation ends when its slot is cleared,
 * shifted, divided, copied to, loaded, loses tokens, or has been in a pass that failed; and with a token
 * at or below a position that it has submitted.
 */
#ifndef SLUICE_TAP_SLOTS_H
#define SLUICE_TAP_SLOTS_H

#include <stdint.h>

#define SLOT_NOWHERE INT32_MAX
#define SLOT_NO_TEXT UINT32_MAX /* nothing is there to be looked at */
enum { SLOT_PAST = 32 };        /* tokens that a rejected speculation has at most, and some */

/* By what a token's rows are other than the model's own. */
enum slot_change { SLOT_STEERED, SLOT_ADAPTED, SLOT_CHANGES };

struct slot {
    int32_t first, highest; /* positions submitted in this generation; -1: none */
    uint32_t generation;
    int is_numbered;   /* a number was asked for */
    uint64_t sequence; /* that number; 0: this generation is not captured */
    /* What is cached below the next token, whatever its generation. */
    uint64_t setting;   /* by which its beginning was steered; 0: it was not */
    int32_t mixed_from; /* position from which it was steered otherwise; SLOT_NOWHERE */
    int32_t noted_from[SLOT_CHANGES]; /* lowest position that was noted so; SLOT_NOWHERE */
    int is_excluded;                  /* its caller said so */
    uint32_t read_for; /* the oldest marker that some of its text was looked at for; 0: none */
    uint64_t begun;    /* of the marker (marker.h) */
    struct {
        int32_t position;
        uint64_t begun;
    } past[SLOT_PAST]; /* the same behind the last positions that were submitted */
};

struct slots {
    uint32_t count;
    struct slot *slot;           /* (count) */
    int has_noted[SLOT_CHANGES]; /* some token was, ever: a state that is loaded may hold such */
    int has_excluded;            /* the same of a request */
};

/* Gives a sequence's number, 0 for one that is not captured: sluice_sequence() but in tests. */
typedef uint64_t (*slots_number)(void *arg);

/* ERR_NOMEM. The caller frees them. */
int slots_make(struct slots *slots, uint32_t count);
void slots_free(struct slots *slots);

/* A slot of -1 means all; one that is not there is passed over. Positions: `from` <= p < `to`; a
 * negative `from` is 0, a negative `to` is without end, as in llama.h. */

/* What the slot holds is other than it was: after a pass that failed. */
void slots_renew(struct slots *slots, int32_t slot);
/* Some tokens were computed there, unsteered, and nothing else is known of them. */
void slots_miss(struct slots *slots, int32_t slot);
void slots_clear(struct slots *slots, int32_t slot);
void slots_load(struct slots *slots, int32_t slot);
void slots_remove(struct slots *slots, int32_t slot, int32_t from, int32_t to);
void slots_copy(struct slots *slots, int32_t source, int32_t target);
/* All others are cleared. */
void slots_keep(struct slots *slots, int32_t slot);
void slots_shift(struct slots *slots, int32_t slot, int32_t from, int32_t to, int32_t delta);
void slots_divide(struct slots *slots, int32_t slot, int32_t from, int32_t to, int32_t divisor);

/* A token is computed at this position. Returns the slot's generation. */
uint32_t slots_submit(struct slots *slots, int32_t slot, int32_t position);

/* The token that was just submitted is computed under this setting, and noted as steered; 0: unsteered. 1: what is cached before
 * it was computed under another one. */
int slots_set(struct slots *slots, int32_t slot, int32_t position, uint64_t setting);
/* How much of the marker has begun behind the token that was just submitted. */
void slots_set_begun(struct slots *slots, int32_t slot, int32_t position, uint64_t begun);
/* What is left of the slot is of a caller who wants no capture, until it begins anew. -1: nothing. */
void slots_exclude(struct slots *slots, int32_t slot);
int slots_is_excluded(const struct slots *slots, int32_t slot);
/* The text of the token that was just submitted was looked at for the marker of this number, which only
 * grow; 0: for none. */
void slots_read(struct slots *slots, int32_t slot, uint32_t marker);
/* Whether all that the slot holds was looked at for this marker: what was loaded was not, nor what was
 * cached before the marker was set. */
int slots_is_read(const struct slots *slots, int32_t slot, uint32_t marker);
/* What the slot holds at this position is computed by a model that was changed so; -1: all slots. */
void slots_note(struct slots *slots, int32_t slot, int32_t position, enum slot_change change);
/* Whether the slot holds a token that was noted so. */
int slots_is_noted(const struct slots *slots, int32_t slot, enum slot_change change);

/* The number of a slot's sequence: with the first call of a generation it is asked for, and *reused is
 * how many tokens this generation found in the cache (0: it is not captured, or was asked before). 0
 * where the slot is not of that generation any more. */
uint64_t slots_sequence(struct slots *slots, int32_t slot, uint32_t generation, slots_number number,
                        void *arg, uint32_t *reused);

/* Numbers are of another stream from here on: all are asked for again. */
void slots_forget_numbers(struct slots *slots);

#endif
