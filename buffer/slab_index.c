#include "buffer/slab_index.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int slab_index_init(struct slab_index *index, size_t capacity)
{
    memset(index, 0, sizeof *index);
    /* Freed slabs keep their place until the commit, and the head moves through the array: twice
     * the capacity, and as much again for one transaction that replaces all. */
    index->room = 3 * capacity + 64;
    index->slab = calloc(index->room, sizeof *index->slab);
    index->freed_rows = calloc(index->room, sizeof *index->freed_rows);
    int result = place_map_init(&index->ids, 2 * capacity);
    if (result == ERR_OK && (!index->slab || !index->freed_rows))
        result = err_set(ERR_NOMEM, "no memory for an index of %zu slabs", capacity);
    if (result != ERR_OK) slab_index_fini(index);
    return result;
}

void slab_index_fini(struct slab_index *index)
{
    free(index->slab);
    free(index->freed_rows);
    place_map_fini(&index->ids);
    memset(index, 0, sizeof *index);
}

void slab_index_clear(struct slab_index *index)
{
    index->head = index->tail = index->begun = index->freed = 0;
    place_map_clear(&index->ids);
}

static size_t position(const struct slab_index *index, uint64_t id)
{
    size_t low = index->head, high = index->tail;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->slab[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Move all to the front. Between transactions only: begun is a position too. */
static void compact(struct slab_index *index)
{
    size_t to = 0;
    for (size_t i = index->head; i < index->tail; i++)
        if (index->slab[i].rows != 0) index->slab[to++] = index->slab[i];
    index->head = 0;
    index->tail = index->begun = to;
}

int slab_index_add(struct slab_index *index, const struct slab_ref *ref)
{
    struct slab_ref there;
    if (slab_index_find(index, ref->producer, ref->number, &there))
        return err_set(ERR_EXISTS, "slab %llu of producer %u is stored already",
                       (unsigned long long)ref->number, ref->producer);
    if (index->tail == index->room)
        return err_set(ERR_INTERNAL, "more slabs in one transaction than the index has room for");
    int result = place_map_put(&index->ids, ref->producer, ref->number, ref->id);
    if (result == ERR_OK) index->slab[index->tail++] = *ref;
    return result;
}

int slab_index_free(struct slab_index *index, uint64_t id, struct slab_ref *ref)
{
    size_t i = position(index, id);
    if (i == index->tail || index->slab[i].id != id || index->slab[i].rows == 0) return 0;
    *ref = index->slab[i];
    index->freed_rows[i] = ref->rows;
    index->slab[i].rows = 0;
    index->freed++;
    return 1;
}

void slab_index_commit(struct slab_index *index)
{
    int inside = 0;
    for (size_t i = index->head; index->freed > 0 && i < index->tail; i++) {
        const struct slab_ref *ref = &index->slab[i];
        uint64_t id;
        if (ref->rows != 0) continue;
        index->freed--;
        if (place_map_get(&index->ids, ref->producer, ref->number, &id) && id == ref->id)
            place_map_remove(&index->ids, ref->producer, ref->number);
        if (i == index->head)
            index->head++;
        else
            inside = 1;
    }
    index->freed = 0;
    index->begun = index->tail;
    if (inside || index->head > index->room / 3) compact(index);
}

void slab_index_rollback(struct slab_index *index)
{
    for (size_t i = index->head; i < index->begun; i++)
        if (index->slab[i].rows == 0) index->slab[i].rows = index->freed_rows[i];
    index->tail = index->begun;
    index->freed = 0;
    place_map_clear(&index->ids);
    for (size_t i = index->head; i < index->tail; i++)
        place_map_put(&index->ids, index->slab[i].producer, index->slab[i].number,
                      index->slab[i].id);
}

int slab_index_find(const struct slab_index *index, uint32_t producer, uint64_t number,
                    struct slab_ref *ref)
{
    uint64_t id;
    if (!place_map_get(&index->ids, producer, number, &id)) return 0;
    size_t i = position(index, id);
    if (index->slab[i].rows == 0) return 0;
    *ref = index->slab[i];
    return 1;
}
