/* What a finished run has made, for people: out of the trainers' summary.json. */
#ifndef SLUICE_CLI_REPORT_H
#define SLUICE_CLI_REPORT_H

#include "config/config.h"

#include <jansson.h>
#include <stdio.h>

/* Whether a consumer has finished and left its summary. Reads the disk, as those below do. */
int report_consumer_finished(const struct config *config, const char *consumer);
/* Whether every declared one has. A configuration without consumers is never finished. */
int report_finished(const struct config *config);

/* Whether every declared consumer needs nothing more, though it may still be writing its
 * results. */
int report_all_drawn(const struct config *config);

/* Rows that the consumer that is furthest behind had drawn at its last checkpoint; 0 where one has
 * none. */
uint64_t report_rows_drawn(const struct config *config);

/* A consumer's summary.json; the caller decrefs. ERR_NOTFOUND, ERR_FORMAT, ERR_IO, ERR_NOMEM. */
int report_summary(const struct config *config, const char *consumer, json_t **summary);

/* How long its training took, rows held out and skipped, what dead means, and why there is no FVE,
 * in one line of a summary.json behind an empty one. */
void report_rows(const json_t *summary, FILE *out);

/* What the run has left out so far, or in all: documents and rows, two lines out of RUN/capture;
 * nothing where no capture has told anything. */
void report_left_out(const struct config *config, FILE *out);

/* The table of every consumer's SAEs, where they lie, what was left out, and the Python that loads
 * the first.
 * ERR_NOTFOUND, ERR_FORMAT: a summary is missing or broken. */
int report_print(const struct config *config, FILE *out);

#endif
