#include "trainer/seen.h"

#include "base/err.h"

#include <stdlib.h>

int seen_open(struct training *t)
{
    if (t->plan.widest == 0) return ERR_OK;
    t->seen = malloc((size_t)t->plan.batch_rows * t->plan.widest * sizeof *t->seen);
    return t->seen ? ERR_OK : err_set(ERR_NOMEM, "no memory for a batch of some hooks");
}

const float *seen_batch(struct training *t, uint32_t i)
{
    const struct view *v = &t->plan.view[i];
    if (v->is_whole) return t->values;
    view_gather(v, t->values, t->plan.width, t->batch.rows, t->seen);
    return t->seen;
}

const float *seen_mean(struct training *t, uint32_t i)
{
    const struct view *v = &t->plan.view[i];
    if (v->is_whole) return t->plan.mean;
    view_gather(v, t->plan.mean, t->plan.width, 1, t->seen);
    return t->seen;
}

int seen_begin(const struct training *t, uint32_t i, int with_rows, struct seen *seen)
{
    const struct view *v = &t->plan.view[i];
    uint64_t rows = with_rows && !v->is_whole ? held_out_rows(t->held_out) : 0;
    int result = ERR_OK;
    *seen = (struct seen){.scale = malloc(v->width * sizeof *seen->scale)};
    if (rows) seen->rows = malloc(rows * v->width * sizeof *seen->rows);
    if (!seen->scale || (rows && !seen->rows))
        result = err_set(ERR_NOMEM, "no memory for what an autoencoder sees");
    if (result == ERR_OK && t->whiten && !v->is_whole)
        result = whiten_select(t->whiten, v->place, v->hooks, &seen->of_some);
    if (result != ERR_OK) {
        seen_end(seen);
        return result;
    }
    seen->whiten = v->is_whole ? t->whiten : seen->of_some;
    view_gather(v, t->plan.scale, t->plan.width, 1, seen->scale);
    view_gather(v, held_out_values(t->held_out), t->plan.width, rows, seen->rows);
    return ERR_OK;
}

void seen_end(struct seen *seen)
{
    free(seen->rows);
    free(seen->scale);
    whiten_free(seen->of_some);
    *seen = (struct seen){0};
}
