#include "buffer/quality.h"

#include "base/err.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int quality_init(struct quality *q, size_t most)
{
    q->places = 16;
    while (q->places < 2 * most) q->places *= 2;
    q->round = 1;
    q->entry = calloc(q->places, sizeof *q->entry);
    return q->entry ? ERR_OK : err_set(ERR_NOMEM, "no memory to measure batches of %zu rows", most);
}

void quality_fini(struct quality *q)
{
    free(q->entry);
    memset(q, 0, sizeof *q);
}

void quality_empty(struct quality *q)
{
    if (++q->round != 0) return;
    memset(q->entry, 0, q->places * sizeof *q->entry);
    q->round = 1;
}

uint32_t quality_add(struct quality *q, uint64_t word)
{
    size_t i = hash_u64(word) & (q->places - 1);
    while (q->entry[i].round == q->round && q->entry[i].word != word) i = (i + 1) & (q->places - 1);
    if (q->entry[i].round != q->round)
        q->entry[i] = (struct quality_entry){.word = word, .round = q->round};
    return ++q->entry[i].count;
}

void quality_of(const struct quality *q, size_t n, double *pairs, double *entropy)
{
    *pairs = *entropy = 0;
    for (size_t i = 0; i < q->places; i++) {
        if (q->entry[i].round != q->round) continue;
        double count = q->entry[i].count, share = count / (double)n;
        *pairs += count * (count - 1) / 2;
        *entropy -= share * log(share);
    }
}
