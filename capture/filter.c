#include "capture/filter.h"

#include "base/err.h"
#include "engine/engine.h"
#include "proto/rows.h"

#include <inttypes.h>

enum { ENOUGH_ROWS = 1024 }; /* before a share of rejected rows means something */

enum filter_verdict filter_token(const struct descriptor *d, uint8_t flags)
{
    if ((flags & ENGINE_ROW_FIRST) && !d->keep_sinks) return FILTER_FIRST;
    if ((flags & ENGINE_ROW_SPECIAL) && !d->keep_special) return FILTER_SPECIAL;
    return FILTER_KEEP;
}

double filter_square(const float *values, uint32_t width)
{
    double sum[4] = {0};
    uint32_t i = 0;
    for (; i + 4 <= width; i += 4)
        for (uint32_t j = 0; j < 4; j++) sum[j] += (double)values[i + j] * values[i + j];
    for (; i < width; i++) sum[0] += (double)values[i] * values[i];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

enum filter_verdict filter_row(const struct descriptor *d, uint8_t flags, const float *values)
{
    enum filter_verdict verdict = filter_token(d, flags);
    if (verdict != FILTER_KEEP) return verdict;
    if (!rows_finite(d->dtype, d->width, values)) return FILTER_NOT_FINITE;
    for (uint32_t h = 0; h < d->hooks; h++) {
        double limit = d->hook[h].norm_limit;
        if (limit > 0 && filter_square(values, d->hook[h].width) > limit * limit)
            return FILTER_NORM;
        values += d->hook[h].width;
    }
    return FILTER_KEEP;
}

int filter_rejected(uint64_t rejected_rows, uint64_t captured_rows, double max_share, int final)
{
    if (!final && captured_rows < ENOUGH_ROWS) return ERR_OK;
    if ((double)rejected_rows <= max_share * (double)captured_rows) return ERR_OK;
    return err_set(
        ERR_USAGE,
        "%" PRIu64 " of %" PRIu64 " rows are not finite, more than "
        "capture.max_rejected_share = %g allows; HINT: the model's precision is the usual "
        "cause (try capture.exact_model: true, or stream.dtype: f32)",
        rejected_rows, captured_rows, max_share);
}
