/*
 * Which features tell two groups of texts apart. Of each text a feature has one number, such as the
 * mean of its values over the text's tokens. A feature's effect is the difference of the groups'
 * means in units of their pooled standard deviation (Cohen's d). How easily chance gives as large
 * an effect is asked by shuffling which text is of which group: p counts the shuffles in which any
 * feature's effect is as large (the largest of all, so that having looked at thousands of features
 * is paid for: Westfall and Young's maxT).
 */
#ifndef SLUICE_INSPECT_CONTRAST_H
#define SLUICE_INSPECT_CONTRAST_H

#include <stddef.h>
#include <stdint.h>

struct contrast {
    uint32_t feature;
    double mean[2]; /* of the groups */
    double effect;  /* > 0: the first group's mean is larger; infinite where neither varies */
    double p;       /* of the test with all features; 1 / (shuffles + 1) at least */
};

/* values (texts, features); group[texts]: 0 or 1, and each has two texts at least. Features that are
 * 0 in all texts are left out. Gives *count contrasts, the largest effects first (ties: lower
 * feature first), malloc'ed; the caller frees. The same seed gives the same p. ERR_USAGE: a group
 * has fewer than two texts; ERR_NOMEM. Takes shuffles * texts * features steps. */
int contrast_rank(const float *values, const uint8_t *group, size_t texts, uint32_t features,
                  uint32_t shuffles, uint64_t seed, struct contrast **ranked, size_t *count);

#endif
