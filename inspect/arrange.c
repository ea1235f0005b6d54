#include "inspect/arrange.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdlib.h>

struct place {
    uint64_t sequence;
    uint32_t position, row;
};

enum { BYTES_PER_ROW = 2 * sizeof(struct place) }; /* qsort() may take as much again */

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->sequence != y->sequence) return x->sequence < y->sequence ? -1 : 1;
    if (x->position != y->position) return x->position < y->position ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

static int is_same(const struct place *a, const struct place *b)
{
    return a->sequence == b->sequence && a->position == b->position;
}

static int write_rows(const struct record_view *v, const struct place *place, struct records *to,
                      struct arranged *arranged)
{
    int result = ERR_OK;
    for (uint64_t i = 0; i < v->rows && result == ERR_OK; i++) {
        const struct record_row *row = &v->row[place[i].row];
        if (i > 0 && is_same(&place[i - 1], &place[i])) {
            arranged->again++;
            continue;
        }
        arranged->kept_rows += !row->is_left_out;
        result =
            records_copy(to, row, v->pair + row->start, record_end(v, place[i].row) - row->start);
    }
    return result;
}

int arrange_rows(const struct record_view *v, uint64_t memory_bytes, struct records *to,
                 struct arranged *arranged)
{
    *arranged = (struct arranged){0};
    if (v->rows > UINT32_MAX || v->rows > memory_bytes / BYTES_PER_ROW)
        return err_set(ERR_LIMIT,
                       "%" PRIu64 " rows take %" PRIu64 " MiB to be put in order; HINT: a larger "
                       "--memory, or fewer --tokens",
                       v->rows, (v->rows * BYTES_PER_ROW >> 20) + 1);
    struct place *place = malloc((v->rows + 1) * sizeof *place);
    if (!place) return err_set(ERR_NOMEM, "no memory to put rows in order");
    for (uint64_t r = 0; r < v->rows; r++)
        place[r] = (struct place){v->row[r].sequence, v->row[r].position, (uint32_t)r};
    qsort(place, v->rows, sizeof *place, by_place);
    int result = write_rows(v, place, to, arranged);
    free(place);
    return result;
}
