/* The numbers of a running pipeline, and how they move. */
#ifndef SLUICE_CLI_PROGRESS_H
#define SLUICE_CLI_PROGRESS_H

#include "cli/line.h"
#include "cli/snapshot.h"

#include <stddef.h>

struct progress { /* smoothed over some seconds; zeroed at the start */
    struct snapshot last;
    double last_seconds;
    double token_rate, stored_rate, trained_rate; /* a second; NaN before the second snapshot */
    int snapshots;
    int is_finishing; /* captures end before what was planned */
};

/* Take a snapshot in, made `seconds` after the start. */
void progress_update(struct progress *progress, const struct snapshot *snapshot, double seconds);

/* Its columns, as pieces of a line: tokens, buffer fill, training and quality once rows are trained,
 * what was left out (only what is not 0), what was shed, and how long it will take. What nobody has
 * said is left out. With a bar of the buffer's fill where `has_bars`. */
void progress_pieces(const struct progress *progress, int has_bars, struct line *line);

/* Seconds until the slowest part is done; NaN where the length is not known. */
double progress_eta(const struct progress *progress);

/* "1,234,567", "1:02:03" or "2:03". Write out[bytes]; NaN becomes "-". */
void progress_number(double number, char *out, size_t bytes);
void progress_time(double seconds, char *out, size_t bytes);
/* "1.5 GiB" */
void progress_bytes(double number, char *out, size_t bytes);

#endif
