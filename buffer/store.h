/*
 * The shuffle buffer as its one writer, the sink, sees it: an LMDB environment that holds slabs,
 * the producers' numbers and cursors, the stream's descriptor, and a small state record for
 * trainers.
 *
 * What is committed is all there is: a slab, its producer's number and its cursor go into one
 * transaction, and only then may the frame be acked.
 */
#ifndef SLUICE_BUFFER_STORE_H
#define SLUICE_BUFFER_STORE_H

#include "base/row.h"
#include "proto/frame.h"

enum durability { DURABILITY_PROCESS, DURABILITY_POWER };

struct store_options {
    const char *dir;     /* the environment's folder; created 0700 */
    const char *stream;  /* name */
    uint64_t size_bytes; /* cap of the data file */
    uint32_t slab_bytes; /* 0: chosen from size and row_bytes by store_slab_bytes() */
    uint32_t width;
    uint8_t dtype;
    enum durability durability;
    int scrubs; /* what rows were in is overwritten once it is free: store_scrub() */
};

enum {
    STORE_MAX_PRODUCERS = 256,
    STORE_SLAB_HEADER_BYTES = 128,
    STORE_LEAST_SLABS = 64, /* of a buffer */
    STORE_LEAST_ROWS = 16,  /* of a slab */
    STORE_KEPT_SLABS = 2,   /* room that the sink keeps for each producer that has not ended */
};

/* Value of a slab: this header, then the raw payload (proto/frame.h). */
struct slab_header {
    uint64_t magic_version;
    uint64_t id; /* its key: grows by one a slab, never used again */
    uint64_t number;
    uint32_t producer;
    uint32_t epoch;
    uint32_t rows;
    uint32_t width;
    uint32_t dtype;
    uint32_t raw_bytes;
    struct cursor begin;
    uint64_t captured_ns;
    uint64_t identities_hash;
    uint64_t raw_hash;
    uint64_t header_hash; /* of all of this but itself; 0: none, as a buffer of version 1 has it */
    uint64_t reserved[2];
};

struct store_producer {   /* committed with each slab of that producer */
    uint64_t next_number; /* all below were stored, or acked because every checkpoint covers them */
    struct cursor cursor; /* of frame next_number */
    uint32_t epoch;
    uint32_t ended;             /* 1: its end is committed */
    uint64_t rows;              /* of all frames below next_number, each once */
    struct frame_totals totals; /* of the current epoch */
    /* Of the epochs before it, less captured rows that are made again: the sum of both, modulo
     * 2^64, has each row once. After a lost buffer (its record is new) it lacks the rows before. */
    struct frame_totals past_totals;
};

struct store_state {             /* read by trainers with each batch */
    uint64_t run;                /* random, set at creation: a buffer's identity */
    uint64_t checkpoint_request; /* grows when consumers should checkpoint */
    uint64_t slab_capacity;
    uint64_t slabs; /* stored now */
    uint64_t rows;  /* stored now */
    uint32_t rows_per_slab;
    uint32_t producers;      /* declared */
    uint32_t more_is_coming; /* a slab is free and a live producer holds credit for it */
    uint32_t ended;          /* the stream has ended: all declared producers have */
    uint64_t replaced_slabs; /* thrown out by the shed policy */
};

struct store;

/* Slab size for a buffer: 256 KiB class, smaller for small buffers (at least 64 slabs), larger
 * where a slab would not hold 16 rows; k x 4096 - 16 bytes. 0 if no size satisfies both. Also what
 * a producer must cut its frames to: store_rows_per_slab(). */
uint32_t store_slab_bytes(uint64_t size_bytes, uint32_t width, uint8_t dtype);
uint32_t store_rows_per_slab(uint32_t slab_bytes, uint32_t width, uint8_t dtype);
/* Slabs that a buffer of this size takes: what is left of the data file, which never grows past
 * size_bytes, after the descriptor, the trees and slack: 5 %, 8 slabs at the least. 0 where nothing
 * is left. */
uint64_t store_slab_capacity(uint64_t size_bytes, uint32_t slab_bytes, uint32_t width);
/* The size of a slab as the user says it (256KiB) is that of its pages; LMDB puts 16 bytes before
 * the first. 0: left to the buffer. */
uint32_t store_slab_setting(uint64_t configured);
/* Slab size of a new buffer with these options (size_bytes, slab_bytes, width, dtype). ERR_USAGE:
 * there is none; the text says what to change. */
int store_slab_choose(const struct store_options *options, uint32_t *slab_bytes);
/* Whether so many slabs have room for so many producers. ERR_USAGE. */
int store_check_producers(uint64_t capacity, uint32_t producers);

/* Open for writing, creating what is missing; a buffer keeps the size and slab size it was made
 * with (slab_bytes 0: whatever that is). Exactly one writer at a time (a lock file in it:
 * ERR_EXISTS). ERR_USAGE: too small (text: the least size). ERR_MISMATCH: another stream, width,
 * dtype, size or slab size (text: which, old, new). ERR_VERSION: written by another version.
 * ERR_CORRUPT: cannot be trusted (NOSYNC buffer of another boot without a clean close; a damaged
 * file: a child looks at it first, and its death counts as damage; or somebody has reported it:
 * damage.h); the caller sets it aside with store_set_aside() and opens again. ERR_NOSPC, ERR_IO,
 * ERR_NOMEM. Forks; blocks on the disk. The caller closes it: store_close() aborts an open
 * transaction and marks the buffer clean. */
int store_open(const struct store_options *options, struct store **store);
void store_close(struct store *store);
/* Whether the open buffer was reported as damaged (damage.h): ERR_CORRUPT, the text says by whom
 * and why. Cheap. The caller closes it and opens it again as above. */
int store_check(struct store *store);
/* Report the open buffer as damaged, for the reason in `why`. ERR_NOSPC, ERR_IO. */
int store_report(const struct store *store, const char *finder, const char *why);
/* Move the environment's files out of DIR into a new folder DIR.damaged-N, never overwriting, and
 * write its path to out[]; the report that named it goes with it. CONSUMERS/ stays in DIR.
 * ERR_EXISTS while a writer is at work, ERR_IO. */
int store_set_aside(const char *dir, char *out, size_t out_bytes);

/* The stream's descriptor (JSON), committed once before the first slab, outside a transaction. put:
 * ERR_EXISTS. get: ERR_NOTFOUND; NUL-terminated, caller frees *text. */
int store_descriptor_put(struct store *store, const char *text, size_t bytes);
int store_descriptor_get(struct store *store, char **text, size_t *bytes);

/* One write transaction at a time. Between begin and commit, any of the calls marked (txn). After a
 * (txn) call failed with anything but ERR_AGAIN, ERR_EXISTS, ERR_LIMIT, ERR_MISMATCH or a full
 * buffer, only store_abort() is left.
 * store_commit: ERR_NOSPC, ERR_IO: nothing of the transaction happened; the store stays usable, its
 * index and records are read anew (it reopens itself; where even that fails, the next store_begin
 * tries again). An open transaction holds up nobody but another writer. */
int store_begin(struct store *store);
int store_commit(struct store *store);
void store_abort(struct store *store);

/* (txn) Reserve a slab's place: header written with magic and `id` filled in, *raw points to
 * raw_bytes that the caller fills before its next call on the store. ERR_NOSPC: slab_capacity slabs
 * are stored already. ERR_AGAIN: there is room, but of slabs just freed, whose pages LMDB gives out
 * two commits later, or later still while a reader is at it: commit what there is, and try again.
 * ERR_EXISTS: (producer, number) is stored. ERR_MISMATCH, ERR_LIMIT: the header does not fit the
 * buffer. */
int store_put(struct store *store, struct slab_header *header, void **raw);
/* (txn) Whether store_put() said ERR_AGAIN because LMDB found no run of free pages as long as a
 * slab: pages that a reader pinned went to small records in between. This transaction can only be
 * aborted; one that puts fewer slabs can be committed. Freed slabs join such gaps to runs again. */
int store_is_spoilt(const struct store *store);
/* (txn) Free slabs by id; an id that is not there is passed over. */
int store_free(struct store *store, const uint64_t *ids, size_t count);
/* (txn) A producer's record (get: outside a transaction too). get: ERR_NOTFOUND. */
int store_producer_put(struct store *store, uint32_t producer, const struct store_producer *record);
int store_producer_get(const struct store *store, uint32_t producer, struct store_producer *record);
/* (txn) The state that trainers read. The caller owns checkpoint_request, producers,
 * more_is_coming, ended and replaced_slabs; all else is the store's and kept up by itself. */
int store_state_put(struct store *store, const struct store_state *state);

/* ---- a buffer whose rows must be gone when they are freed (store_options.scrubs) ---- */

struct store_scrub {
    uint64_t scrubbed_pages; /* overwritten with zeros since the store was opened */
    uint64_t waiting_pages;  /* freed, but a reader may still be at them, or the last commit */
    uint64_t oldest_ns;      /* for so long the oldest of them has waited; 0: nothing waits */
    int wants_commit;        /* what was freed last waits for another commit, of anything */
};

/* Overwrite the pages that freed rows are in still, as far as nobody reads them; a large backlog in
 * parts, of one 64th each or 16 MiB. Call it every few hundred milliseconds, outside a transaction.
 * ERR_IO, ERR_NOSPC: tried again at the next call. Blocks on the disk. */
int store_scrub(struct store *store, uint64_t now_ns, struct store_scrub *scrub);

/* No slab comes any more: from now on store_scrub() makes holes of freed pages, where the file system
 * has such, and does all of them at one call. */
void store_scrub_at_end(struct store *store);

/* Clear the slots of readers that died in a transaction: they pin pages. Call it every few seconds
 * (store_open does it too). Cheap; never blocks for long. */
void store_tick(struct store *store);

/* The state: in a transaction with its changes, else what is committed. */
const struct store_state *store_state(const struct store *store);
uint64_t store_capacity(const struct store *store); /* slabs */

/* The writer's own index, in memory, of what is stored, in order of id, oldest first. In a
 * transaction what it has put is there already; what it has freed keeps its place, with rows 0,
 * until the commit. */
struct slab_ref {
    uint64_t id, number, identities_hash;
    uint64_t captured_ns; /* when its youngest row was */
    uint32_t producer, rows;
};
uint64_t store_count(const struct store *store);
/* i-th of them, i < store_count(). */
struct slab_ref store_slab(const struct store *store, uint64_t i);
/* Slab of (producer, number): ERR_NOTFOUND (no text). */
int store_find(const struct store *store, uint32_t producer, uint64_t number, struct slab_ref *ref);

/* Check the whole file and every slab's checksum, in a child process; a writer may be at work. *bad
 * = slabs that fail. ERR_NOTFOUND, ERR_VERSION, ERR_CORRUPT (also if the child died of it, or if
 * the buffer was reported before). For `sluice buffer verify`. */
int store_verify(const char *dir, uint64_t *slabs, uint64_t *bad);

struct store_repair {
    uint64_t slabs, bad; /* as store_verify() has them */
    int was_set_aside;
    char why[512];    /* it was */
    char where[4096]; /* the folder it lies in now */
};
/* Verify, and set aside what cannot be trusted, as a sink would that opens it. ERR_OK: *repair says
 * what was done. ERR_EXISTS while a writer is at work; ERR_NOTFOUND, ERR_VERSION, ERR_IO. */
int store_repair(const char *dir, struct store_repair *repair);

#endif
