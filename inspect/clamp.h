/*
 * Features held at a value while a model computes. With x = SAE(x) + error and the error kept, a
 * clamp of feature i to the value c is x + (c - f_i) W_dec,i: all that is not the feature stays. An
 * addition is x + c W_dec,i whatever f_i is, as a control vector does.
 */
#ifndef SLUICE_INSPECT_CLAMP_H
#define SLUICE_INSPECT_CLAMP_H

#include "inspect/subject.h"

enum { CLAMP_MOST = 64 };

struct clamp {
    uint32_t feature;
    double strength; /* times of the largest activation */
    int is_value;    /* no: it is the value itself */
    double largest;  /* activation; NaN: nobody told it */
};

struct clamps {
    struct subject *subject;
    struct clamp clamp[CLAMP_MOST];
    uint32_t count;
    int adds; /* 1: additions */
    const float
        *directions;      /* (count, width): what moves a row, for each unit of a feature's value;
                              * NULL: the features' own directions */
    uint32_t first, last; /* positions of the sequence that are steered; inclusive */
    const uint8_t
        *spared; /* (positions): rows that keep what they have, and with them those that are
                            * beyond the SAE's norm limit; NULL: none */
    uint64_t steered_rows; /* so far */
    double moved;          /* so far: sum over rows of the length that they were moved by */
};

/* "123=4x", "77=-2": a clamp, its .largest NaN; with
 * `is_shared` "123", or "123=-1", a share of a strength that is told elsewhere (steering.h). *text
 * goes behind it. 0: it is none. */
int clamp_take(const char **text, int is_shared, struct clamp *clamp);
/* "123=7.5": a number and a value, of --max. 0: it is none. */
int clamp_take_pair(const char **text, uint32_t *feature, double *value);
/* The clamp of this feature; NULL: there is none. */
struct clamp *clamp_find(struct clamps *clamps, uint32_t feature);

/* Steer rows (n, width), raw, of the positions from `first` on. Errors of subject_encode(). */
int clamp_rows(struct clamps *clamps, uint32_t first, uint32_t n, float *rows);

/* Directions for .directions, as a control: random ones, each as long as the feature's own. Malloc'ed;
 * NULL: no memory. */
float *clamp_random_directions(const struct clamps *clamps, uint64_t seed);

/* The value that a clamp holds its feature at, and how many times the largest activation that is. NaN:
 * it takes the largest activation, which nobody told. */
double clamp_value(const struct clamp *clamp);
double clamp_times(const struct clamp *clamp);
/* The length of what an addition of it adds to a row. */
double clamp_length(const struct subject *subject, const struct clamp *clamp);

#endif
