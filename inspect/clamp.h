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
    double times;   /* of the largest activation */
    double largest; /* activation, as told */
};

struct clamps {
    struct subject *subject;
    struct clamp clamp[CLAMP_MOST];
    uint32_t count;
    int adds;              /* 1: additions */
    uint32_t first, last;  /* positions of the sequence that are steered; inclusive */
    const uint8_t *spared; /* (positions): rows that keep what they have; NULL: none */
    uint64_t steered_rows; /* so far */
    double moved;          /* so far: sum over rows of the length that they were moved by */
};

/* "123=4x,77=-2x": out->clamp[].feature and .times. "=4" without the x is an absolute value, for
 * which .largest is 1. ERR_USAGE. */
int clamp_parse(const char *text, struct clamps *out);
/* "123=7.5,77=3": the largest activations of those that are given in times of it. ERR_USAGE: one
 * lacks, or is of no clamp. */
int clamp_parse_largest(const char *text, struct clamps *clamps);

/* Steer rows (n, width), raw, of the positions from `first` on. Errors of subject_encode(). */
int clamp_rows(struct clamps *clamps, uint32_t first, uint32_t n, float *rows);

/* The value that a clamp holds its feature at. */
double clamp_value(const struct clamp *clamp);
/* The length of what an addition of it adds to a row. */
double clamp_length(const struct subject *subject, const struct clamp *clamp);

#endif
