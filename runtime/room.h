/*
 * Whether a process waits for room on a disk: told by its health, and by three gauges. One thread
 * says so, another asks.
 */
#ifndef SLUICE_RUNTIME_ROOM_H
#define SLUICE_RUNTIME_ROOM_H

#include "config/config.h"
#include "proto/report.h"
#include "runtime/metrics.h"

#include <pthread.h>

/* Three entries of a process's table of metrics, in a row: ROOM_METRICS(M, SINK). The first is
 * GAUGE_DISK_WAITING; PROCESS is as in proto/report.h. */
#define ROOM_METRICS(M, PROCESS)                                                                   \
    M(DISK_WAITING, GAUGE, REPORT(PROCESS##_DISK_WAITING_SECONDS), "seconds",                      \
      "How long the disk has refused what is written. 0 while it takes it.")                       \
    M(DISK_FREE, GAUGE, REPORT(PROCESS##_DISK_FREE_BYTES), "bytes",                                \
      "Free room on that disk, while it refuses.")                                                 \
    M(DISK_NEEDED, GAUGE, REPORT(PROCESS##_DISK_NEEDED_BYTES), "bytes",                            \
      "What the next write needs, while the disk refuses. 0 where that is not known.")
enum room_gauge { ROOM_WAITING, ROOM_FREE, ROOM_NEEDED, ROOM_GAUGES };

struct room {
    pthread_mutex_t lock;
    uint64_t since_ns; /* 0: does not wait */
    uint64_t needed_bytes;
    char dir[CONFIG_PATH_BYTES];
    char why[512];
};

void room_init(struct room *room);
void room_fini(struct room *room);

/* A write of about `needed_bytes` (0: not known) below `dir` failed, and is going to be tried
 * again. `why` is for people. All are copied. From any thread; never blocks for long. */
void room_short(struct room *room, const char *dir, uint64_t needed_bytes, const char *why);
/* A write went well. */
void room_found(struct room *room);

/* ERR_NOSPC while it waits: the text is `why`. */
int room_health(struct room *room);
/* Set the gauges, which begin at `first` (GAUGE_DISK_WAITING) in the table. Looks at the disk while
 * it waits. */
void room_show(struct room *room, struct metrics *metrics, size_t first, uint64_t now_ns);

#endif
