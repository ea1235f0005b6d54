/* Held-out rows that go by age (sink.retention). Nothing where the configuration has none. */
#ifndef SLUICE_TRAINER_RETENTION_H
#define SLUICE_TRAINER_RETENTION_H

#include "trainer/state.h"

/* Rows that were captured before are too old (CLOCK_REALTIME); 0: none is. */
uint64_t retention_oldest_ns(const struct training *t);
/* Between two batches, and while rows are waited for: a few times within the retention, each 15
 * seconds at the least, rows that are too old are taken out. A disk that fails is told and tried
 * again. */
void retention_poll(struct training *t, uint64_t now_ns);
/* The training is finished: all held-out rows go. */
void retention_clear(struct training *t);

#endif
