/*
 * What a pass submitted, and which of it the rows of a ubatch are. llama.cpp computes a batch in parts
 * (ubatches) and in an order of its own; a row's token id and position are read off its graph, and the
 * entry of the batch that has both is its owner. Knows no llama.cpp.
 *
 * Holds: an entry that another one equals in token and position is nobody's: which row is whose cannot
 * be told. So is one that several sequences share. Each entry is one row's at most.
 */
#ifndef SLUICE_TAP_UBATCH_H
#define SLUICE_TAP_UBATCH_H

#include <stdint.h>

#define UBATCH_NOBODY UINT32_MAX

/* A token of a batch. */
struct entry {
    int32_t token, position;
    int32_t slot;        /* -1: shared by several */
    uint32_t generation; /* of the slot, when it was submitted */
    uint64_t sequence;   /* 0: not captured */
    int is_ambiguous;
    int is_claimed;  /* a row was its */
    uint32_t *place; /* in the table; NULL: an equal entry has it */
};

/* The entries of one pass. Takes no memory once it is made. */
struct submitted {
    uint32_t room, count;
    uint32_t ambiguous;  /* entries */
    struct entry *entry; /* (room), in the order of the batch */
    uint32_t *table;     /* (mask + 1) entry + 1 by token and position; 0: free */
    uint32_t mask;
};

/* Room for a pass of so many tokens. ERR_NOMEM. The caller frees it. */
int submitted_make(struct submitted *submitted, uint32_t room);
void submitted_free(struct submitted *submitted);

/* Begin another pass. */
void submitted_clear(struct submitted *submitted);
/* Add a token; 0 where there is no room for it. */
int submitted_add(struct submitted *submitted, int32_t token, int32_t position, int32_t slot,
                  uint32_t generation);

/* Say for each row of a ubatch (tokens, positions: (n)) which entry it is: owner (n), UBATCH_NOBODY for
 * an ambiguous one. ERR_MISMATCH: a row is none of those that were submitted, or the same entry twice. */
int ubatch_match(struct submitted *submitted, uint32_t n, const int32_t *tokens,
                 const int32_t *positions, uint32_t *owner);

#endif
