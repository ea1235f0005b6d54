/* How many of some values are how large: buckets of equal width. */
#ifndef SLUICE_TRAINER_HISTOGRAM_H
#define SLUICE_TRAINER_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 64 };

struct histogram {
    double min, max, num, sum, sum_squares; /* of the values themselves */
    uint32_t buckets;
    double
        limit[HISTOGRAM_BUCKETS]; /* (buckets), ascending: upper ends; a value on one is below it */
    double count[HISTOGRAM_BUCKETS]; /* (buckets) */
};

/* Of n finite values, 1 at least. Buckets reach from `low` to `high`, which no value lies beyond;
 * where the two are equal there is one. */
void histogram_make(const float *values, uint32_t n, double low, double high,
                    struct histogram *histogram);
/* The same from the least to the largest of them. */
void histogram_make_about(const float *values, uint32_t n, struct histogram *histogram);

#endif
