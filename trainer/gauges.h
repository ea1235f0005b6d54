/* The numbers that a trainer shows: indexes into gauges_table. */
#ifndef SLUICE_TRAINER_GAUGES_H
#define SLUICE_TRAINER_GAUGES_H

#include "runtime/metrics.h"
#include "runtime/room.h"

enum gauge {
    GAUGE_ROWS,
    GAUGE_STEPS,
    GAUGE_PLANNED_ROWS,
    GAUGE_STEP_SECONDS,
    GAUGE_DRAW_SECONDS,
    GAUGE_WAIT_SECONDS,
    GAUGE_CHECKPOINTS,
    GAUGE_CHECKPOINT_SECONDS,
    GAUGE_EVALUATION_SECONDS,
    GAUGE_HELD_OUT_ROWS,
    GAUGE_SKIPPED_ROWS,
    GAUGE_ROWS_LEFT,
    GAUGE_CAPACITY_ROWS,
    GAUGE_ACTIVE_SLABS,
    GAUGE_AGE_SECONDS,
    GAUGE_SAME_SEQUENCE,
    GAUGE_ENTROPY,
    GAUGE_WAITING,
    GAUGE_FINISHED,
    GAUGE_REUSE,
    /* one series an SAE */
    GAUGE_LOSS,
    GAUGE_BATCH_FVE,
    GAUGE_FVE,
    GAUGE_L0,
    GAUGE_DEAD,
    GAUGE_FEATURES,
    GAUGE_GRADIENT_NORM,
    GAUGE_LEARNING_RATE,
    GAUGE_SKIPPED_STEPS,
    GAUGE_ROOM, /* and those of runtime/room.h after it */
    GAUGES = GAUGE_ROOM + ROOM_GAUGES
};

extern const struct metric gauges_table[GAUGES];

#endif
