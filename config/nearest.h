/* "Did you mean": the nearest of some known words. */
#ifndef SLUICE_CONFIG_NEAREST_H
#define SLUICE_CONFIG_NEAREST_H

struct nearest {
    const char *wanted;
    const char *best;
    unsigned best_distance;
};

/* Begin a search, then offer every known word; nearest_word() is the nearest one that is near
 * enough to be meant (a third of its letters may differ), NULL if none is. Words over 63 bytes
 * match none. Nothing allocates or fails. */
void nearest_begin(struct nearest *n, const char *wanted);
void nearest_offer(struct nearest *n, const char *word);
const char *nearest_word(const struct nearest *n);

#endif
