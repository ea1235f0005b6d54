/*
 * A map from (producer, number) to one word: open addressing, linear probing. It allocates when it
 * is made and when it outgrows that, so a map made for as many as there will ever be allocates
 * once.
 */
#ifndef SLUICE_BUFFER_PLACE_MAP_H
#define SLUICE_BUFFER_PLACE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct place_entry {
    uint64_t number; /* 0: an empty place (numbers start at 1) */
    uint32_t producer;
    uint32_t reserved;
    uint64_t value;
};

struct place_map {
    struct place_entry *entry;
    size_t places; /* a power of two */
    size_t count;
};

/* Room for `expected` keys without growing. ERR_NOMEM. fini frees. */
int place_map_init(struct place_map *map, size_t expected);
void place_map_fini(struct place_map *map);
void place_map_clear(struct place_map *map);
/* Insert or replace. ERR_NOMEM (the map stays as it was). number > 0. */
int place_map_put(struct place_map *map, uint32_t producer, uint64_t number, uint64_t value);
/* 1 and *value if there, else 0. */
int place_map_get(const struct place_map *map, uint32_t producer, uint64_t number, uint64_t *value);
/* Remove; passes over what is not there. */
void place_map_remove(struct place_map *map, uint32_t producer, uint64_t number);

#endif
