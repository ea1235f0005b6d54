#include "runtime/readiness.h"

#include "base/err.h"

#include <stdio.h>

double readiness_seconds(const struct readiness *r, uint64_t now_ns)
{
    return r->since_ns && now_ns > r->since_ns ? (double)(now_ns - r->since_ns) / 1e9 : 0;
}

enum readiness_news readiness_note(struct readiness *r, int result, uint64_t now_ns)
{
    int was_unwell = r->is_unwell;
    if (result == ERR_OK) {
        *r = (struct readiness){0};
        return was_unwell ? READINESS_RECOVERED : READINESS_NO_NEWS;
    }
    if (!r->since_ns) r->since_ns = now_ns ? now_ns : 1;
    snprintf(r->why, sizeof r->why, "%s", err_text());
    r->is_unwell = readiness_seconds(r, now_ns) >= READINESS_UNWELL_SECONDS;
    return r->is_unwell && !was_unwell ? READINESS_UNWELL : READINESS_NO_NEWS;
}

static int tell(const struct readiness *r, uint64_t now_ns)
{
    return err_set(ERR_STATE, "for %.0f s: %s", readiness_seconds(r, now_ns), r->why);
}

int readiness_ready(const struct readiness *r, uint64_t now_ns)
{
    return r->since_ns ? tell(r, now_ns) : ERR_OK;
}

int readiness_health(const struct readiness *r, uint64_t now_ns)
{
    return r->is_unwell ? tell(r, now_ns) : ERR_OK;
}
