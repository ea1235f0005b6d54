#include "buffer/slab_table.h"

#include "base/err.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

static int list_reserve(struct slab_list *list, size_t room)
{
    if (room <= list->room) return ERR_OK;
    if (room < 2 * list->room) room = 2 * list->room;
    uint32_t *at = realloc(list->at, room * sizeof *at);
    if (!at) return err_set(ERR_NOMEM, "no memory for a list of %zu slabs", room);
    list->at = at;
    list->room = room;
    return ERR_OK;
}

static void list_remove(struct slab_list *list, size_t i)
{
    memmove(&list->at[i], &list->at[i + 1], (list->count - i - 1) * sizeof *list->at);
    list->count--;
}

static uint32_t index_of(const struct slab_table *t, const struct drawn_slab *slab)
{
    return (uint32_t)(slab - t->slab);
}

int slab_table_init(struct slab_table *t, size_t slabs, size_t most_active, uint32_t reuse,
                    uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->most_active = most_active;
    t->reuse = reuse;
    t->seed = seed;
    t->room = 2 * slabs + 16;
    t->slab = calloc(t->room, sizeof *t->slab);
    int result = t->slab ? place_map_init(&t->places, 2 * slabs)
                         : err_set(ERR_NOMEM, "no memory for a table of %zu slabs", slabs);
    if (result == ERR_OK) result = list_reserve(&t->active, slabs + 16);
    if (result == ERR_OK) result = list_reserve(&t->waiting, slabs + 16);
    if (result == ERR_OK) result = list_reserve(&t->unused, slabs + 16);
    if (result != ERR_OK) slab_table_fini(t);
    return result;
}

void slab_table_fini(struct slab_table *t)
{
    free(t->slab);
    free(t->active.at);
    free(t->waiting.at);
    free(t->unused.at);
    place_map_fini(&t->places);
    memset(t, 0, sizeof *t);
}

struct drawn_slab *slab_table_find(const struct slab_table *t, uint32_t producer, uint64_t number)
{
    uint64_t i;
    return place_map_get(&t->places, producer, number, &i) ? &t->slab[i] : NULL;
}

int slab_table_add(struct slab_table *t, uint32_t producer, uint64_t number,
                   struct drawn_slab **slab)
{
    size_t i = t->used;
    if (t->unused.count == 0 && t->used == t->room) {
        struct drawn_slab *more = realloc(t->slab, 2 * t->room * sizeof *more);
        if (!more) return err_set(ERR_NOMEM, "no memory for a table of %zu slabs", 2 * t->room);
        t->slab = more;
        t->room *= 2;
    }
    if (t->unused.count > 0) i = t->unused.at[t->unused.count - 1];
    int result = place_map_put(&t->places, producer, number, i);
    if (result != ERR_OK) return result;
    if (t->unused.count > 0)
        t->unused.count--;
    else
        t->used++;
    t->slab[i] = (struct drawn_slab){
        .number = number,
        .producer = producer,
        .rank = SLAB_NO_RANK,
        .harvested = number < t->producer[producer].harvested,
    };
    t->unfinished++;
    *slab = &t->slab[i];
    return ERR_OK;
}

static void forget(struct slab_table *t, struct drawn_slab *slab)
{
    if (!slab->finished) t->unfinished--;
    place_map_remove(&t->places, slab->producer, slab->number);
    slab->number = 0;
    /* Without memory for the list the record stays unused, which harms nobody. */
    if (list_reserve(&t->unused, t->unused.count + 1) == ERR_OK)
        t->unused.at[t->unused.count++] = index_of(t, slab);
}

void slab_table_producers(struct slab_table *t, uint32_t count)
{
    for (; t->producers < count; t->producers++)
        t->producer[t->producers] = (struct consumer_producer){.lowest = 1, .harvested = 1};
}

uint64_t slab_table_total(const struct slab_table *t, const struct drawn_slab *slab)
{
    return (uint64_t)slab->live * t->reuse;
}

uint64_t slab_table_key(const struct slab_table *t, const struct drawn_slab *slab)
{
    uint64_t pass = slab->live ? slab->drawn / slab->live : 0;
    return hash_words(t->seed, slab->producer, slab->number, pass);
}

static int draws_left(const struct slab_table *t, const struct drawn_slab *slab)
{
    return slab->drawn < slab_table_total(t, slab);
}

static void finish_if_done(struct slab_table *t, struct drawn_slab *slab)
{
    if (slab->finished || slab->rows == 0 || draws_left(t, slab)) return;
    if (!slab->harvested) return;
    slab->finished = 1;
    t->finished_slabs++;
    t->unfinished--;
    if (slab->id) t->stored--;
}

static void pass_harvested(struct slab_table *t, uint32_t producer)
{
    struct consumer_producer *p = &t->producer[producer];
    const struct drawn_slab *slab;
    while ((slab = slab_table_find(t, producer, p->harvested)) && slab->harvested) p->harvested++;
}

static void leave(struct slab_table *t, struct drawn_slab *slab)
{
    if (slab->place == SLAB_ACTIVE) {
        struct slab_list *active = &t->active;
        if (t->in_order)
            list_remove(active, slab->index);
        else
            active->at[slab->index] = active->at[--active->count];
        for (size_t i = slab->index; i < active->count; i++) {
            t->slab[active->at[i]].index = (uint32_t)i;
            if (!t->in_order) break;
        }
    } else if (slab->place == SLAB_WAITING) {
        size_t i = 0;
        while (t->waiting.at[i] != index_of(t, slab)) i++;
        list_remove(&t->waiting, i);
    } else {
        return;
    }
    slab->place = SLAB_NOWHERE;
    t->rows_left -= slab->left;
    t->draws_left -= slab_table_total(t, slab) - slab->drawn;
}

static void activate(struct slab_table *t, struct drawn_slab *slab)
{
    slab->place = SLAB_ACTIVE;
    slab->index = (uint32_t)t->active.count;
    t->active.at[t->active.count++] = index_of(t, slab);
}

int slab_table_admit(struct slab_table *t, struct drawn_slab *slab)
{
    int result = list_reserve(&t->active, t->active.count + t->waiting.count + 1);
    if (result == ERR_OK) result = list_reserve(&t->waiting, t->waiting.count + 1);
    if (result != ERR_OK) return result;
    t->stored++;
    slab->rank = SLAB_NO_RANK;
    if (!draws_left(t, slab)) {
        slab->left = 0;
        finish_if_done(t, slab);
        return ERR_OK;
    }
    uint64_t pass = slab->drawn / slab->live;
    slab->left =
        pass + 1 < t->reuse ? slab->live : slab->live - (uint32_t)(slab->drawn % slab->live);
    slab->key = slab_table_key(t, slab);
    t->rows_left += slab->left;
    t->draws_left += slab_table_total(t, slab) - slab->drawn;
    if (t->active.count < t->most_active && t->waiting.count == 0) {
        activate(t, slab);
    } else {
        slab->place = SLAB_WAITING;
        t->waiting.at[t->waiting.count++] = index_of(t, slab);
    }
    return ERR_OK;
}

void slab_table_fill(struct slab_table *t)
{
    size_t taken = 0;
    while (taken < t->waiting.count && t->active.count < t->most_active)
        activate(t, &t->slab[t->waiting.at[taken++]]);
    if (taken == 0) return;
    t->waiting.count -= taken;
    memmove(t->waiting.at, t->waiting.at + taken, t->waiting.count * sizeof *t->waiting.at);
}

void slab_table_drew(struct slab_table *t, struct drawn_slab *slab)
{
    uint64_t before = slab->drawn++;
    t->rows_drawn++;
    t->draws_left--;
    if (before / slab->live + 1 >= t->reuse) { /* the last pass */
        slab->left--;
        t->rows_left--;
    }
    if (slab->drawn % slab->live != 0) return;
    slab->position = 0;
    slab->key = slab_table_key(t, slab);
    if (draws_left(t, slab)) return;
    leave(t, slab);
    slab_table_fill(t);
    finish_if_done(t, slab);
}

void slab_table_gone(struct slab_table *t, struct drawn_slab *slab, int skip)
{
    leave(t, slab);
    if (slab->id && !slab->finished) t->stored--;
    slab->id = 0;
    slab->checked = 0;
    if (!skip || slab->finished) return;
    t->rows_skipped += slab_table_total(t, slab) - slab->drawn;
    slab->finished = slab->harvested = 1;
    t->finished_slabs++;
    t->unfinished--;
    pass_harvested(t, slab->producer);
}

int slab_table_pass_over(struct slab_table *t, uint32_t producer, uint64_t number, uint32_t rows)
{
    struct consumer_producer *p = &t->producer[producer];
    struct drawn_slab *slab = slab_table_find(t, producer, number);
    int result = slab ? ERR_OK : slab_table_add(t, producer, number, &slab);
    if (result != ERR_OK) return result;
    if (slab->rows == 0) slab->rows = slab->live = rows;
    slab_table_gone(t, slab, 1);
    /* Nobody goes back there: `lowest` needs no cursor, and a long gap no records. */
    while ((slab = slab_table_find(t, producer, p->lowest)) && slab->finished) {
        forget(t, slab);
        p->lowest++;
    }
    return ERR_OK;
}

void slab_table_harvested(struct slab_table *t, struct drawn_slab *slab)
{
    slab->harvested = 1;
    pass_harvested(t, slab->producer);
    finish_if_done(t, slab);
}

/* Whether a state must name it although nothing was drawn of it: `harvested` does not tell. */
static int harvested_ahead(const struct slab_table *t, const struct drawn_slab *slab)
{
    return slab->harvested && slab->number >= t->producer[slab->producer].harvested;
}

void slab_table_detach(struct slab_table *t)
{
    for (size_t i = 0; i < t->active.count; i++) t->slab[t->active.at[i]].rank = (uint32_t)i;
    t->active.count = t->waiting.count = 0;
    t->rows_left = t->draws_left = t->stored = 0;
    for (size_t i = 0; i < t->used; i++) {
        struct drawn_slab *slab = &t->slab[i];
        if (slab->number == 0) continue;
        slab->id = 0;
        slab->place = SLAB_NOWHERE;
        slab->checked = 0;
        if (slab->drawn == 0 && !slab->finished && !harvested_ahead(t, slab)) forget(t, slab);
    }
}

void slab_table_settle(struct slab_table *t, uint32_t producer, uint64_t next_number,
                       const struct cursor *next_cursor)
{
    struct consumer_producer *p = &t->producer[producer];
    struct consumer_producer settled = *p;
    const struct drawn_slab *slab = slab_table_find(t, producer, p->lowest);
    uint64_t number = p->lowest;
    while (slab && slab->finished) {
        slab = slab_table_find(t, producer, ++number);
        if (slab && slab->has_begin) {
            settled.lowest = number;
            settled.cursor = slab->begin;
        } else if (number == next_number) {
            settled.lowest = number;
            settled.cursor = *next_cursor;
        }
    }
    for (uint64_t n = p->lowest; n < settled.lowest; n++)
        forget(t, slab_table_find(t, producer, n));
    *p = settled;
}

static int by_number(const void *a, const void *b)
{
    const struct consumer_slab *x = a, *y = b;
    if (x->producer != y->producer) return x->producer < y->producer ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void save_slab(struct consumer_state *state, const struct drawn_slab *slab)
{
    state->slab[state->slabs++] = (struct consumer_slab){
        .number = slab->number,
        .drawn = slab->drawn,
        .identities_hash = slab->identities_hash,
        .producer = slab->producer,
        .finished = slab->finished,
        .harvested = slab->harvested,
    };
}

int slab_table_save(const struct slab_table *t, struct consumer_state *state)
{
    state->producer = malloc(t->producers * sizeof *state->producer + 1);
    state->slab = malloc(t->used * sizeof *state->slab + 1);
    if (!state->producer || !state->slab) {
        consumer_state_free(state);
        return err_set(ERR_NOMEM, "no memory for a consumer state of %zu slabs", t->used);
    }
    state->producers = t->producers;
    memcpy(state->producer, t->producer, t->producers * sizeof *state->producer);
    state->slabs = 0;
    for (size_t i = 0; i < t->active.count; i++) save_slab(state, &t->slab[t->active.at[i]]);
    state->passed = state->slabs;
    for (size_t i = 0; i < t->used; i++) {
        const struct drawn_slab *slab = &t->slab[i];
        if (slab->number && !slab->finished && slab->place != SLAB_ACTIVE &&
            (slab->drawn > 0 || harvested_ahead(t, slab)))
            save_slab(state, slab);
    }
    size_t unfinished = state->slabs;
    for (size_t i = 0; i < t->used; i++)
        if (t->slab[i].number && t->slab[i].finished) save_slab(state, &t->slab[i]);
    if (state->slabs > unfinished)
        qsort(state->slab + unfinished, state->slabs - unfinished, sizeof *state->slab, by_number);
    state->rows_drawn = t->rows_drawn;
    state->rows_held_out = t->rows_held_out;
    state->rows_skipped = t->rows_skipped;
    return ERR_OK;
}

int slab_table_restore(struct slab_table *t, const struct consumer_state *state)
{
    slab_table_producers(t, state->producers);
    for (uint32_t p = 0; p < state->producers; p++) {
        t->producer[p] = state->producer[p];
        if (t->producer[p].harvested < t->producer[p].lowest)
            t->producer[p].harvested = t->producer[p].lowest;
        t->finished_slabs += t->producer[p].lowest - 1;
    }
    for (size_t i = 0; i < state->slabs; i++) {
        const struct consumer_slab *from = &state->slab[i];
        struct drawn_slab *slab;
        if (slab_table_find(t, from->producer, from->number))
            return err_set(ERR_FORMAT, "a consumer state names slab %llu of producer %u twice",
                           (unsigned long long)from->number, from->producer);
        int result = slab_table_add(t, from->producer, from->number, &slab);
        if (result != ERR_OK) return result;
        slab->drawn = from->drawn;
        slab->identities_hash = from->identities_hash;
        slab->harvested |= from->harvested || from->finished;
        if (i < state->passed) slab->rank = (uint32_t)i;
        if (!from->finished) continue;
        slab->finished = 1;
        t->unfinished--;
        t->finished_slabs++;
    }
    for (uint32_t p = 0; p < t->producers; p++) pass_harvested(t, p);
    t->rows_drawn = state->rows_drawn;
    t->rows_held_out = state->rows_held_out;
    t->rows_skipped = state->rows_skipped;
    return ERR_OK;
}
