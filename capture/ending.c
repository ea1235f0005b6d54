#include "capture/ending.h"

#include "base/err.h"
#include "runtime/log.h"

/* A trainer looks each second; one that is dead is started again within ten. */
static const uint64_t silence_ns = UINT64_C(30000000000);
static const uint64_t pause_ns = UINT64_C(5000000000); /* between two looks: all stood still */

static int is_enough(struct ending *e, const struct config *config, uint64_t now_ns)
{
    uint64_t heard, since_ns = now_ns - e->looked_ns;
    enum finish_need need = finish_need(config, &heard);
    if (e->looked_ns && since_ns > pause_ns) {
        e->asked_ns += since_ns;
        e->heard_ns += since_ns;
    }
    e->looked_ns = now_ns;
    if (heard != e->heard) e->heard_ns = now_ns;
    e->heard = heard;
    switch (need) {
    case FINISH_NEEDS_NONE:
        return 1;
    case FINISH_SILENT:
        return now_ns >= e->asked_ns + silence_ns;
    default:
        return now_ns >= e->heard_ns + silence_ns;
    }
}

int ending_is_due(struct ending *e, const struct config *config, uint64_t now_ns)
{
    struct finish_wish wish;
    if (e->is_due) return 1;
    int result = finish_asked(config, &wish);
    if (result != ERR_OK) {
        if (result != ERR_NOTFOUND && !e->told) log_warn("%s", err_text());
        e->told = result != ERR_NOTFOUND;
        return 0;
    }
    if (!e->asked_ns) {
        e->asked_ns = e->heard_ns = now_ns;
        log_info("finishing: this capture ends when no trainer needs more rows");
    }
    e->is_due = wish.at_once || is_enough(e, config, now_ns);
    if (e->is_due) log_info("finishing: no more rows are taken");
    return e->is_due;
}
