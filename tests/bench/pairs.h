/* Figures that were measured in turns, two ways, and what the second changes: the median of the
 * ratios of the pairs, and the interval in which it lies. */
#ifndef SLUICE_TESTS_BENCH_PAIRS_H
#define SLUICE_TESTS_BENCH_PAIRS_H

#include <stdint.h>

enum { PAIRS_MOST = 1000, PAIRS_DRAWS = 4000 };

struct pairs {
    double first[PAIRS_MOST], second[PAIRS_MOST]; /* of pair i; all above 0 */
    int count;
};

struct pairs_change {
    double first, second; /* medians */
    double percent;       /* the median of second / first, less 1, in percent */
    double least, most;   /* 95 % of the medians of pairs drawn again (bootstrap) lie between */
};

/* Add a pair; those beyond PAIRS_MOST, or with a figure that is not above 0, are left out. */
void pairs_add(struct pairs *pairs, double first, double second);
/* All zero where there is no pair. The same pairs and seed give the same interval. */
void pairs_compare(const struct pairs *pairs, uint64_t seed, struct pairs_change *change);

#endif
