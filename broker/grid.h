/*
 * The values of some series over the last month, at three resolutions: a second for an hour, ten
 * seconds for a day, five minutes for a month. A record has the values of all of them at one time, and
 * says which: where a time has no record, or another one's lies in its place, nothing is known of it.
 * So nothing has to be cleared when time goes on without values, or is set back. The coarser records
 * are means of the finer ones. No clock, no file; times are seconds since 1970. NaN: no value.
 */
#ifndef SLUICE_BROKER_GRID_H
#define SLUICE_BROKER_GRID_H

#include <stdint.h>

enum {
    GRID_SERIES = 31, /* with the tick a record has 128 bytes */
    GRID_RESOLUTIONS = 3,
    GRID_SECONDS = 3600, /* records of each resolution */
    GRID_TENS = 8640,
    GRID_FIVES = 8928,
    GRID_RECORDS = GRID_SECONDS + GRID_TENS + GRID_FIVES,
};

struct grid_record {
    uint32_t tick; /* its time in steps of its resolution; 0: there never was one */
    float value[GRID_SERIES];
};

struct grid {
    struct grid_record record[GRID_RECORDS]; /* of each resolution in turn; of zeros: empty */
};

/* Seconds from one record to the next, and over all of them. */
uint32_t grid_step_seconds(int resolution);
uint64_t grid_span_seconds(int resolution);
/* Where the record of a time lies, whosever is there. */
uint32_t grid_place(int resolution, uint64_t seconds);

/* The values of this second, and what follows of them for the coarser records that it is in. */
void grid_put(struct grid *grid, uint64_t seconds, const float value[GRID_SERIES]);
/* Mean of one series over [from, to) at a resolution; NaN where nothing is known. */
double grid_mean(const struct grid *grid, uint32_t series, int resolution, uint64_t from_seconds,
                 uint64_t to_seconds);

#endif
