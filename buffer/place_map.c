#include "buffer/place_map.h"

#include "base/err.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

static size_t home(const struct place_map *map, uint32_t producer, uint64_t number)
{
    return hash_u64(number ^ ((uint64_t)producer << 48)) & (map->places - 1);
}

static struct place_entry *find(const struct place_map *map, uint32_t producer, uint64_t number)
{
    size_t i = home(map, producer, number);
    while (map->entry[i].number != 0 &&
           (map->entry[i].number != number || map->entry[i].producer != producer))
        i = (i + 1) & (map->places - 1);
    return &map->entry[i];
}

int place_map_init(struct place_map *map, size_t expected)
{
    map->places = 16;
    while (map->places * 3 / 4 <= expected) map->places *= 2;
    map->count = 0;
    map->entry = calloc(map->places, sizeof *map->entry);
    return map->entry ? ERR_OK : err_set(ERR_NOMEM, "no memory for a map of %zu slabs", expected);
}

void place_map_fini(struct place_map *map)
{
    free(map->entry);
    memset(map, 0, sizeof *map);
}

void place_map_clear(struct place_map *map)
{
    memset(map->entry, 0, map->places * sizeof *map->entry);
    map->count = 0;
}

static int grow(struct place_map *map)
{
    struct place_map larger;
    int result = place_map_init(&larger, map->places);
    if (result != ERR_OK) return result;
    for (size_t i = 0; i < map->places; i++) {
        const struct place_entry *e = &map->entry[i];
        if (e->number != 0) *find(&larger, e->producer, e->number) = *e;
    }
    larger.count = map->count;
    free(map->entry);
    *map = larger;
    return ERR_OK;
}

int place_map_put(struct place_map *map, uint32_t producer, uint64_t number, uint64_t value)
{
    struct place_entry *e = find(map, producer, number);
    if (e->number == 0) {
        if ((map->count + 1) * 4 > map->places * 3) {
            int result = grow(map);
            if (result != ERR_OK) return result;
            e = find(map, producer, number);
        }
        map->count++;
    }
    *e = (struct place_entry){.number = number, .producer = producer, .value = value};
    return ERR_OK;
}

int place_map_get(const struct place_map *map, uint32_t producer, uint64_t number, uint64_t *value)
{
    const struct place_entry *e = find(map, producer, number);
    if (e->number == 0) return 0;
    *value = e->value;
    return 1;
}

void place_map_remove(struct place_map *map, uint32_t producer, uint64_t number)
{
    struct place_entry *hole = find(map, producer, number);
    if (hole->number == 0) return;
    map->count--;
    size_t mask = map->places - 1, empty = (size_t)(hole - map->entry);
    /* Close the gap: move back each follower whose home does not lie after the gap. */
    for (size_t i = (empty + 1) & mask; map->entry[i].number != 0; i = (i + 1) & mask) {
        size_t at = home(map, map->entry[i].producer, map->entry[i].number);
        if (((i - at) & mask) < ((i - empty) & mask)) continue;
        map->entry[empty] = map->entry[i];
        empty = i;
    }
    map->entry[empty].number = 0;
}
