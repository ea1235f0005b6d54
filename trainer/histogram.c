#include "trainer/histogram.h"

#include <math.h>

static void measure(const float *values, uint32_t n, struct histogram *h)
{
    *h = (struct histogram){.min = values[0], .max = values[0], .num = n};
    for (uint32_t i = 0; i < n; i++) {
        h->min = fmin(h->min, values[i]);
        h->max = fmax(h->max, values[i]);
        h->sum += values[i];
        h->sum_squares += (double)values[i] * values[i];
    }
}

static uint32_t bucket_of(const struct histogram *h, double value, double low, double width)
{
    double at = width > 0 ? (value - low) / width : 0;
    uint32_t b = at < h->buckets ? (uint32_t)fmax(at, 0) : h->buckets - 1;
    while (b > 0 && value <= h->limit[b - 1]) b--; /* `at` is rounded */
    while (b + 1 < h->buckets && value > h->limit[b]) b++;
    return b;
}

static void divide(const float *values, uint32_t n, double low, double high, struct histogram *h)
{
    double width = (high - low) / HISTOGRAM_BUCKETS;
    h->buckets = width > 0 ? HISTOGRAM_BUCKETS : 1;
    for (uint32_t b = 0; b < h->buckets; b++) h->limit[b] = low + (b + 1) * width;
    h->limit[h->buckets - 1] = high;
    for (uint32_t i = 0; i < n; i++) h->count[bucket_of(h, values[i], low, width)]++;
}

void histogram_make(const float *values, uint32_t n, double low, double high, struct histogram *h)
{
    measure(values, n, h);
    divide(values, n, low, high, h);
}

void histogram_make_about(const float *values, uint32_t n, struct histogram *h)
{
    measure(values, n, h);
    divide(values, n, h->min, h->max, h);
}
