/*
 * Whether a process waits for room on a disk: told by its health, and by three gauges. One thread
 * says so, another asks.
 */
#ifndef SLUICE_RUNTIME_ROOM_H
#define SLUICE_RUNTIME_ROOM_H

#include "config/config.h"
#include "runtime/metrics.h"

#include <pthread.h>

/* Three entries of a metrics table, in a row: ROOM_METRICS("sluice_sink_"). */
enum room_gauge { ROOM_WAITING, ROOM_FREE, ROOM_NEEDED, ROOM_GAUGES };
#define ROOM_METRIC(NAME, HELP)                                                                    \
    {                                                                                              \
        .name = (NAME), .kind = METRIC_GAUGE, .help = (HELP)                                       \
    }
#define ROOM_METRICS(PREFIX)                                                                       \
    ROOM_METRIC(PREFIX "disk_waiting_seconds",                                                     \
                "For how long the disk has not taken what is written; 0 while it does."),          \
        ROOM_METRIC(PREFIX "disk_free_bytes", "Room on that disk, while it does not."),            \
        ROOM_METRIC(PREFIX "disk_needed_bytes",                                                    \
                    "What the next write needs, while it does not; 0 where not known.")

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
/* Set the gauges, which begin at `first` in the table. Looks at the disk while it waits. */
void room_show(struct room *room, struct metrics *metrics, size_t first, uint64_t now_ns);

#endif
