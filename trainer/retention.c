#include "trainer/retention.h"

#include "base/err.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "trainer/gauges.h"

enum { PARTS = 16 }; /* of the retention, between two looks */
#define SECOND   UINT64_C(1000000000)
#define LONGEST  (15 * SECOND)
#define SHORTEST (SECOND / 4)

static uint64_t age_ns(const struct training *t)
{
    return t->config->sink.retention_seconds * SECOND;
}

uint64_t retention_oldest_ns(const struct training *t)
{
    uint64_t now = process_wall_ns(), age = age_ns(t);
    return age && now > age ? now - age : 0;
}

static void expire(struct training *t, uint64_t oldest_ns)
{
    uint64_t expired;
    if (held_out_expire(t->held_out, oldest_ns, &expired) != ERR_OK)
        log_warn("held-out rows that are too old are still there: %s", err_text());
    if (expired == 0) return;
    metrics_add(t->options.metrics, GAUGE_EXPIRED_ROWS, (double)expired);
    log_event(LOG_INFO, "held-out rows were taken out for their age", LOG_U("rows", expired),
              LOG_U("left", held_out_rows(t->held_out)));
}

void retention_poll(struct training *t, uint64_t now_ns)
{
    if (age_ns(t) == 0 || now_ns < t->expire_ns) return;
    uint64_t pause = age_ns(t) / PARTS;
    if (pause > LONGEST) pause = LONGEST;
    t->expire_ns = now_ns + (pause < SHORTEST ? SHORTEST : pause);
    expire(t, retention_oldest_ns(t));
}

void retention_clear(struct training *t)
{
    if (age_ns(t) > 0) expire(t, UINT64_MAX);
}
