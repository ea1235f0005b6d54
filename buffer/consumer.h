/*
 * What a consumer has done with a stream, by (producer, number, rows drawn), never by a key of the
 * buffer. It lives in the consumer's checkpoint, and, once that checkpoint is durable, in one small
 * file beside the buffer, CONSUMERS/NAME.state, from which the sink learns what may be freed.
 *
 * A trainer that takes up a checkpoint writes that checkpoint's state here (consumer_write) before
 * it opens the buffer: the file may come from a newer checkpoint that is lost, and by an older
 * state the sink has slabs made again that it freed by the newer one.
 *
 * The state says what is covered. How far a trainer is past it, it tells in
 * CONSUMERS/NAME.progress: a few words, overwritten with each batch, never synced, worth nothing
 * after a restart. The sink raises the buffer's checkpoint_request by it.
 */
#ifndef SLUICE_BUFFER_CONSUMER_H
#define SLUICE_BUFFER_CONSUMER_H

#include "base/row.h"

#include <stddef.h>

enum { CONSUMER_NAME_BYTES = 64, CONSUMER_MAX_PRODUCERS = 256 };

struct consumer_slab { /* a slab at or above its producer's lowest number */
    uint64_t number;
    uint64_t drawn;           /* draws made of it, over all passes */
    uint64_t identities_hash; /* of what was drawn from */
    uint32_t producer;
    uint16_t finished;  /* 1: nothing more is wanted of it */
    uint16_t harvested; /* 1: its held-out rows are in the held-out file (where finished: so too) */
};

struct consumer_producer {
    uint64_t lowest;      /* every number below is finished; numbers start at 1 */
    struct cursor cursor; /* of frame `lowest`: where its producer can make it again */
    uint64_t harvested;   /* held-out rows of all numbers below are in the held-out file */
    uint32_t epoch;       /* highest seen */
    uint32_t reserved;    /* 0 */
};

struct consumer_state {
    char name[CONSUMER_NAME_BYTES];
    uint64_t stream;             /* stream_key */
    uint64_t checkpoint_request; /* the highest that this state answers */
    uint32_t finished;           /* 1: told to stop, or the stream has ended and all is drawn */
    uint32_t producers;
    struct consumer_producer *producer; /* (producers) */
    size_t slabs;
    /* (slabs): first the unfinished ones in the draw's own order, then the finished ones by
     * (producer, number), each at or above its producer's lowest. */
    struct consumer_slab *slab;
    uint64_t rows_drawn;    /* draws, over all passes */
    uint64_t rows_held_out; /* rows, each once */
    uint64_t rows_skipped;  /* draws that will never be made: rows replaced (shed), or a stop */
    uint64_t rng[4];
    uint64_t passed; /* the draw's own: how many of slab[] stand in its order of active slabs */
};

/* Byte form, little-endian, with magic, version and XXH3-64. encode: malloc'ed, caller frees.
 * decode: allocates *state's arrays, consumer_state_free() frees them; every count is bounded by
 * the bytes that are there before anything is allocated. ERR_FORMAT, ERR_VERSION, ERR_CHECKSUM,
 * ERR_NOMEM. */
int consumer_state_encode(const struct consumer_state *state, void **data, size_t *bytes);
int consumer_state_decode(const void *data, size_t bytes, struct consumer_state *state);
/* Frees the arrays and zeroes *state. */
void consumer_state_free(struct consumer_state *state);

/* The file beside the buffer. write replaces it atomically and durably (it blocks on the disk).
 * read: ERR_NOTFOUND where there is none yet; the caller frees with consumer_state_free(). drop
 * removes it and the progress file; missing is fine. ERR_IO, ERR_NOSPC, and those of decode. */
int consumer_write(const char *buffer_dir, const struct consumer_state *state);
int consumer_read(const char *buffer_dir, const char *name, struct consumer_state *state);
int consumer_drop(const char *buffer_dir, const char *name);

/* Whether this consumer needs nothing more of (producer, number). O(log slabs). */
int consumer_finished(const struct consumer_state *state, uint32_t producer, uint64_t number);
/* Slabs that this state covers as finished, over all producers: comparable with
 * consumer_progress.finished_slabs. */
uint64_t consumer_finished_slabs(const struct consumer_state *state);

/* How far a live trainer is. All words are its own, of the batch that it drew last. */
struct consumer_progress {
    uint64_t stream;             /* stream_key */
    uint64_t finished_slabs;     /* as consumer_finished_slabs() of the state it would write now */
    uint64_t rows_drawn;         /* draws */
    uint64_t rows_left;          /* rows with a draw left, each counted once */
    uint64_t checkpoint_request; /* seen */
    uint64_t waiting;            /* 1: it asked for a batch and there was none to be had */
    uint64_t updated_ns;         /* CLOCK_REALTIME */
};

/* The trainer's end (the draw's): open keeps a descriptor, write is one pwrite and syncs nothing; a
 * full disk makes it fail without harm. The sink's end: read. ERR_NOTFOUND where there is none,
 * ERR_FORMAT, ERR_IO. */
int consumer_progress_open(const char *buffer_dir, const char *name, int *fd);
int consumer_progress_write(int fd, const struct consumer_progress *progress);
int consumer_progress_read(const char *buffer_dir, const char *name,
                           struct consumer_progress *progress);

#endif
