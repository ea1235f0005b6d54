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

/* Whether the SAE was trained on such a row. */
static int is_known(const struct subject *s, uint8_t flags, const float *values)
{
    if ((flags & ENGINE_ROW_SPECIAL) && !s->keeps_special) return 0;
    if ((flags & ENGINE_ROW_FIRST) && !s->keeps_first) return 0;
    for (uint32_t h = 0; h < s->hooks; h++) {
        double square = 0, limit = s->hook_limit[h];
        for (uint32_t i = 0; i < s->hook_width[h]; i++)
            square += (double)values[i] * (double)values[i];
        if (!isfinite(square) || (limit > 0 && square > limit * limit)) return 0;
        values += s->hook_width[h];
    }
    return 1;
}

/* A row that is left out is encoded as 0, and what fires is dropped. */
void block_add(struct block *b, const struct row_id *id, uint8_t flags, const float *values)
{
    uint32_t width = b->subject->width;
    float *to = b->values + (size_t)b->rows * width;
    int known = is_known(b->subject, flags, values);
    if (known)
        memcpy(to, values, width * sizeof *to);
    else
        memset(to, 0, width * sizeof *to);
    b->id[b->rows] = *id;
    b->is_left_out[b->rows++] = (uint8_t)!known;
}

int block_write(struct block *b)
{
    struct pairs pairs;
    int result = subject_encode(b->subject, b->values, b->rows, &pairs);
    if (result != ERR_OK) return result;
    for (uint32_t r = 0; r < b->rows && result == ERR_OK; r++) {
        uint64_t at = pairs.start[r], n = b->is_left_out[r] ? 0 : pairs.start[r + 1] - at;
        b->kept_rows += !b->is_left_out[r];
        result = records_add(b->records, &b->id[r], b->is_left_out[r], pairs.feature + at,
                             pairs.value + at, n);
    }
    pairs_free(&pairs);
    b->rows = 0;
    return result;
}
