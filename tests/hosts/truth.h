/*
 * What a host submitted to llama.cpp, as JSON lines, in order: the ground truth for whoever captures
 * from it. A line that has "token" is a token of a batch; one that has "event" changes the memory.
 *
 *     {"context":0,"call":7,"slot":3,"position":12,"token":99}
 *     {"context":0,"event":"remove","slot":3,"from":10,"to":-1}
 */
#ifndef SLUICE_TESTS_HOSTS_TRUTH_H
#define SLUICE_TESTS_HOSTS_TRUTH_H

#include <stdint.h>
#include <stdio.h>

/* File NULL: nothing is written. `context`: 0 is the first of the process, 1 another model's. */

/* A token of batch `call` (counted from 0 for each context). */
void truth_token(FILE *file, int context, int call, int slot, int position, int32_t token);
/* "remove", "shift" (all of from.. moved by `by`), "copy" (to slot `by`), "save", "load", "clear".
 * Positions from .. to - 1; to -1: all that follow. */
void truth_event(FILE *file, int context, const char *event, int slot, int from, int to, int by);
/* All that was told so far is in the file, whatever becomes of the process. */
void truth_flush(FILE *file);

#endif
