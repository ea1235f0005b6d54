/*
 * Random numbers whose whole state can be written down and taken up again, and hashes of small
 * integers. xoshiro256** and splitmix64 after Blackman and Vigna (prng.di.unimi.it, public domain
 * algorithms). Nothing here blocks, allocates or fails.
 */
#ifndef SLUICE_BASE_RNG_H
#define SLUICE_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* Seed all four words from one (through splitmix64, so any seed will do, 0 too). */
void rng_seed(struct rng *r, uint64_t seed);

/* Next 64 random bits. */
uint64_t rng_u64(struct rng *r);

/* Uniform in [0, bound) without bias; bound must be > 0 (Lemire's multiply-and-reject). */
uint64_t rng_below(struct rng *r, uint64_t bound);

/* Uniform in [0, 1), 53 bits. */
double rng_unit(struct rng *r);

/* Standard normal (Box-Muller). One of the pair is thrown away, so the state stays four words. */
double rng_normal(struct rng *r);

/* One splitmix64 finalizer step: a good mix of one word. */
uint64_t hash_u64(uint64_t x);

/* Mix of up to four words, order matters; the seed of permutations and splits. */
uint64_t hash_words(uint64_t a, uint64_t b, uint64_t c, uint64_t d);

#endif
