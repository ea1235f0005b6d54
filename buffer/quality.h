/*
 * How well a batch is mixed: how many pairs of its rows come from one sequence, and the entropy of
 * its sequences. Internal to buffer/.
 */
#ifndef SLUICE_BUFFER_QUALITY_H
#define SLUICE_BUFFER_QUALITY_H

#include <stddef.h>
#include <stdint.h>

/* A multiset of at most as many words as it was made for; emptied in no time. */
struct quality {
    struct quality_entry {
        uint64_t word;
        uint32_t count;
        uint32_t round; /* that the entry belongs to; others are empty */
    } * entry;
    size_t places;
    uint32_t round;
};

/* ERR_NOMEM. fini frees. */
int quality_init(struct quality *q, size_t most);
void quality_fini(struct quality *q);
void quality_empty(struct quality *q);
/* Add a word; returns how often it is there now. */
uint32_t quality_add(struct quality *q, uint64_t word);
/* Over all n words added: pairs of equal ones, and -sum of (count/n) ln(count/n), in nats. */
void quality_of(const struct quality *q, size_t n, double *pairs, double *entropy);

#endif
