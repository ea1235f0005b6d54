#include "broker/trend.h"

#include <math.h>

void trend_note(struct trend *t, uint64_t now_ns, double value)
{
    if (isnan(value)) {
        t->count = 0;
        return;
    }
    t->ns[t->next] = now_ns;
    t->value[t->next] = value;
    t->next = (t->next + 1) % TREND_POINTS;
    if (t->count < TREND_POINTS) t->count++;
}

double trend_per_second(const struct trend *t)
{
    if (t->count < TREND_LEAST) return NAN;
    uint32_t last = (t->next + TREND_POINTS - 1) % TREND_POINTS;
    uint32_t first = (t->next + TREND_POINTS - t->count) % TREND_POINTS;
    double seconds = (double)(t->ns[last] - t->ns[first]) / 1e9;
    return seconds > 0 ? (t->value[last] - t->value[first]) / seconds : NAN;
}
