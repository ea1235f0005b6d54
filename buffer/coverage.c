#include "buffer/coverage.h"

#include "base/err.h"

int coverage_finished(const struct coverage *c, uint32_t producer, uint64_t number)
{
    for (size_t i = 0; i < c->consumers; i++)
        if (!c->states[i] || !consumer_finished(c->states[i], producer, number)) return 0;
    return c->consumers > 0;
}

size_t coverage_freeable(const struct coverage *c, const struct store *store, uint64_t *ids,
                         size_t room)
{
    size_t count = 0;
    uint64_t slabs = store_count(store);
    for (uint64_t i = 0; i < slabs && count < room; i++) {
        struct slab_ref ref = store_slab(store, i);
        if (ref.rows > 0 && coverage_finished(c, ref.producer, ref.number)) ids[count++] = ref.id;
    }
    return count;
}

static struct consumer_producer place_of(const struct consumer_state *state, uint32_t producer)
{
    if (state && producer < state->producers) return state->producer[producer];
    return (struct consumer_producer){.lowest = 1, .harvested = 1};
}

static int lacks(const struct consumer_state *state, const struct store *store, uint32_t producer,
                 uint64_t lowest, uint64_t next_number)
{
    struct slab_ref ref;
    for (uint64_t n = lowest; n < next_number; n++)
        if (!(state && consumer_finished(state, producer, n)) &&
            store_find(store, producer, n, &ref) != ERR_OK)
            return 1;
    return 0;
}

int coverage_rewind(const struct coverage *c, const struct store *store, uint32_t producer,
                    struct store_producer *record)
{
    int fresh = record->next_number == 0, found = 0;
    struct consumer_producer least = {.lowest = 1, .harvested = 1};
    uint32_t epoch = record->epoch;
    for (size_t i = 0; i < c->consumers; i++) {
        const struct consumer_state *state = c->states[i];
        struct consumer_producer place = place_of(state, producer);
        if (place.epoch > epoch) epoch = place.epoch;
        if (state && state->finished) continue;
        if (!fresh && !lacks(state, store, producer, place.lowest, record->next_number)) continue;
        if (!found || place.lowest < least.lowest) least = place;
        found = 1;
    }
    if (!found || (fresh && least.lowest == 1 && epoch == 0)) return 0;
    uint64_t rows =
        (least.lowest - 1) * store_state(store)->rows_per_slab; /* all but a last are full */
    if (!fresh) record->past_totals.captured_rows -= record->rows - rows;
    record->rows = rows;
    record->next_number = least.lowest;
    record->cursor = least.cursor;
    record->epoch = epoch;
    record->ended = 0;
    return 1;
}

/* Frames of a producer that all states cover. */
static uint64_t covered(const struct coverage *c, uint32_t producer, uint64_t next_number)
{
    uint64_t lowest = next_number, count;
    for (size_t i = 0; i < c->consumers; i++) {
        if (c->states[i] && c->states[i]->finished) continue;
        uint64_t own = place_of(c->states[i], producer).lowest;
        if (own < lowest) lowest = own;
    }
    count = lowest - 1;
    for (uint64_t n = lowest; n < next_number; n++) count += coverage_finished(c, producer, n) != 0;
    return count;
}

static uint64_t next_number_of(const struct coverage *c, const struct store *store,
                               uint32_t producer)
{
    struct store_producer record = {0};
    uint64_t next = 1;
    if (store_producer_get(store, producer, &record) == ERR_OK) next = record.next_number;
    for (size_t i = 0; i < c->consumers; i++) {
        uint64_t lowest = place_of(c->states[i], producer).lowest;
        if (lowest > next) next = lowest;
    }
    return next;
}

uint64_t coverage_uncovered(const struct coverage *c, const struct store *store,
                            const struct consumer_progress *progress)
{
    uint64_t finished = UINT64_MAX, known = 0;
    for (size_t i = 0; i < c->consumers; i++) {
        if (c->states[i] && c->states[i]->finished) continue;
        if (progress[i].finished_slabs < finished) finished = progress[i].finished_slabs;
    }
    if (finished == UINT64_MAX) return 0;
    for (uint32_t p = 0; p < STORE_MAX_PRODUCERS; p++)
        known += covered(c, p, next_number_of(c, store, p));
    return finished > known ? finished - known : 0;
}

int coverage_all_finished(const struct coverage *c)
{
    for (size_t i = 0; i < c->consumers; i++)
        if (!c->states[i] || !c->states[i]->finished) return 0;
    return c->consumers > 0;
}
