/*
 * The gathering of an index out of a buffer. Its rows can't be read a second time, so this part of the
 * work is done whole or begun again: WORK/arrived has them as they came; arranged in WORK they are
 * what the rest of the survey goes by, which a kill costs no more than it does elsewhere.
 */
#ifndef SLUICE_INSPECT_SURVEY_BUFFER_H
#define SLUICE_INSPECT_SURVEY_BUFFER_H

#include "inspect/survey.h"
#include "inspect/survey_state.h"

/* Read options->buffer and fill WORK/rows and WORK/fired; state->rows, kept_rows and fired are of
 * them. What an earlier, unfinished gathering left is removed, and told in options->read. Errors of
 * buffered_gather(), arrange_rows(), records_map(); ERR_IO, ERR_NOSPC. Blocks while more rows are
 * waited for. */
int survey_buffer_gather(const char *work, struct subject *subject,
                         const struct survey_options *options, struct survey_state *state);

#endif
