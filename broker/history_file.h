/*
 * The history's file, RUN/history: names of series, lives of processes, and grids. 0600, no link is
 * followed, and one broker at a time has it. Each piece is written at its own place as it becomes known,
 * so a broker that is killed loses a second at most. A power cut may lose more: nothing is synced.
 *
 *     0        header: magic, version, what the sizes are, the stream's name, checksum
 *     4096     HISTORY_FILE_SERIES names of 152 bytes, each with its checksum (zeros: free)
 *     65536    struct lives, with its checksum
 *     90112    a grid (grid.h) for each GRID_SERIES names, as far as there are names
 *
 * All numbers are little endian. A grid's records have no checksum: each says its own time, and any 4
 * bytes are a number or none.
 */
#ifndef SLUICE_BROKER_HISTORY_FILE_H
#define SLUICE_BROKER_HISTORY_FILE_H

#include "broker/grid.h"
#include "broker/lives.h"

#include <stddef.h>

enum {
    HISTORY_FILE_GRIDS = 12,
    HISTORY_FILE_SERIES = HISTORY_FILE_GRIDS * GRID_SERIES,
    HISTORY_FILE_NAME_BYTES = 152,
    HISTORY_FILE_GRIDS_AT = 90112,
    HISTORY_FILE_MOST_BYTES = HISTORY_FILE_GRIDS_AT + HISTORY_FILE_GRIDS * (int)sizeof(struct grid),
};
_Static_assert(HISTORY_FILE_MOST_BYTES <= 32 << 20, "a month's history has 32 MiB at most");

struct history_table { /* what the file says beside the grids */
    char name[HISTORY_FILE_SERIES][HISTORY_FILE_NAME_BYTES]; /* the first `count` */
    uint32_t count;
    struct lives lives;
};

/* Whether it may be the name of a series: letters, digits and ._/- */
int history_file_name_ok(const char *name);

/* Open the file, or make it; *table is what it holds. *fd is the caller's to close. ERR_CORRUPT,
 * ERR_VERSION: the file is there and is no history of this stream, or of another version; ERR_EXISTS:
 * another process has it; ERR_USAGE (a link), ERR_NOSPC, ERR_IO. */
int history_file_open(const char *path, const char *stream, struct history_table *table, int *fd);
/* Rename it to PATH.damaged, in place of one that is there. ERR_IO. */
int history_file_set_aside(const char *path);

/* A grid of it; zeros where the file ends before. ERR_IO. */
int history_file_read_grid(int fd, uint32_t index, struct grid *grid);
/* Write a piece at its place. ERR_NOSPC, ERR_IO; without a text where `path` is NULL. */
int history_file_put_name(int fd, uint32_t index, const char *name);
int history_file_put_lives(int fd, const struct lives *lives);
int history_file_put_record(int fd, uint32_t index, uint32_t place, const struct grid_record *r);
int history_file_put_grid(int fd, uint32_t index, const struct grid *grid);

#endif
