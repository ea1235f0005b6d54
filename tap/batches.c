#include "tap/batches.h"

#include <pthread.h>
#include <stdlib.h>

enum { BATCHES_MOST = 64 };

static struct batch table[BATCHES_MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of `key`; a batch is one thread's */

static struct batch *find(const void *key)
{
    struct batch *found = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < BATCHES_MOST && !found; i++)
        if (table[i].key == key) found = &table[i];
    pthread_mutex_unlock(&lock);
    return found;
}

const struct batch *batches_find(const void *key)
{
    return key ? find(key) : NULL;
}

void batches_open(const void *key)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; key && i < BATCHES_MOST; i++)
        if (!table[i].key) {
            table[i] = (struct batch){.key = key};
            break;
        }
    pthread_mutex_unlock(&lock);
}

void batches_clear(const void *key)
{
    struct batch *b = key ? find(key) : NULL;
    if (!b) return;
    b->count = 0;
    b->is_incomplete = 0;
}

void batches_close(const void *key)
{
    struct batch *b = key ? find(key) : NULL;
    if (!b) return;
    free(b->entry);
    pthread_mutex_lock(&lock);
    *b = (struct batch){0};
    pthread_mutex_unlock(&lock);
}

static int has_room(struct batch *b)
{
    if (b->count < b->room) return 1;
    uint32_t room = b->room ? 2 * b->room : 512;
    struct batch_entry *larger = realloc(b->entry, room * sizeof *larger);
    if (!larger) return 0;
    b->entry = larger;
    b->room = room;
    return 1;
}

void batches_add(const void *key, int32_t index, int32_t slot, int32_t token, int has_embedding)
{
    struct batch *b = key ? find(key) : NULL;
    if (!b || index < 0) return;
    if ((uint32_t)index != b->count || !has_room(b)) {
        b->is_incomplete = 1;
        return;
    }
    b->entry[b->count++] = (struct batch_entry){.token = token,
                                                .position = -1,
                                                .slot = slot,
                                                .sequences = 1,
                                                .has_embedding = has_embedding};
}

static struct batch_entry *entry_of(const void *key, int32_t index)
{
    struct batch *b = key ? find(key) : NULL;
    return b && index >= 0 && (uint32_t)index < b->count ? &b->entry[index] : NULL;
}

void batches_share(const void *key, int32_t index, int32_t slot)
{
    struct batch_entry *e = entry_of(key, index);
    if (!e || slot < 0 || slot >= BATCH_SLOTS_MOST) return;
    e->sequences++;
    e->others[slot / 64] |= UINT64_C(1) << slot % 64;
}

void batches_set_embedding(const void *key, int32_t index)
{
    struct batch_entry *e = entry_of(key, index);
    if (e) e->has_embedding = 1;
}

void batches_set_position(const void *key, int32_t index, int32_t position)
{
    struct batch_entry *e = entry_of(key, index);
    if (e) e->position = position;
}
