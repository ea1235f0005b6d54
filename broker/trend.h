/* By how much a number grows per second, over the last minute. No clock. */
#ifndef SLUICE_BROKER_TREND_H
#define SLUICE_BROKER_TREND_H

#include <stdint.h>

enum { TREND_POINTS = 60, TREND_LEAST = 5 };

struct trend { /* of zeros: nothing was noted */
    uint64_t ns[TREND_POINTS];
    double value[TREND_POINTS];
    uint32_t count, next;
};

/* Once a second. NaN begins anew. */
void trend_note(struct trend *trend, uint64_t now_ns, double value);
/* NaN before TREND_LEAST were noted. */
double trend_per_second(const struct trend *trend);

#endif
