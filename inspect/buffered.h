/*
 * Rows out of a stream's buffer, into records. They are read as one who looks (buffer/scan.h): no
 * consumer is made, and nothing waits. Each slab is read once, as it lies: what was filtered or
 * shed, had gone, or has not come yet is missing, and is a gap in the contexts. Values are those of
 * raw rows, whatever the stream packs them in.
 */
#ifndef SLUICE_INSPECT_BUFFERED_H
#define SLUICE_INSPECT_BUFFERED_H

#include "inspect/records.h"
#include "inspect/subject.h"
#include "proto/descriptor.h"

struct buffered;

/* Open the buffer in `dir` for the rows that the subject sees. Both are lent. ERR_USAGE: the stream
 * lacks one of its hooks, or has it in another width; ERR_MISMATCH: its rows are of another model;
 * errors of scan_open() and descriptor_decode(). The caller closes it. Forks. */
int buffered_open(const char *dir, struct subject *subject, struct buffered **buffered);
void buffered_close(struct buffered *buffered); /* NULL is fine */

/* What its rows are; owned by it. */
const struct descriptor *buffered_stream(const struct buffered *buffered);

/* Age at which its rows have to go, wherever they are; 0: no such. */
uint64_t buffered_retention_seconds(const struct buffered *buffered);

struct buffered_options {
    uint64_t most_rows; /* 0: what is there now; else until so many were read, as more come */
    uint64_t captured_from_ns; /* slabs that are older are passed over; 0: none is */
    double wait_seconds;       /* for the next slab, at most; 0: none is waited for */
    /* After each slab, and while one is waited for. Anything but ERR_OK ends it. May be NULL. */
    int (*after)(void *arg, uint64_t rows);
    void *arg;
};

struct buffered_counts {
    uint64_t rows, slabs;  /* read */
    uint64_t missed_slabs; /* scan.h */
    uint64_t old_slabs;    /* passed over */
    int waited_in_vain;    /* most_rows did not come */
};

/* Read rows and append them to the records, in the order of slabs. Errors of scan_next(),
 * subject_encode(), records_add(). */
int buffered_gather(struct buffered *buffered, const struct buffered_options *options,
                    struct records *records, struct buffered_counts *counts);

#endif
