#include "sink/admission.h"

#include "base/err.h"

#include <string.h>

static int check_hello(const struct ledger *l, const struct message *m,
                       const struct descriptor *own)
{
    uint32_t producers = l->sessions.producers;
    if (strcmp(own->stream, l->config->stream.name))
        return err_set(ERR_MISMATCH, "this sink is of stream %s, the producer's is %s",
                       l->config->stream.name, own->stream);
    if (m->share_count != producers || own->share_count != producers)
        return err_set(ERR_MISMATCH,
                       "the producer's stream has %u producers, the sink's %u; HINT: "
                       "capture.producers must be the same for all",
                       m->share_count, producers);
    if (m->producer >= producers)
        return err_set(ERR_MISMATCH, "there is no producer %u of %u", m->producer, producers);
    if (!!own->shed != l->is_live || !!(m->flags & MESSAGE_SHED) != l->is_live)
        return err_set(ERR_MISMATCH,
                       "the producer's policy is %s, the sink's is %s; HINT: "
                       "stream.policy must be the same for all",
                       own->shed ? "shed" : "block", l->is_live ? "shed" : "block");
    return ERR_OK;
}

int admission_all_declined(const struct admission *a, const struct ledger *l)
{
    for (uint32_t p = 0; p < l->sessions.producers; p++)
        if (!a->has_declined[p]) return 0;
    return err_set(
        ERR_USAGE,
        "the corpus is empty: not one row to measure came of it, in the shares of all %u "
        "producers (what the filters leave out does not count); HINT: look at "
        "capture.corpus (or capture.files, capture.synthetic.rows)",
        l->sessions.producers);
}

/* The producer that measures is asked to; the others wait for it, and so does one that has nothing
 * to measure, unless that is true of all. A new life may have another corpus. */
static int may_measure(struct admission *a, const struct ledger *l, const struct message *m)
{
    if (!m->epoch) a->has_declined[m->producer] = 0;
    int result = admission_all_declined(a, l);
    if (result != ERR_OK) return result;
    int busy = a->has_declined[m->producer];
    for (uint32_t p = 0; p < l->sessions.producers; p++)
        busy |= p != m->producer && l->sessions.session[p].session &&
                l->sessions.session[p].is_measuring;
    return busy ? err_set(ERR_AGAIN, "another producer measures the stream") : ERR_OK;
}

int admission_epoch(struct ledger *l, uint32_t producer, uint32_t epoch, uint64_t now_ns)
{
    struct store_producer r = l->sessions.session[producer].record;
    if (r.epoch == epoch) return ERR_OK;
    r.epoch = epoch;
    r.past_totals.captured_rows += r.totals.captured_rows;
    r.past_totals.shed_rows += r.totals.shed_rows;
    r.past_totals.rejected_rows += r.totals.rejected_rows;
    r.past_totals.filtered_rows += r.totals.filtered_rows;
    r.totals = (struct frame_totals){0};
    return ledger_record(l, producer, &r, now_ns);
}

int admission_check(struct admission *a, struct ledger *l, const struct message *m,
                    const struct descriptor *own, uint64_t now_ns)
{
    int result = check_hello(l, m, own);
    if (result == ERR_OK) result = ledger_open(l, own, now_ns);
    if (result == ERR_OK && l->stock.descriptor.measured)
        return descriptor_match(&l->stock.descriptor, own);
    return result != ERR_OK ? result : may_measure(a, l, m);
}
