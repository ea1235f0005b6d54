/*
 * Which rows are kept. Special tokens, position 0 and rows with a norm far above the median are
 * left out and counted as filtered; rows that are not finite are counted as rejected, and too many
 * of them stop the run.
 */
#ifndef SLUICE_CAPTURE_FILTER_H
#define SLUICE_CAPTURE_FILTER_H

#include "proto/descriptor.h"

#include <stdint.h>

enum filter_verdict {
    FILTER_KEEP,
    FILTER_SPECIAL,    /* a special token */
    FILTER_FIRST,      /* position 0 of its context */
    FILTER_NORM,       /* ||x|| of a hook above its limit */
    FILTER_NOT_FINITE, /* rejected: NaN or infinity, or beyond the dtype's range */
};

/* Verdict by token alone: FILTER_KEEP, FILTER_SPECIAL or FILTER_FIRST. `flags`:
 * engine_row_flags. */
enum filter_verdict filter_token(const struct descriptor *d, uint8_t flags);

/* ||x||^2 of one hook's part of a row, values[width], summed in double. */
double filter_square(const float *values, uint32_t width);

/* Verdict on a whole row: values (width), `flags` as above. A hook's limit of 0 is no limit. */
enum filter_verdict filter_row(const struct descriptor *d, uint8_t flags, const float *values);

/* Whether rejected rows are more than `max_share` of those captured. Asked while a run goes on, it
 * waits for 1,024 captured rows before it says so; `final` judges whatever there is.
 * ERR_USAGE: too many, the text says how many of how many. The caller ends the capture with it, and
 * so with exit code 2: the model and its rows are what they are, no second try gives others. */
int filter_rejected(uint64_t rejected_rows, uint64_t captured_rows, double max_share, int final);

#endif
