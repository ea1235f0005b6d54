/*
 * What one consumer knows of the slabs of a stream: how far each is drawn, which are active, what
 * is finished. Memory only; draw.c brings the slabs themselves. Internal to buffer/.
 *
 * A slab is known from the moment it is seen (or read in a state) until its number lies below its
 * producer's `lowest`. It is stored (id > 0), or it is not: freed after it was finished, or it must
 * be made again. It is active, or waiting for a place among the active, only while it is stored and
 * has draws left. It is finished when it has no draws left and its held-out rows have been handed
 * out.
 */
#ifndef SLUICE_BUFFER_SLAB_TABLE_H
#define SLUICE_BUFFER_SLAB_TABLE_H

#include "buffer/consumer.h"
#include "buffer/place_map.h"

enum slab_place { SLAB_NOWHERE, SLAB_ACTIVE, SLAB_WAITING };

#define SLAB_NO_RANK UINT32_MAX

struct drawn_slab {
    uint64_t number; /* 0: an unused record */
    uint64_t id;     /* 0: not stored */
    uint64_t drawn;
    uint64_t identities_hash;
    struct cursor begin;
    uint64_t captured_ns;
    uint64_t key; /* of the order of the present pass */
    uint32_t producer;
    uint32_t rows;     /* 0 until it is seen */
    uint32_t live;     /* rows that are not held out */
    uint32_t position; /* in the order of the present pass: places before it are passed */
    uint32_t left;     /* live rows with a draw left, each once */
    uint32_t rank;     /* its place in a resumed order, else SLAB_NO_RANK */
    uint32_t index;    /* in active[], while active */
    uint8_t place;     /* enum slab_place */
    uint8_t finished;
    uint8_t harvested; /* its held-out rows are handed out */
    uint8_t has_begin;
    uint8_t checked; /* its checksum, since it was seen last */
};

struct slab_list {
    uint32_t *at; /* indices into slab[] */
    size_t count, room;
};

struct slab_table {
    struct drawn_slab *slab;
    size_t used, room;
    struct slab_list unused;
    struct place_map places;
    struct slab_list active, waiting;
    size_t most_active;
    int in_order; /* keep the order of active[]: no shuffle */
    uint32_t reuse;
    uint64_t seed;
    struct consumer_producer producer[CONSUMER_MAX_PRODUCERS];
    uint32_t producers;
    uint64_t stored;                /* and unfinished */
    uint64_t unfinished;            /* known and unfinished, stored or not */
    uint64_t finished_slabs;        /* of all time */
    uint64_t rows_left, draws_left; /* of slabs that are active or waiting */
    uint64_t rows_drawn, rows_held_out, rows_skipped;
};

/* Room for `slabs` without growing. ERR_NOMEM. */
int slab_table_init(struct slab_table *t, size_t slabs, size_t most_active, uint32_t reuse,
                    uint64_t seed);
void slab_table_fini(struct slab_table *t);

/* The slab that is known as (producer, number), or NULL. Pointers live until the next
 * slab_table_add. */
struct drawn_slab *slab_table_find(const struct slab_table *t, uint32_t producer, uint64_t number);
/* Begin to know one. ERR_NOMEM. */
int slab_table_add(struct slab_table *t, uint32_t producer, uint64_t number,
                   struct drawn_slab **slab);
/* Know of producers 0..count-1 at least. count <= CONSUMER_MAX_PRODUCERS. */
void slab_table_producers(struct slab_table *t, uint32_t count);

/* The slab's rows are there (rows, live and id set) and `passed` live rows of the present pass are
 * drawn; `position` is set. It becomes active, or waits. ERR_NOMEM. */
int slab_table_admit(struct slab_table *t, struct drawn_slab *slab);
/* Let waiting ones in while there is room among the active. */
void slab_table_fill(struct slab_table *t);
/* One more draw was made of an active slab. It may leave the active ones by it. */
void slab_table_drew(struct slab_table *t, struct drawn_slab *slab);
/* It is not stored any more. skip: nor will it be again; what was not drawn counts as skipped. */
void slab_table_gone(struct slab_table *t, struct drawn_slab *slab, int skip);
/* A slab that is not stored never will be: it had `rows`, at the most, and those draws of them that
 * were not made count as skipped. ERR_NOMEM. */
int slab_table_pass_over(struct slab_table *t, uint32_t producer, uint64_t number, uint32_t rows);
/* Its held-out rows are handed out. The producer's `harvested` goes up as far as there is no
 * gap. */
void slab_table_harvested(struct slab_table *t, struct drawn_slab *slab);
/* All slabs are gone for now (another buffer); the active order is kept as ranks. */
void slab_table_detach(struct slab_table *t);

/* Draws still to be made, in all, of a slab whose rows are known. */
uint64_t slab_table_total(const struct slab_table *t, const struct drawn_slab *slab);
/* Key of the order of rows in a slab's present pass. */
uint64_t slab_table_key(const struct slab_table *t, const struct drawn_slab *slab);

/* Advance `lowest` of a producer over finished slabs, as far as the cursor of what follows is
 * known: from that slab, or because it is next_number, whose cursor is given. */
void slab_table_settle(struct slab_table *t, uint32_t producer, uint64_t next_number,
                       const struct cursor *next_cursor);

/* Copy into *state the arrays and counts (its arrays belong to the caller, who frees them with
 * consumer_state_free); and take up those of a state, into an empty table. ERR_NOMEM. */
int slab_table_save(const struct slab_table *t, struct consumer_state *state);
int slab_table_restore(struct slab_table *t, const struct consumer_state *state);

#endif
