/*
 * What is asked of the history: which series, from when to when, and how many points at most; and the
 * answer, means over steps of the same length on a grid that does not move with the question.
 *
 *     {"from": UNIX_SECONDS, "step_seconds": N, "series": {"NAME": [mean | null, ...], ...}}
 *
 * The points of a series begin at `from`, one for each step.
 *
 * Bounded: of each series the records of one resolution are looked at, which are some 9,000 at most
 * whatever is asked, and HISTORY_QUERY_MOST_VALUES numbers are written. All series of a month took 7 ms
 * of a core as one point each, and 24 ms as that many numbers.
 */
#ifndef SLUICE_BROKER_HISTORY_QUERY_H
#define SLUICE_BROKER_HISTORY_QUERY_H

#include "broker/history.h"
#include "broker/history_file.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    HISTORY_QUERY_POINTS = 600, /* where nothing is said */
    HISTORY_QUERY_MOST_POINTS = 2000,
    HISTORY_QUERY_MOST_VALUES = 100000, /* of all series together */
    HISTORY_QUERY_TEXT_BYTES = 16384,   /* of the names that are asked for */
};

struct history_query {
    uint16_t series[HISTORY_FILE_SERIES]; /* indexes */
    uint32_t count;
    uint64_t from_seconds, to_seconds; /* [from, to) */
    uint32_t step_seconds;
    int resolution;
};

/* Texts as they stand in an address; NULL: not given, which is all series, the last hour, and as many
 * points as are allowed, up to HISTORY_QUERY_POINTS. A negative `from` or `to` counts back from now.
 * ERR_USAGE: malformed or out of range, with what is allowed; or a series that is not there. */
int history_query_parse(const struct history *history, const char *series, const char *from,
                        const char *to, const char *points, uint64_t now_seconds,
                        struct history_query *query);
/* The answer. */
void history_query_write(const struct history *history, const struct history_query *query,
                         FILE *out);

#endif
