/*
 * Stands in for two functions of the buffer (linked with --wrap), in a sink for tests alone: slabs
 * are freed as soon as the buffer is half full, whatever the checkpoints cover, and that something
 * is missing is never noticed. The storm must find rows that were not trained on.
 */
#include "buffer/coverage.h"

size_t __wrap_coverage_freeable(const struct coverage *c, const struct store *store, uint64_t *ids,
                                size_t room);
int __wrap_coverage_rewind(const struct coverage *c, const struct store *store, uint32_t producer,
                           struct store_producer *record);

size_t __wrap_coverage_freeable(const struct coverage *c, const struct store *store, uint64_t *ids,
                                size_t room)
{
    size_t count = 0, excess = 0;
    uint64_t stored = store_count(store);
    (void)c;
    if (stored > store_capacity(store) / 2) excess = stored - store_capacity(store) / 2;
    while (count < excess && count < room) {
        ids[count] = store_slab(store, count).id;
        count++;
    }
    return count;
}

int __wrap_coverage_rewind(const struct coverage *c, const struct store *store, uint32_t producer,
                           struct store_producer *record)
{
    (void)c;
    (void)store;
    (void)producer;
    (void)record;
    return 0;
}
