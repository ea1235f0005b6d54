/*
 * Rows that are gathered, encoded GATHER_ROWS at a time into records. A row that the SAE was not
 * trained on (subject_keeps()), or at which a feature's value is not finite, is left out: nothing fires
 * at it.
 */
#ifndef SLUICE_INSPECT_BLOCK_H
#define SLUICE_INSPECT_BLOCK_H

#include "inspect/records.h"
#include "inspect/subject.h"

enum { GATHER_ROWS = 256 };

struct block {
    struct subject *subject;
    struct records *records;
    float *values; /* (GATHER_ROWS, width); owned */
    struct row_id id[GATHER_ROWS];
    uint8_t is_left_out[GATHER_ROWS];
    uint32_t rows;      /* at hand */
    uint64_t kept_rows; /* of all that were written, not left out */
};

/* Both are lent. ERR_NOMEM. block_fini() frees. */
int block_init(struct block *block, struct subject *subject, struct records *records);
void block_fini(struct block *block);

/* Add a row of raw values (width); `flags` of enum engine_row_flags. There is room: fewer than
 * GATHER_ROWS are at hand. */
void block_add(struct block *block, const struct row_id *id, uint8_t flags, const float *values);
/* Encode what is at hand and append it to the records. Errors of subject_encode(), records_add(). */
int block_write(struct block *block);

#endif
