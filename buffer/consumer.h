/*
 * What a consumer has done with a stream, by (producer, number, rows drawn), never by a key of the
 * buffer. It lives in the consumer's checkpoint, and, once that checkpoint is durable, in one small
 * file beside the buffer, CONSUMERS/NAME.state, from which the sink learns what may be freed.
 */
#ifndef SLUICE_BUFFER_CONSUMER_H
#define SLUICE_BUFFER_CONSUMER_H

#include "base/row.h"

#include <stddef.h>

struct consumer_slab {        /* a slab at or above its producer's lowest number */
    uint64_t number;
    uint64_t drawn;           /* draws made of it, over all passes */
    uint64_t identities_hash; /* of what was drawn from */
    uint32_t producer;
    uint32_t finished;        /* 1: nothing more is wanted of it */
};

struct consumer_producer {
    uint64_t lowest;      /* every number below is finished */
    struct cursor cursor; /* of frame `lowest`: where its producer can make it again */
    uint64_t harvested;   /* held-out rows of all numbers below are in the held-out file */
    uint32_t epoch;       /* highest seen */
    uint32_t reserved;
};

struct consumer_state {
    char name[64];
    uint64_t stream;             /* stream_key */
    uint64_t checkpoint_request; /* the highest that this state answers */
    uint32_t finished;           /* 1: told to stop, or the stream has ended and all is drawn */
    uint32_t producers;
    struct consumer_producer *producer; /* (producers) */
    size_t slabs;                       /* partly drawn or finished ones, in the draw's own order */
    struct consumer_slab *slab;         /* (slabs) */
    uint64_t rows_drawn, rows_held_out, rows_skipped;
    uint64_t rng[4];
    uint64_t passed;             /* opaque word of the draw: where it stands in its order */
};

/* Byte form, little-endian, with magic, version and XXH3-64. encode: malloc'ed, caller frees. decode:
 * allocates *state's arrays, consumer_state_free() frees them. ERR_FORMAT, ERR_VERSION,
 * ERR_CHECKSUM, ERR_NOMEM. */
int consumer_state_encode(const struct consumer_state *state, void **data, size_t *bytes);
int consumer_state_decode(const void *data, size_t bytes, struct consumer_state *state);
void consumer_state_free(struct consumer_state *state);

/* The file beside the buffer. write replaces it atomically. read: ERR_NOTFOUND where there is none
 * yet. drop removes it. */
int consumer_write(const char *buffer_dir, const struct consumer_state *state);
int consumer_read(const char *buffer_dir, const char *name, struct consumer_state *state);
int consumer_drop(const char *buffer_dir, const char *name);

/* Whether this consumer needs nothing more of (producer, number). */
int consumer_finished(const struct consumer_state *state, uint32_t producer, uint64_t number);

#endif
