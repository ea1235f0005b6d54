#include "sink/credit.h"

#include "buffer/store.h"

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Room that nobody else may take from a producer: what it was promised, or, while fewer than two of
 * its slabs are in the buffer, what is lacking to two. */
static uint64_t kept(const struct credit_account *a)
{
    uint64_t lacking = STORE_KEPT_SLABS - least(a->stored_slabs, STORE_KEPT_SLABS);
    return most(a->reserved_slabs, lacking);
}

uint64_t credit_slabs(const struct credit_account *accounts, uint32_t producers, uint32_t i,
                      uint64_t free_slabs, uint64_t window_slabs)
{
    if (!accounts[i].is_live || accounts[i].has_ended) return 0;
    uint64_t others = 0, sharing = 1;
    for (uint32_t q = 0; q < producers; q++) {
        if (q == i || accounts[q].has_ended) continue;
        others += kept(&accounts[q]);
        sharing++;
    }
    uint64_t available = free_slabs > others ? free_slabs - others : 0;
    uint64_t fair = most(free_slabs / sharing, STORE_KEPT_SLABS);
    return most(accounts[i].reserved_slabs, least(least(available, fair), window_slabs));
}
