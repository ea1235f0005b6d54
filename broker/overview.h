/*
 * The few numbers that say how a pipeline is: what flows, what waits, what was lost. The live page,
 * `sluice top` and whoever asks /api/status see these, so that all agree. Each process has a part in
 * them (overview_read()); parts are brought together (overview_add()), and what follows from several
 * is worked out at the end (overview_finish()). No sockets, no clock. NaN: nobody says.
 *
 * A number more: a line in OVERVIEW_TABLE, and where it comes from in overview.c.
 */
#ifndef SLUICE_BROKER_OVERVIEW_H
#define SLUICE_BROKER_OVERVIEW_H

#include "wiring/processes.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* M(ID, NAME, HOW): HOW parts become one: their SUM, the GREATEST, the LEAST, or DERIVED by
 * overview_finish(). Rates come first, up to DRAW_WAIT, and totals last, from STREAM_ROWS on. People see the names, and /api/history has series of them: they stay. */
#define OVERVIEW_TABLE(M)                                                                          \
    M(CAPTURED_RATE, "captured_rows_per_second", SUM)                                              \
    M(SHED_RATE, "shed_rows_per_second", SUM)                                                      \
    M(STORED_RATE, "stored_rows_per_second", SUM)                                                  \
    M(TRAINED_RATE, "trained_rows_per_second", SUM)                                                \
    M(TOKEN_RATE, "tokens_per_second", SUM)                                                        \
    M(RAW_RATE, "raw_bytes_per_second", SUM)                                                       \
    M(PACKED_RATE, "packed_bytes_per_second", SUM)                                                 \
    M(CREDIT_WAIT, "credit_wait_ratio", GREATEST)                                                  \
    M(DRAW_WAIT, "draw_wait_ratio", LEAST)                                                         \
    M(BUFFER_SLABS, "buffer_slabs", SUM)                                                           \
    M(CAPACITY_SLABS, "buffer_capacity_slabs", SUM)                                                \
    M(FILL, "buffer_fill_ratio", DERIVED)                                                          \
    M(BUFFER_ROWS, "buffer_rows", SUM)                                                             \
    M(FULL_IN, "buffer_full_in_seconds", DERIVED)                                                  \
    M(AGE, "buffer_age_seconds", GREATEST)                                                         \
    M(LAG_ROWS, "lag_rows", SUM)                                                                   \
    M(LAG_SECONDS, "lag_seconds", DERIVED)                                                         \
    M(SINK_LAG, "sink_lag_seconds", GREATEST)                                                      \
    M(DISK_WAIT, "disk_waiting_seconds", GREATEST)                                                 \
    M(STREAM_ROWS, "stream_rows", SUM)                                                             \
    M(PLANNED_ROWS, "planned_rows", GREATEST)                                                      \
    M(TRAINED_ROWS, "trained_rows", LEAST)                                                         \
    M(PLANNED_DRAWS, "planned_draws", GREATEST)                                                    \
    M(SHED_ROWS, "shed_rows", SUM)                                                                 \
    M(REJECTED_ROWS, "rejected_rows", SUM)                                                         \
    M(LOST_ROWS, "lost_rows", DERIVED)

#define OVERVIEW_ID_OF(ID, NAME, HOW) OVERVIEW_##ID,
enum overview_id { OVERVIEW_TABLE(OVERVIEW_ID_OF) OVERVIEW_IDS };
extern const char *const overview_names[OVERVIEW_IDS];

/* LOST_ROWS are what captures lost, each rows of its own, and what the trainer lost that lost most:
 * what the alert SluiceRowsLost counts. */
struct overview {
    double value[OVERVIEW_IDS];
    double lost_by_captures, lost_by_trainer;
};

/* What a process's last rates were: it sends and stores by the frame, so one second says little. */
enum { OVERVIEW_RATES = OVERVIEW_DRAW_WAIT + 1, OVERVIEW_SMOOTHED = 5 };
struct overview_past { /* of zeros: it has no past */
    double rate[OVERVIEW_SMOOTHED][OVERVIEW_RATES];
    uint32_t count, next;
};

/* All NaN. */
struct overview overview_none(void);
/* The part of one process: of its report, and of its rates (NULL: there are none yet). */
struct overview overview_read(enum process_kind kind, const json_t *report, const json_t *rates);
/* Put means over the last OVERVIEW_SMOOTHED parts, this one among them, in place of its rates. */
void overview_smooth(struct overview *part, struct overview_past *past);
/* Bring a part in. !is_fresh: the process is silent; what it has counted holds on, what it does now
 * is not known. */
void overview_add(struct overview *sum, const struct overview *part, int is_fresh);
/* What follows from several. slabs_per_second: by how much the buffer grows; NaN: not known. */
void overview_finish(struct overview *sum, double slabs_per_second);
/* As a JSON object: what nobody says is null. */
void overview_write(const struct overview *overview, FILE *out);

#endif
