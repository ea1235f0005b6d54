/* Processor seconds of another process's threads, as /proc tells them. */
#ifndef SLUICE_TESTS_HOSTS_PROCESSOR_H
#define SLUICE_TESTS_HOSTS_PROCESSOR_H

#include <sys/types.h>

struct processor_seconds {
    double own;    /* of its own threads, those that have ended too */
    double others; /* of threads named "sluice...", which a tap brought along; they do not end */
};

/* ERR_NOTFOUND: no such process. Own ones in nanoseconds; others where the kernel has schedstat, else
 * in ticks. */
int processor_seconds_of(pid_t pid, struct processor_seconds *seconds);

#endif
