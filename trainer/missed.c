#include "trainer/missed.h"

#include "base/err.h"
#include "runtime/log.h"
#include "runtime/process.h"

#include <inttypes.h>

static const uint64_t tell_each_ns = UINT64_C(60000000000);

int missed_begin(struct training *t)
{
    if (t->options.replay || !t->plan.descriptor.shed) return ERR_OK;
    int result = draw_look(t->draw);
    if (result == ERR_AGAIN || result == ERR_NOTFOUND) return ERR_OK;
    t->earlier_rows = draw_gauges(t->draw).rows_skipped;
    if (result == ERR_OK && t->earlier_rows > 0)
        log_event(LOG_INFO, "this consumer begins with what is in the buffer",
                  LOG_U("rows_gone_before", t->earlier_rows));
    return result;
}

uint64_t missed_rows(const struct training *t)
{
    uint64_t skipped = draw_gauges(t->draw).rows_skipped, own = t->earlier_rows + t->undrawn_rows;
    return skipped > own ? skipped - own : 0;
}

void missed_tell(struct training *t)
{
    uint64_t missed = missed_rows(t), now_ns = process_now_ns();
    if (missed <= t->told_missed || now_ns < t->tell_missed_ns) return;
    log_warn(
        "missed %" PRIu64 " rows more, %" PRIu64
        " in all: they were gone from the buffer before this trainer drew them; HINT: raise "
        "sink.size%s, lower trainer.reuse, train fewer or smaller autoencoders, or capture less",
        missed - t->told_missed, missed,
        t->config->sink.retention_seconds > 0 ? " or sink.retention" : "");
    t->told_missed = missed;
    t->tell_missed_ns = now_ns + tell_each_ns;
}

void missed_finish(struct training *t)
{
    t->undrawn_rows += draw_gauges(t->draw).draws_left;
    draw_finish(t->draw);
}
