/*
 * One ring, as its reader sees it: mapped, its facts copied and checked, so that nothing that the host
 * writes later decides about memory here.
 *
 * Holds: what was read is wiped in the ring before its place is given back, so that a ring holds no row
 * that its reader has.
 */
#ifndef SLUICE_ENGINE_RING_MAP_H
#define SLUICE_ENGINE_RING_MAP_H

#include "proto/ring.h"

struct ring_map {
    struct ring_facts facts; /* as they were when it was opened */
    struct ring_header *ring;
    uint64_t bytes;
    int fd;
    int is_refused;
    uint64_t gone_rows; /* places that a host took and died over */
    uint64_t told_shed; /* of what it shed, told here; the ring's own is what was counted, too */
    char path[1024];
};

/* Open the ring of a file and check it. ERR_FORMAT (a copy, too), ERR_VERSION (no ring of ours), ERR_USAGE
 * (a link, or of another user), ERR_NOTFOUND, ERR_NOMEM, ERR_IO. ring_map_close() gives it back. */
int ring_map_open(const char *path, struct ring_map *map);
void ring_map_close(struct ring_map *map);

/* Tell the host: its rows are taken, as those of this epoch; or not, and why. */
void ring_map_take(struct ring_map *map, uint32_t epoch);
void ring_map_refuse(struct ring_map *map, const char *reason);
/* Lower the program's own limits to these; 0: no limit. */
void ring_map_limit(struct ring_map *map, double share, double rows_per_second,
                    uint64_t bytes_per_second);
/* A reader is here, at this time of the wall clock. */
void ring_map_seen(struct ring_map *map, uint64_t now_ns);

/* Take up to `most` rows: ids with the host's sequence numbers, flags (enum ring_row_flags), when they
 * were captured (may be NULL), values (most, width) float32. Returns how many. */
uint32_t ring_map_rows(struct ring_map *map, uint32_t most, struct row_id *ids, uint8_t *flags,
                       uint64_t *captured_ns, float *values);

/* Take all rows that are there, and give them to nobody. */
void ring_map_wipe(struct ring_map *map);

/* Whether nobody writes any more: the host closed it, or has died. Reads /proc. */
int ring_map_is_over(const struct ring_map *map);
/* After that: give up places that were taken and never published, up to the next one that was. 0: there
 * is nothing more. */
int ring_map_pass_over(struct ring_map *map);

/* Rows that wait in it. */
uint64_t ring_map_waiting(const struct ring_map *map);

#endif
