#include "inspect/block.h"

#include "base/err.h"
#include "engine/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int block_init(struct block *b, struct subject *subject, struct records *records)
{
    *b = (struct block){.subject = subject, .records = records};
    b->values = malloc((size_t)GATHER_ROWS * subject->width * sizeof *b->values);
    return b->values ? ERR_OK : err_set(ERR_NOMEM, "no memory to read rows");
}

void block_fini(struct block *b)
{
    free(b->values);
    b->values = NULL;
}

/* A row that is left out is encoded as 0, and what fires is dropped. */
void block_add(struct block *b, const struct row_id *id, uint8_t flags, const float *values)
{
    uint32_t width = b->subject->width;
    float *to = b->values + (size_t)b->rows * width;
    int keeps =
        subject_keeps(b->subject, flags & ENGINE_ROW_SPECIAL, flags & ENGINE_ROW_FIRST, values);
    if (keeps)
        memcpy(to, values, width * sizeof *to);
    else
        memset(to, 0, width * sizeof *to);
    b->id[b->rows] = *id;
    b->is_left_out[b->rows++] = (uint8_t)!keeps;
}

/* Rows of numbers so large that a feature's value is none. */
static int is_finite(const struct pairs *pairs, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++)
        if (!isfinite(pairs->value[i])) return 0;
    return 1;
}

int block_write(struct block *b)
{
    struct pairs pairs;
    int result = subject_encode(b->subject, b->values, b->rows, &pairs);
    if (result != ERR_OK) return result;
    for (uint32_t r = 0; r < b->rows && result == ERR_OK; r++) {
        uint64_t at = pairs.start[r], end = pairs.start[r + 1];
        if (!is_finite(&pairs, at, end)) b->is_left_out[r] = 1;
        uint64_t n = b->is_left_out[r] ? 0 : end - at;
        b->kept_rows += !b->is_left_out[r];
        result = records_add(b->records, &b->id[r], b->is_left_out[r], pairs.feature + at,
                             pairs.value + at, n);
    }
    pairs_free(&pairs);
    b->rows = 0;
    return result;
}
