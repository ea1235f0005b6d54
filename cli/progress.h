/* One line a second about a running pipeline. */
#ifndef SLUICE_CLI_PROGRESS_H
#define SLUICE_CLI_PROGRESS_H

#include "cli/snapshot.h"

#include <stddef.h>

struct progress { /* smoothed over some seconds; zeroed at the start */
    struct snapshot last;
    double last_seconds;
    double token_rate, stored_rate, trained_rate; /* a second; NaN before the second snapshot */
    int snapshots;
    char notice[512]; /* what must be seen: it stands before all else; "": nothing */
};

/* Take a snapshot in, made `seconds` after the start. */
void progress_update(struct progress *progress, const struct snapshot *snapshot, double seconds);

/* The line, without a line end: time, the notice, tokens, buffer fill, training, quality, what was
 * left out (only what is not 0), what was shed, and how long it will take. Writes out[bytes], cut
 * to fit. */
void progress_line(const struct progress *progress, double seconds, char *out, size_t bytes);

/* Seconds until the slowest part is done; NaN where the length is not known. */
double progress_eta(const struct progress *progress);

/* "1,234,567", "1:02:03" or "2:03". Write out[bytes]; NaN becomes "-". */
void progress_number(double number, char *out, size_t bytes);
void progress_time(double seconds, char *out, size_t bytes);
/* "1.5 GiB" */
void progress_bytes(double number, char *out, size_t bytes);

#endif
