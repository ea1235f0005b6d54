/*
 * Rows that go by age (sink.retention): what is older leaves the buffer, drawn or not, and every
 * byte of the run's files with it; one minute later at the latest. Here is what nobody else has in
 * hand: the pages that freed rows are in still, and what lies beside the buffer. Trainers see to
 * their held-out rows themselves, and this to those of trainers that do not.
 *
 * Holds: it frees nothing (keeper.h does), and removes nothing that a run did not make. No sockets;
 * the time is given to it, but at the end. Blocks on the disk.
 */
#ifndef SLUICE_SINK_RETENTION_H
#define SLUICE_SINK_RETENTION_H

#include "sink/keeper.h"

struct retention_counters {
    uint64_t scrubbed_pages; /* in this life */
    double oldest_seconds;   /* for so long freed rows are in the file still; 0: none are */
    uint64_t removed_buffers;
    uint64_t removed_indexes;
};

/* A value: nothing to free. Set `keeper` and zero the rest. Does nothing where the configuration has no
 * retention. */
struct retention {
    struct keeper *keeper;  /* outlives it */
    uint64_t files_ns;      /* when the run's folder is looked through next */
    uint64_t earlier_pages; /* scrubbed in buffers before this one */
    uint64_t buffer_pages;
    struct retention_counters counters;
};

/* Each 200 ms or so: slabs that are too old are freed, freed pages overwritten; each few seconds what
 * lies beside the buffer is looked through. What fails is noted in the ledger, or logged, and tried
 * again. `wall_ns` is CLOCK_REALTIME, which rows were captured by. */
void retention_poll(struct retention *retention, uint64_t now_ns, uint64_t wall_ns);

/* The stream has ended and nobody needs more of it: all rows of the buffer go at once, and indexes out
 * of it. Waits for readers that are at them, some seconds at most; the log says what is left. */
void retention_clear(struct retention *retention, uint64_t now_ns);

#endif
