#include "sink/claims.h"

#include "base/err.h"
#include "proto/rows.h"

#include <inttypes.h>

int claims_place(const struct claims *c, const struct store_producer *record,
                 const struct frame_header *h)
{
    uint64_t whole = (h->number - 1) * c->rows_per_slab;
    if (c->is_live || record->rows == whole) return ERR_OK;
    return err_set(
        ERR_MISMATCH,
        "frame %" PRIu64 " of producer %u comes behind a short one: the frames before it "
        "have %" PRIu64 " rows, not %" PRIu64 "; HINT: under `block` only the last frame "
        "of a producer may have fewer than %u rows",
        h->number, h->producer, record->rows, whole, c->rows_per_slab);
}

int claims_rows(const struct claims *c, const struct frame_header *h, const void *raw)
{
    for (uint32_t i = 0; i < h->rows; i++) {
        uint64_t sequence = rows_id(raw, i).sequence;
        if (sequence % c->producers == h->producer) continue;
        return err_set(ERR_MISMATCH,
                       "frame %" PRIu64 " of producer %u: row %u is of sequence %" PRIu64
                       ", which is in the share of producer %" PRIu64 " of %u; HINT: a producer "
                       "numbers its sequences i, i + %u, i + 2 x %u, ... (PROTOCOL.md, section 4)",
                       h->number, h->producer, i, sequence, sequence % c->producers, c->producers,
                       c->producers, c->producers);
    }
    return ERR_OK;
}

static void raise(uint64_t *kept, uint64_t said)
{
    if (said > *kept) *kept = said;
}

void claims_totals(struct frame_totals *kept, const struct frame_totals *said)
{
    raise(&kept->captured_rows, said->captured_rows);
    raise(&kept->shed_rows, said->shed_rows);
    raise(&kept->rejected_rows, said->rejected_rows);
    raise(&kept->filtered_rows, said->filtered_rows);
}
