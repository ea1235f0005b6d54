/*
 * Random orders of 0..n-1 that need no memory: place i of the order numbered `key` is computed, not
 * looked up. A Feistel network over an a x b rectangle just larger than n, walked until it comes
 * out below n (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
 */
#ifndef SLUICE_BUFFER_PERMUTATION_H
#define SLUICE_BUFFER_PERMUTATION_H

#include <stdint.h>

struct permutation {
    uint32_t n, a, b; /* a * b >= n */
};

/* The shape for n, 1 <= n <= 2^31. */
struct permutation permutation_of(uint32_t n);

/* Where place i < n goes under `key`: for each key a bijection of 0..n-1. */
uint32_t permutation_at(const struct permutation *p, uint64_t key, uint32_t i);

#endif
