#include "tests/bench/pairs.h"

#include <stdlib.h>
#include <string.h>

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts them. */
static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, rising);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static double median_of(const double *values, int count)
{
    double sorted[PAIRS_MOST];
    memcpy(sorted, values, (size_t)count * sizeof *values);
    return median(sorted, count);
}

static double drawn_median(const double *values, int count, uint64_t *state)
{
    double drawn[PAIRS_MOST];
    for (int i = 0; i < count; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        drawn[i] = values[(*state >> 33) % (uint64_t)count];
    }
    return median(drawn, count);
}

void pairs_add(struct pairs *pairs, double first, double second)
{
    if (pairs->count == PAIRS_MOST || !(first > 0) || !(second > 0)) return;
    pairs->first[pairs->count] = first;
    pairs->second[pairs->count++] = second;
}

void pairs_compare(const struct pairs *pairs, uint64_t seed, struct pairs_change *change)
{
    static double medians[PAIRS_DRAWS];
    double percent[PAIRS_MOST];
    *change = (struct pairs_change){0};
    if (!pairs->count) return;
    for (int i = 0; i < pairs->count; i++)
        percent[i] = (pairs->second[i] / pairs->first[i] - 1) * 100;
    for (int i = 0; i < PAIRS_DRAWS; i++) medians[i] = drawn_median(percent, pairs->count, &seed);
    qsort(medians, PAIRS_DRAWS, sizeof *medians, rising);
    change->least = medians[PAIRS_DRAWS / 40];
    change->most = medians[PAIRS_DRAWS - 1 - PAIRS_DRAWS / 40];
    change->percent = median_of(percent, pairs->count);
    change->first = median_of(pairs->first, pairs->count);
    change->second = median_of(pairs->second, pairs->count);
}
