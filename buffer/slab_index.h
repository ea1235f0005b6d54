/*
 * The writer's list, in memory, of the slabs that are stored: in order of id, and by (producer,
 * number). Changes belong to a transaction and become lasting, or are undone, with it.
 */
#ifndef SLUICE_BUFFER_SLAB_INDEX_H
#define SLUICE_BUFFER_SLAB_INDEX_H

#include "buffer/place_map.h"
#include "buffer/store.h"

struct slab_index {
    struct slab_ref *slab; /* [head, tail) in order of id; rows == 0: freed in this transaction */
    uint32_t *freed_rows;  /* beside slab[]: the rows of one that was freed, for undoing it */
    size_t head, tail, room;
    size_t begun; /* tail when the transaction began */
    size_t freed; /* in this transaction */
    struct place_map ids;
};

/* Room for `capacity` slabs at once, so that nothing is allocated later. ERR_NOMEM. */
int slab_index_init(struct slab_index *index, size_t capacity);
void slab_index_fini(struct slab_index *index);
void slab_index_clear(struct slab_index *index);

/* ref->id above all that are there, ref->rows > 0. ERR_EXISTS: (producer, number) is there. */
int slab_index_add(struct slab_index *index, const struct slab_ref *ref);
/* 1 and *ref: it was there and is freed now; else 0. */
int slab_index_free(struct slab_index *index, uint64_t id, struct slab_ref *ref);
void slab_index_commit(struct slab_index *index);
void slab_index_rollback(struct slab_index *index);

/* Not what was freed in this transaction. 1 and *ref if there, else 0. */
int slab_index_find(const struct slab_index *index, uint32_t producer, uint64_t number,
                    struct slab_ref *ref);

#endif
