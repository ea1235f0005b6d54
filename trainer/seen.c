#include "trainer/seen.h"

#include "base/err.h"

#include <stdlib.h>

int seen_open(struct training *t)
{
    if (t->plan.widest == 0) return ERR_OK;
    t->seen = malloc((size_t)t->plan.batch_rows * t->plan.widest * sizeof *t->seen);
    return t->seen ? ERR_OK : err_set(ERR_NOMEM, "no memory for a batch of some hooks");
}

/* (rows, the plan's width) as SAE i sees them. */
static const float *as_seen(struct training *t, uint32_t i, const float *values, uint64_t rows)
{
    const struct view *v = &t->plan.view[i];
    if (v->is_whole) return values;
    view_gather(v, values, t->plan.width, rows, t->seen);
    return t->seen;
}

const float *seen_batch(struct training *t, uint32_t i)
{
    return as_seen(t, i, t->values, t->batch.rows);
}

const float *seen_mean(struct training *t, uint32_t i)
{
    return as_seen(t, i, t->plan.mean, 1);
}

int seen_begin(const struct training *t, uint32_t i, int with_rows, struct seen *seen)
{
    const struct view *v = &t->plan.view[i];
    uint64_t rows = with_rows && !v->is_whole ? held_out_rows(t->held_out) : 0;
    *seen = (struct seen){0};
    int result = provenance_fold_begin(v, t->plan.scale, t->whiten, &seen->fold);
    if (result == ERR_OK && rows) {
        seen->rows = malloc(rows * v->width * sizeof *seen->rows);
        if (!seen->rows) result = err_set(ERR_NOMEM, "no memory for what an autoencoder sees");
    }
    if (result != ERR_OK)
        seen_end(seen);
    else if (rows)
        view_gather(v, held_out_values(t->held_out), t->plan.width, rows, seen->rows);
    return result;
}

void seen_end(struct seen *seen)
{
    free(seen->rows);
    provenance_fold_end(&seen->fold);
    *seen = (struct seen){0};
}
