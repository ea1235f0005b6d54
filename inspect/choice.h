/*
 * A few features of an index that are worth a first look: they fire at one thing, which is more than
 * one word. The rule, of which CHOICE_RULE is the sentence for people:
 *
 *   - it fires at CHOICE_LEAST_ROWS rows or more, and at less than CHOICE_DENSITY of all;
 *   - at its CHOICE_CONTEXTS strongest contexts, each of another sequence, stand 3 to 6 different
 *     words (of tokens, without regard to case), all but one of them whole: a space, then letters;
 *   - of those that pass, the ones with the largest mean value at these contexts; none that shares a
 *     word with one before it.
 *
 * Such features are picked: they say what the best of an SAE looks like, not what most of it does.
 */
#ifndef SLUICE_INSPECT_CHOICE_H
#define SLUICE_INSPECT_CHOICE_H

#include "inspect/index.h"

enum { CHOICE_MOST = 64, CHOICE_CONTEXTS = 10, CHOICE_LEAST_ROWS = 16 };
#define CHOICE_DENSITY 0.01
#define CHOICE_RULE                                                                                \
    "fires at 16 tokens or more and below 1% of all; 3 to 6 different whole words at its ten "     \
    "strongest contexts; the strongest first, and no word twice"

/* The best `most` (CHOICE_MOST at most) of them, best first, into chosen[most]; *count of them, less
 * where fewer pass. ERR_USAGE: the index knows no token texts; errors of index_sheet(). Reads sheets,
 * and as few as it can. */
int choice_make(const struct index *index, uint32_t most, uint32_t *chosen, uint32_t *count);

#endif
