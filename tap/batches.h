/*
 * What the program has put into a llama_batch_ext, which is opaque: llama.cpp's newer kind of batch, for
 * llama_process(). Kept beside each, call by call. Knows no llama.cpp.
 */
#ifndef SLUICE_TAP_BATCHES_H
#define SLUICE_TAP_BATCHES_H

#include <stdint.h>

enum { BATCH_SLOTS_MOST = 256 }; /* that a llama.cpp context has at most */

struct batch_entry {
    int32_t token;                          /* -1: none */
    int32_t position;                       /* -1: not set yet */
    int32_t slot;                           /* its first sequence */
    int32_t sequences;                      /* that it belongs to */
    uint64_t others[BATCH_SLOTS_MOST / 64]; /* those beside the first, a bit each */
    int has_embedding;
};

struct batch {
    const void *key; /* the program's batch; NULL: free */
    uint32_t count, room;
    int is_incomplete; /* something of it could not be kept */
    struct batch_entry *entry;
};

/* The program made a batch, emptied it, freed it. From then on batches_find() knows it, or not: NULL for
 * one beyond the 64th. */
void batches_open(const void *key);
void batches_clear(const void *key);
void batches_close(const void *key);
const struct batch *batches_find(const void *key);

/* An entry was added, as number `index`. */
void batches_add(const void *key, int32_t index, int32_t slot, int32_t token, int has_embedding);
void batches_share(const void *key, int32_t index, int32_t slot);
void batches_set_embedding(const void *key, int32_t index);
void batches_set_position(const void *key, int32_t index, int32_t position);

#endif
