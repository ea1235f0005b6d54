/*
 * An open stream of a host program: its ring, mapped. One for each sluice_open().
 *
 * Holds: in a child that was forked `is_ours` reads 0, as its page is wiped there, so that a ring has
 * one process that writes.
 */
#ifndef SLUICE_CLIENT_STREAM_H
#define SLUICE_CLIENT_STREAM_H

#include "base/held.h"
#include "client/sluice.h"
#include "proto/ring.h"

struct sluice {
    struct ring_header *ring;
    uint8_t *records;
    int *is_ours; /* a page of its own */
    uint64_t bytes;
    struct held file; /* keeps the lock that says that the host is alive */
    enum sluice_policy policy;
    uint32_t hook_at[ROW_MAX_HOOKS]; /* bytes of a record before the hook's values */
    char path[1024 + 64];
};

/* As sluice_open(). ERR_USAGE, ERR_LIMIT, ERR_NOTFOUND (the folder), ERR_NOMEM, ERR_NOSPC, ERR_IO. */
int stream_open(const struct sluice_options *options, struct sluice **stream);
void stream_close(struct sluice *stream);

/* As sluice_set(). ERR_USAGE. */
int stream_set(struct sluice *stream, int is_on, double share, double rows_per_second);

/* Whether there is a stream, and this process made it: what every function asks that is not to touch
 * the ring of a parent. */
static inline int stream_is_ours(const struct sluice *s)
{
    return s && *s->is_ours;
}

/* Add to a counter of a ring that is ours. */
void stream_count(struct sluice *stream, enum ring_count count, uint64_t rows);

/* The record of a place. */
static inline struct ring_record *stream_record(const struct sluice *s, uint64_t place)
{
    const struct ring_facts *f = &s->ring->facts;
    return (struct ring_record *)(s->records +
                                  (place & (f->records - 1)) * (uint64_t)f->record_bytes);
}

#endif
