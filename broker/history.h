/*
 * What happened, as numbers over time: so many series, each for a second of the last hour, ten seconds
 * of the last day and five minutes of the last month (grid.h). In memory, and in a file beside it
 * (history_file.h), so that a broker that was killed goes on with what was there. The file is never in
 * the way: where it cannot be opened or written the history goes on in memory, which is told once. Once
 * a minute that is tried again, and all of it is written when it works, beside what the file held. A file that is damaged is set aside, and a new one begun.
 *
 * Bounded: HISTORY_FILE_SERIES series, 32 MiB. What finds no room is left out and counted; a series
 * without a value for a month makes room. Loop thread; writes to the disk's cache.
 */
#ifndef SLUICE_BROKER_HISTORY_H
#define SLUICE_BROKER_HISTORY_H

#include "broker/grid.h"
#include "broker/lives.h"

#include <stdint.h>

/* A value holds for so long after it was set: reports come each second, more or less. */
enum { HISTORY_HOLDS_SECONDS = 3 };

struct history;

/* `path`: the file; NULL: there is none, and what is kept ends with the process. `stream` is copied.
 * ERR_NOMEM; that the file is of no use is logged. */
int history_open(const char *path, const char *stream, struct history **history);
void history_close(struct history *history);

/* The value of a series from now on (CLOCK_MONOTONIC); one of a new name begins. Names that
 * history_file_name_ok() refuses are not kept. */
void history_set(struct history *history, const char *name, double value, uint64_t now_ns);
/* The value that a series was last given in this life, however long ago, is its value from now on. */
void history_hold(struct history *history, const char *name, uint64_t now_ns);
/* Once a second: the values of this second are kept. */
void history_tick(struct history *history, uint64_t wall_seconds, uint64_t now_ns);

uint32_t history_count(const struct history *history);
const char *history_name(const struct history *history, uint32_t index);
/* -1: there is none. */
int history_find(const struct history *history, const char *name);
/* Series that found no room. */
uint32_t history_left_out(const struct history *history);
/* grid_mean() of one series. */
double history_mean(const struct history *history, uint32_t index, int resolution,
                    uint64_t from_seconds, uint64_t to_seconds);

/* The lives of processes, which are part of it; after a change history_keep_lives() writes them. */
struct lives *history_lives(struct history *history);
void history_keep_lives(struct history *history);

#endif
