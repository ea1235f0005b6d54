/*
 * What a feature looks like over a corpus: how often and how much it fires, where it fires most, and
 * examples of where it fires less. In a list one sequence has one context, and texts that are the same
 * have one in all of them, so that duplicates don't fill the lists.
 */
#ifndef SLUICE_INSPECT_PORTRAIT_H
#define SLUICE_INSPECT_PORTRAIT_H

#include "inspect/sorter.h"

enum {
    PORTRAIT_BEFORE = 16, /* tokens of a context before the one that it is about */
    PORTRAIT_AFTER = 8,
    PORTRAIT_TOP = 16,
    PORTRAIT_INTERVALS = 5, /* equal parts of 0 to the largest value */
    PORTRAIT_SAMPLES = 4,   /* of each interval */
    PORTRAIT_BINS = 40,     /* of the histogram, equal parts of 0 to the largest value */
};

struct context { /* a row, with those around it */
    uint32_t row;
    float value;
};

struct portrait {
    uint64_t rows; /* at which it fires */
    float largest; /* 0: it never fires */
    double mean;   /* where it fires */
    uint64_t histogram[PORTRAIT_BINS];
    struct context top[PORTRAIT_TOP]; /* largest first; ties: the earlier row */
    uint32_t tops;
    uint64_t interval_rows[PORTRAIT_INTERVALS];
    /* Drawn evenly among the sequences that have one in the interval, by a hash: of each the largest
     * there. None that is among `top`. */
    struct context sample[PORTRAIT_INTERVALS][PORTRAIT_SAMPLES];
    uint32_t samples[PORTRAIT_INTERVALS];
};

/* Of the hits of `feature`, in order of rows. A pure function of them. */
void portrait_make(const struct record_view *view, uint32_t feature, const struct hit *hits,
                   uint64_t count, struct portrait *portrait);

/* The rows of a context: *first to *end, all of its row's sequence. */
void portrait_window(const struct record_view *view, uint32_t row, uint64_t *first, uint64_t *end);

#endif
