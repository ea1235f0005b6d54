/*
 * Records in the order in which a corpus has its rows: by sequence, then by position, each row once.
 * Rows of a buffer come in the order in which producers sent them, and some may have been made and
 * sent again.
 */
#ifndef SLUICE_INSPECT_ARRANGE_H
#define SLUICE_INSPECT_ARRANGE_H

#include "inspect/records.h"

struct arranged {
    uint64_t kept_rows; /* written, not left out */
    uint64_t again;     /* rows that were there a second time, and were passed over */
};

/* Append the rows of `from` to `to`, in order. What is written depends on the rows alone, not on their
 * order. memory_bytes: allocated at most; it takes 32 for each row. ERR_LIMIT: that is too little;
 * ERR_NOMEM, ERR_NOSPC, ERR_IO. */
int arrange_rows(const struct record_view *from, uint64_t memory_bytes, struct records *to,
                 struct arranged *arranged);

#endif
