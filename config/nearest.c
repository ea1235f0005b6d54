#include "config/nearest.h"

#include <limits.h>
#include <string.h>

enum { WORD_BYTES = 64 };

/* Edit distance in which swapping two neighbours counts once; UINT_MAX for words too long. */
static unsigned distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na >= WORD_BYTES || nb >= WORD_BYTES) return UINT_MAX;
    unsigned row[3][WORD_BYTES + 1];
    for (size_t j = 0; j <= nb; j++) row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *now = row[i % 3], *above = row[(i + 2) % 3], *two_above = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two_above[j - 2] + 1 < best)
                best = two_above[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

void nearest_begin(struct nearest *n, const char *wanted)
{
    *n = (struct nearest){.wanted = wanted, .best_distance = UINT_MAX};
}

void nearest_offer(struct nearest *n, const char *word)
{
    unsigned d = distance(n->wanted, word);
    if (d >= n->best_distance) return;
    n->best = word;
    n->best_distance = d;
}

const char *nearest_word(const struct nearest *n)
{
    if (!n->best) return NULL;
    size_t length = strlen(n->best);
    return n->best_distance <= (length < 3 ? 1 : (length + 2) / 3) ? n->best : NULL;
}
