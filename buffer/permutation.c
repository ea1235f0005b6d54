#include "buffer/permutation.h"

#include "base/rng.h"

#include <math.h>

enum { ROUNDS = 8 };

struct permutation permutation_of(uint32_t n)
{
    struct permutation p = {.n = n};
    p.a = (uint32_t)ceil(sqrt((double)n));
    p.b = (n + p.a - 1) / p.a;
    return p;
}

/* A number below `bound`, from one half, the key and the round. */
static uint32_t round_value(uint64_t key, uint32_t round, uint32_t half, uint32_t bound)
{
    uint64_t h = hash_u64(key ^ ((uint64_t)round << 32 | half));
    return (uint32_t)(((h >> 32) * bound) >> 32);
}

uint32_t permutation_at(const struct permutation *p, uint64_t key, uint32_t i)
{
    do {
        uint32_t left = i % p->a, right = i / p->a; /* left < a, right < b */
        for (uint32_t round = 0; round < ROUNDS; round += 2) {
            left += round_value(key, round, right, p->a);
            if (left >= p->a) left -= p->a;
            right += round_value(key, round + 1, left, p->b);
            if (right >= p->b) right -= p->b;
        }
        i = right * p->a + left;
    } while (i >= p->n);
    return i;
}
