/*
 * From rows that list their features to features that list their rows, without more memory than is
 * given. Pieces of the rows that fit are sorted by counting; as they are pieces in the order of rows, a
 * feature's rows are those of the first piece, then those of the second, and so on. So what comes out
 * does not depend on where the pieces end.
 */
#ifndef SLUICE_INSPECT_SORTER_H
#define SLUICE_INSPECT_SORTER_H

#include "inspect/records.h"

struct hit { /* a feature fired at a row; 8 bytes, as in the file */
    uint32_t row;
    float value;
};

enum { SORTER_MOST_ROWS_LOG2 = 32 }; /* a row's number has 32 bits */

/* The least memory that sorter_make() can do with; ERR_LIMIT: `memory_bytes` is less. */
uint64_t sorter_least_bytes(uint32_t features);
int sorter_check(uint32_t features, uint64_t memory_bytes);

/* Write FOLDER/sorted, replacing what is there; FOLDER/pieces is made and removed. memory_bytes:
 * allocated at most. ERR_LIMIT: that is too little, or there are too many rows; ERR_NOMEM,
 * ERR_NOSPC, ERR_IO. Blocks for as long as reading and writing all of it twice takes. */
int sorter_make(const char *folder, const struct record_view *view, uint32_t features,
                uint64_t memory_bytes);

struct sorted { /* mapped */
    const struct hit *hit;
    uint64_t *start; /* (features + 1): where a feature's hits begin; owned */
    struct mapped map;
};

/* Map what sorter_make() wrote of `view`. ERR_CORRUPT, ERR_NOMEM, ERR_IO. On success the caller ends
 * with sorter_unmap(). */
int sorter_map(const char *folder, const struct record_view *view, uint32_t features,
               struct sorted *sorted);
void sorter_unmap(struct sorted *sorted);

#endif
