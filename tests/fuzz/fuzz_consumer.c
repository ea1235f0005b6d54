/*
 * Any bytes as a consumer's state: refused, or a state that every lookup can walk, that a table of
 * slabs takes up or refuses, and that encodes to the same bytes. The checksum is put right first,
 * since no fuzzer guesses it; the bytes as they are have their turn too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/err.h"
#include "buffer/consumer.h"
#include "buffer/slab_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void use(const struct consumer_state *state, const uint8_t *data, size_t bytes)
{
    void *again;
    size_t again_bytes;
    if (consumer_state_encode(state, &again, &again_bytes) != ERR_OK) abort();
    if (again_bytes != bytes || memcmp(again, data, bytes) != 0) abort();
    free(again);
    for (size_t i = 0; i < state->slabs; i++) {
        const struct consumer_slab *s = &state->slab[i];
        if (s->finished && !consumer_finished(state, s->producer, s->number)) abort();
    }
    consumer_finished(state, state->producers, 1);
    consumer_finished_slabs(state);
    struct slab_table table;
    if (slab_table_init(&table, 16, 8, 1, 1) != ERR_OK) return;
    if (slab_table_restore(&table, state) == ERR_OK) {
        struct consumer_state saved = {0};
        const struct cursor nowhere = {0};
        for (uint32_t p = 0; p < table.producers; p++) slab_table_settle(&table, p, 1, &nowhere);
        if (slab_table_save(&table, &saved) != ERR_OK) abort();
        consumer_state_free(&saved);
    }
    slab_table_fini(&table);
}

static void try_bytes(const uint8_t *data, size_t bytes)
{
    struct consumer_state state;
    if (consumer_state_decode(data, bytes, &state) != ERR_OK) return;
    use(&state, data, bytes);
    consumer_state_free(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    try_bytes(data, bytes);
    uint64_t sum;
    if (bytes < sizeof sum) return 0;
    uint8_t *repaired = malloc(bytes);
    if (!repaired) return 0;
    memcpy(repaired, data, bytes);
    sum = XXH3_64bits(data, bytes - sizeof sum);
    memcpy(repaired + bytes - sizeof sum, &sum, sizeof sum);
    try_bytes(repaired, bytes);
    free(repaired);
    return 0;
}
