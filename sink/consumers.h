/*
 * The declared consumers, as their files beside the buffer show them. What they mean is in
 * buffer/coverage.h.
 */
#ifndef SLUICE_SINK_CONSUMERS_H
#define SLUICE_SINK_CONSUMERS_H

#include "buffer/coverage.h"
#include "config/config.h"

struct consumers;

/* `names` outlives it. ERR_NOMEM, ERR_LIMIT. */
int consumers_new(const char *buffer_dir, const struct config_list *names,
                  struct consumers **consumers);
void consumers_free(struct consumers *consumers);

/* Look at the files; reads those that have changed. *changed: at least one state has. A state that
 * can't be read counts as it was before: its error is returned, the others are read all the
 * same. ERR_AGAIN: one is damaged; its consumer writes it again, with its next checkpoint, or when
 * it starts. */
int consumers_poll(struct consumers *consumers, int *changed);

/* Their states as they are now. Valid until the next poll. */
struct coverage consumers_coverage(const struct consumers *consumers);
/* One for each. */
const struct consumer_progress *consumers_progress(const struct consumers *consumers);

/* Whether every consumer that is not finished has answered this number with a checkpoint. */
int consumers_answered(const struct consumers *consumers, uint64_t checkpoint_request);
/* Whether the `index`th needs no more rows. */
int consumers_finished(const struct consumers *consumers, uint32_t index);
/* Whether one that is not finished waits for rows. */
int consumers_waiting(const struct consumers *consumers);
/* Highest number of a producer that any state knows of (0: none). */
uint64_t consumers_highest(const struct consumers *consumers, uint32_t producer);
/* Its last epoch that any state knows of (0: none). */
uint32_t consumers_epoch(const struct consumers *consumers, uint32_t producer);

#endif
