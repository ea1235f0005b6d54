#include "engine/span.h"

#include "base/err.h"

#include <inttypes.h>

enum { BATCH_ROWS = 4096, BATCH_BYTES = 16 << 20 };

uint32_t span_batch_rows(uint32_t width)
{
    uint32_t rows = BATCH_BYTES / (width * (uint32_t)sizeof(float));
    if (rows > BATCH_ROWS) rows = BATCH_ROWS;
    return rows > 0 ? rows : 1;
}

int span_of_cursor(const struct cursor *cursor, uint32_t share_index, uint32_t share_count,
                   uint64_t *sequence)
{
    *sequence = cursor->sequence;
    if (cursor->sequence == 0 && cursor->position == 0) *sequence = share_index;
    if (*sequence % share_count == share_index) return ERR_OK;
    return err_set(ERR_MISMATCH,
                   "sequence %" PRIu64 " belongs to another share than %u of %u; HINT: "
                   "capture.producers must stay as it was",
                   *sequence, share_index, share_count);
}
