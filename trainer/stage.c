#include "trainer/stage.h"

#include "trainer/gauges.h"

void stage_enter(struct training *t, enum phase_of_trainer phase, uint64_t done, uint64_t size)
{
    struct metrics *m = t->options.metrics;
    for (int i = 0; i < PHASES_OF_TRAINER; i++)
        metrics_set_at(m, GAUGE_PHASE, (uint32_t)i, i == (int)phase);
    metrics_set(m, GAUGE_PHASE_DONE, (double)done);
    metrics_set(m, GAUGE_PHASE_SIZE, (double)size);
}

void stage_wait(struct training *t)
{
    struct draw_gauges g = draw_gauges(t->draw);
    if (t->life_rows)
        stage_enter(t, PHASE_TRAINING, 0, 0);
    else
        stage_enter(t, PHASE_FILLING, g.rows_left, g.least_rows);
}
