/*
 * BatchTopK (Bussmann et al. 2024, arXiv 2412.06410): the K B largest pre-activations of a batch
 * stay, so a row may have more or fewer than K. A row has at most room.keep (64 K).
 *
 * One product is enough where the last step's least value tells a floor that a little more than
 * K B exceed. Where it doesn't, a histogram of all pre-activations, from a product of its own,
 * tells one that lets enough through; where that is too much, it is searched for from there.
 */
#include "sae/cpu/encode.h"
#include "sae/cpu/train.h"

#include <math.h>
#include <string.h>

enum { BIN_SHIFT = 16 }; /* bins by a float's upper bits: 128 an octave */
_Static_assert(BATCH_TOPK_BINS == 1 << (31 - BIN_SHIFT), "a bin for every float above zero");

/* Of the threshold's moving average. The paper leaves it open; SAELens has 0.01 throughout. The
 * least value falls steeply as training begins, so a young average is one of the last tenth of the
 * steps. */
static float threshold_rate(uint64_t steps)
{
    float young = 10.0f / (10.0f + (float)steps);
    return young > 0.01f ? young : 0.01f;
}
/* Of the last step's least value: so much lower is the next one's floor. On SmolLM2's rows the
 * least value falls by 2.5 % a step at most, and some 1.5 K B exceed such a floor at F 18,432; at
 * 0.9 more than twice K B did, for which there is no room. */
static const float floor_share = 0.95f;

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static void count_block(void *arg, uint32_t item, uint32_t thread)
{
    struct dictionary *d = arg;
    struct encode_scratch *scratch = &d->e.scratch[thread];
    float *block = scratch->block, *slack = scratch->active.slack;
    uint64_t *bins = d->scratch[thread].bins;
    uint32_t first, n = encode_block_of(&d->e, item, &first);
    encode_bounds(&d->e, first, n, 0, scratch);
    for (uint32_t f = 0, m; f < d->e.features; f += m) {
        m = encode_features_of_block(&d->e, f);
        encode_product(&d->e, first, n, f, d->e.w.w_enc + (size_t)f * d->e.width_in, m, block);
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t i = 0; i < m; i++) {
                /* What it is at least, as the floor must let enough through. */
                float x = block[(size_t)r * m + i] + d->e.w.b_enc[f + i];
                x -= slack[r] + COLLECTOR_SUM_ERROR * fabsf(x);
                if (x > 0) bins[bits_of(x) >> BIN_SHIFT]++;
            }
    }
}

/* The highest edge of a bin that at least `wanted` pre-activations exceed; 0 where there is
 * none. */
static float counted_floor(struct dictionary *d, uint64_t wanted)
{
    uint32_t threads = pool_threads(d->e.pool);
    for (uint32_t t = 0; t < threads; t++)
        memset(d->scratch[t].bins, 0, BATCH_TOPK_BINS * sizeof *d->scratch[t].bins);
    pool_run(d->e.pool, count_block, d, encode_blocks(&d->e));
    uint64_t count = 0;
    for (uint32_t b = BATCH_TOPK_BINS; b-- > 1;) {
        for (uint32_t t = 0; t < threads; t++) count += d->scratch[t].bins[b];
        if (count >= wanted) return float_of((b << BIN_SHIFT) - 1);
    }
    return 0;
}

/* Encode with a floor that lets at least `wanted` pairs through, or all above zero, and no more
 * than there is room for. */
static void encode_counted(struct dictionary *d, uint32_t wanted)
{
    float floor = counted_floor(d, wanted);
    if (rows_encode(d, floor)) return;
    /* Where bounds are wide, or many values almost equal: too many exceed `low`, and fewer than
     * there is room for `high`; halved, as bits, until a floor is right. Where nothing lies between
     * them any more, more values are equal than there is room for, and none of them is taken. */
    uint32_t low = bits_of(floor), high = bits_of(INFINITY);
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (!rows_encode(d, float_of(middle)))
            low = middle;
        else if (atomic_load(&d->e.active.used) < wanted)
            high = middle;
        else
            return;
    }
    rows_encode(d, float_of(high));
}

/* Of the listed pairs, only the `wanted` largest; of equal ones the lower (row, feature) stays. */
static void trim(struct dictionary *d, uint32_t wanted)
{
    struct row_lists *lists = &d->e.active;
    uint32_t used = atomic_load(&lists->used), larger = 0;
    uint32_t stay = used < wanted ? used : wanted;
    d->least = stay > 0 ? d->e.kernels->kth(lists->value, used, stay, 0) : 0;
    for (uint32_t i = 0; i < used; i++) larger += lists->value[i] > d->least;
    uint32_t equal = stay - larger;
    for (uint32_t r = 0; r < d->e.rows; r++) {
        uint32_t *index = lists->index + lists->start[r], kept = 0;
        float *value = lists->value + lists->start[r];
        for (uint32_t j = 0; j < lists->count[r]; j++) {
            if (!(value[j] > d->least)) {
                if (value[j] < d->least || equal == 0) continue;
                equal--;
            }
            index[kept] = index[j];
            value[kept++] = value[j];
        }
        lists->count[r] = kept;
    }
}

void batch_topk_encode(struct dictionary *d)
{
    uint32_t wanted = d->e.options->k * d->e.rows;
    int enough = d->floor > 0 && rows_encode(d, d->floor);
    if (!enough || atomic_load(&d->e.active.used) < wanted) encode_counted(d, wanted);
    trim(d, wanted);
}

void batch_topk_learn(struct dictionary *d)
{
    float rate = threshold_rate(d->sae->steps);
    for (uint32_t f = 0; f < d->e.features; f++)
        d->e.threshold[f] += rate * (d->least - d->e.threshold[f]);
    d->floor = floor_share * d->least;
}
