#include "capture/judge.h"

#include "base/err.h"
#include "runtime/left_out.h"

#include <inttypes.h>

_Static_assert((int)LEFT_OUT_SKIPS == (int)ENGINE_SKIP_REASONS, "a word for each reason");

/* `part` of `whole` is more than the share allows. */
static int exceeds(uint64_t part, uint64_t whole, double max_share)
{
    return (double)part > max_share * (double)whole;
}

int judge_documents(const struct engine_documents *d, double max_share, int final)
{
    char reasons[256];
    uint64_t skipped = 0;
    for (int i = 0; i < ENGINE_SKIP_REASONS; i++) skipped += d->skipped[i];
    if ((!final && d->read < JUDGE_DOCUMENTS) || !exceeds(skipped, d->read, max_share))
        return ERR_OK;
    left_out_reasons(d->skipped, reasons, sizeof reasons);
    return err_set(ERR_USAGE,
                   "%" PRIu64 " of %" PRIu64 " documents of the corpus were skipped (%s), more "
                   "than capture.max_bad_documents = %g allows; the first: %s; HINT: mend them, or "
                   "look at capture.text_field; to go on without them raise "
                   "capture.max_bad_documents",
                   skipped, d->read, reasons, max_share,
                   d->first_skipped[0] ? d->first_skipped : "not known");
}

void judge_add(struct judge_window *w, int is_left_out)
{
    uint32_t place = (uint32_t)(w->rows++ % JUDGE_WINDOW_ROWS);
    uint8_t *byte = &w->over[place / 8], bit = (uint8_t)(1u << place % 8);
    w->left_out -= (*byte & bit) != 0;
    w->left_out += is_left_out != 0;
    *byte = is_left_out ? *byte | bit : *byte & (uint8_t)~bit;
}

int judge_filtered(const struct judge_window *w, double max_share, int final)
{
    uint64_t rows = w->rows < JUDGE_WINDOW_ROWS ? w->rows : JUDGE_WINDOW_ROWS;
    if ((!final && rows < JUDGE_WINDOW_ROWS) || !exceeds(w->left_out, rows, max_share))
        return ERR_OK;
    return err_set(ERR_USAGE,
                   "the norm filter left out %" PRIu32 " of %s%" PRIu64 " rows, more than "
                   "capture.max_filtered_share = %g allows: they are larger than those that its "
                   "limit was measured on; HINT: raise capture.measure_contexts and start over "
                   "with --fresh (or capture.max_norm_ratio, or set capture.keep_sinks: true); to "
                   "go on without these rows raise capture.max_filtered_share",
                   w->left_out, rows < w->rows ? "the last " : "", rows, max_share);
}
