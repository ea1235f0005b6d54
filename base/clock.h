/* The system's clocks, as whole numbers. */
#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* What a clock tells, in nanoseconds since its beginning. Never fails for CLOCK_MONOTONIC and
 * CLOCK_REALTIME, nor for a thread's own; of one that the system does not have it is undefined. */
static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The same in seconds. */
static inline double clock_seconds(clockid_t clock)
{
    return (double)clock_ns(clock) * 1e-9;
}

/* CLOCK_MONOTONIC in milliseconds, for deadlines of poll(2). */
static inline int64_t clock_steady_ms(void)
{
    return (int64_t)(clock_ns(CLOCK_MONOTONIC) / 1000000);
}

#endif
