/*
 * What all processes reported, asked of the broker (MESSAGE_ASK) by a program that is no process of
 * the pipeline: it waits for the answer, for so long at most.
 */
#ifndef SLUICE_RUNTIME_ASK_H
#define SLUICE_RUNTIME_ASK_H

#include "runtime/link.h"

struct ask;

/* Of `options` kind, bind, callbacks and bounds are filled in: what remains is the endpoint and its
 * security. Connects in the background, and again whenever the broker comes back. Errors of
 * link_open(). */
int ask_open(struct link_options options, struct ask **ask);
void ask_close(struct ask *ask); /* NULL is fine */

/* Ask and wait. The caller frees *text (NUL-terminated). ERR_AGAIN: no answer in time, or no memory
 * for it. */
int ask_status(struct ask *ask, int timeout_ms, char **text, size_t *bytes);

#endif
