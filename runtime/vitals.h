/*
 * What every process tells of itself: memory, processor time, since when it runs, and for how long it
 * could not do its work. They stand behind its own metrics, from the `first`th on. None of these blocks.
 */
#ifndef SLUICE_RUNTIME_VITALS_H
#define SLUICE_RUNTIME_VITALS_H

#include "runtime/metrics.h"

extern const struct metric vitals_metrics[]; /* (vitals_count) */
extern const size_t vitals_count;

/* It has started now. */
void vitals_begin(struct metrics *metrics, size_t first);
/* What it uses now: reads /proc/self/status. */
void vitals_measure(struct metrics *metrics, size_t first);
/* For how long it could not do its work; 0: it does. */
void vitals_unready(struct metrics *metrics, size_t first, double seconds);

#endif
