#include "broker/grid.h"

#include <math.h>
#include <string.h>

static const struct {
    uint32_t step_seconds, records, first;
} levels[GRID_RESOLUTIONS] = {
    {1, GRID_SECONDS, 0},
    {10, GRID_TENS, GRID_SECONDS},
    {300, GRID_FIVES, GRID_SECONDS + GRID_TENS},
};

_Static_assert(sizeof(struct grid_record) == 128, "as it lies in the file");

uint32_t grid_step_seconds(int resolution)
{
    return levels[resolution].step_seconds;
}

uint64_t grid_span_seconds(int resolution)
{
    return (uint64_t)levels[resolution].step_seconds * levels[resolution].records;
}

static uint32_t tick_of(int resolution, uint64_t seconds)
{
    return (uint32_t)(seconds / levels[resolution].step_seconds);
}

uint32_t grid_place(int resolution, uint64_t seconds)
{
    return levels[resolution].first + tick_of(resolution, seconds) % levels[resolution].records;
}

/* NULL: nothing is known of that time. */
static const struct grid_record *find(const struct grid *g, int resolution, uint64_t seconds)
{
    const struct grid_record *r = &g->record[grid_place(resolution, seconds)];
    return r->tick && r->tick == tick_of(resolution, seconds) ? r : NULL;
}

/* The record that `seconds` is in, out of those of the next finer resolution. */
static void gather(struct grid *g, int resolution, uint64_t seconds)
{
    double sum[GRID_SERIES] = {0};
    uint32_t count[GRID_SERIES] = {0};
    uint32_t step = levels[resolution].step_seconds;
    uint64_t from = seconds / step * step;
    for (uint64_t t = from; t < from + step; t += levels[resolution - 1].step_seconds) {
        const struct grid_record *fine = find(g, resolution - 1, t);
        for (int i = 0; fine && i < GRID_SERIES; i++) {
            if (!isfinite(fine->value[i])) continue;
            sum[i] += (double)fine->value[i];
            count[i]++;
        }
    }
    struct grid_record *r = &g->record[grid_place(resolution, seconds)];
    r->tick = tick_of(resolution, seconds);
    for (int i = 0; i < GRID_SERIES; i++) r->value[i] = count[i] ? (float)(sum[i] / count[i]) : NAN;
}

void grid_put(struct grid *g, uint64_t seconds, const float value[GRID_SERIES])
{
    struct grid_record *r = &g->record[grid_place(0, seconds)];
    r->tick = tick_of(0, seconds);
    memcpy(r->value, value, sizeof r->value);
    for (int i = 1; i < GRID_RESOLUTIONS; i++) gather(g, i, seconds);
}

/* Record by record without a division: a question of all series over a month has millions. */
double grid_mean(const struct grid *g, uint32_t series, int resolution, uint64_t from, uint64_t to)
{
    uint32_t step = levels[resolution].step_seconds, records = levels[resolution].records;
    uint64_t ticks = to > from ? (to - from + step - 1) / step : 0;
    uint32_t first = tick_of(resolution, from), count = 0, place = first % records;
    const struct grid_record *record = &g->record[levels[resolution].first];
    double sum = 0;
    for (uint32_t i = 0; i < ticks; i++, place = place + 1 == records ? 0 : place + 1) {
        const struct grid_record *r = &record[place];
        if (r->tick != first + i || !r->tick || !isfinite(r->value[series])) continue;
        sum += (double)r->value[series];
        count++;
    }
    return count ? sum / count : NAN;
}
