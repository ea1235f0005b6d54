/*
 * When too much is left out: a run that goes on with a part of its corpus, or of its rows, would be
 * worth less than its owner thinks, so it stops and says so. Pure functions over counts.
 */
#ifndef SLUICE_CAPTURE_JUDGE_H
#define SLUICE_CAPTURE_JUDGE_H

#include "engine/engine.h"

#include <stdint.h>

enum { JUDGE_DOCUMENTS = 100, JUDGE_WINDOW_ROWS = 10000 };

/* Whether more than `max_share` of the documents read so far were skipped. While a run goes on it
 * waits for 100 documents; `final` judges whatever there is. `documents` counts the whole corpus
 * and is a pure function of the engine's position, so neither restarts nor the number of producers
 * change the answer. ERR_USAGE: too many; the text says how many of how many, why, where the first
 * is, and what to do. No second try mends it. */
int judge_documents(const struct engine_documents *documents, double max_share, int final);

/*
 * The norm filter over the last 10,000 candidates of one producer. A candidate is a row that is
 * neither at position 0 nor a special token (unless those are kept): a row that the norm could
 * leave out.
 *
 * Holds: a window remembers of each of the last min(rows, 10,000) candidates, by its place in
 * `over`, whether the norm left it out, and how many of them it did. Every candidate is added, in
 * order, and judged before the next: so of any 10,000 consecutive candidates not more than the
 * share was left out, or the run has stopped at the first row at which it was. Proof: 10,000
 * consecutive candidates end in one of them; when that one has been added, the window holds exactly
 * those. A producer that goes back to row N after it got as far as row P takes up the window as it
 * was at N (tally.h), or an empty one where P - N is 10,000 candidates or more: then whatever ends
 * beyond P begins beyond N, and what ends before P was judged the first time, as rows that are made
 * again are the same rows. Where the disk did not take a record the rows of that gap are in no
 * window: it goes on from the one before it.
 */
struct judge_window {
    uint64_t rows; /* candidates added */
    uint32_t left_out;
    uint8_t over[JUDGE_WINDOW_ROWS / 8];
};

/* Add the next candidate. */
void judge_add(struct judge_window *window, int is_left_out);
/* Whether the norm left out more than `max_share` of the last 10,000; of fewer it judges where
 * `final`. ERR_USAGE: the text says what to do. */
int judge_filtered(const struct judge_window *window, double max_share, int final);

#endif
