/* The numbers that a trainer shows: its table of metrics (runtime/metrics.h says how to read
 * it). */
#ifndef SLUICE_TRAINER_GAUGES_H
#define SLUICE_TRAINER_GAUGES_H

#include "config/config.h"
#include "proto/report.h"
#include "runtime/metrics.h"
#include "runtime/room.h"

#define GAUGES_TIMES   METRIC_BOUNDS(.001, .003, .01, .03, .1, .3, 1, 3, 10, 30)
#define GAUGES_PER_SAE METRIC_PER("sae", CONFIG_MAX_SAES)

#define TRAINER_METRICS(M)                                                                         \
    M(ROWS, COUNTER, REPORT(TRAINER_ROWS), "rows",                                                 \
      "Rows trained on in all lives. A row counts each time that it is drawn.")                    \
    M(STEPS, COUNTER, "sluice_trainer_steps_total", "steps", "Training steps in all lives.")       \
    M(PLANNED_ROWS, GAUGE, REPORT(TRAINER_PLANNED_ROWS), "rows",                                   \
      "Rows of the whole run, each as often as it will be drawn. 0 where that is not known.")      \
    M(STEP_SECONDS, HISTOGRAM, "sluice_trainer_step_seconds", "seconds",                           \
      "Time of one step of all autoencoders.", GAUGES_TIMES)                                       \
    M(DRAW_SECONDS, HISTOGRAM, "sluice_trainer_draw_seconds", "seconds",                           \
      "Time to draw and scale the rows of one batch.", GAUGES_TIMES)                               \
    M(WAIT_SECONDS, COUNTER, "sluice_trainer_wait_seconds_total", "seconds",                       \
      "Time spent waiting for rows, in this life. The time of training in summary.json and in "    \
      "the table at the end includes it, and counts all lives.")                                   \
    M(CHECKPOINTS, COUNTER, "sluice_trainer_checkpoints_total", "checkpoints",                     \
      "Checkpoints written in this life.")                                                         \
    M(CHECKPOINT_SECONDS, COUNTER, "sluice_trainer_checkpoint_seconds_total", "seconds",           \
      "Time spent writing checkpoints, in this life.")                                             \
    M(EVALUATION_SECONDS, COUNTER, "sluice_trainer_evaluation_seconds_total", "seconds",           \
      "Time spent on held-out rows, in this life.")                                                \
    M(HELD_OUT_ROWS, GAUGE, REPORT(TRAINER_HELD_OUT_ROWS), "rows",                                 \
      "Rows that are held out of training, to measure with.")                                      \
    M(SKIPPED_ROWS, COUNTER, REPORT(TRAINER_SKIPPED_ROWS), "rows",                                 \
      "Draws that will never be made, because the rows were replaced before.")                     \
    M(ROWS_LEFT, GAUGE, "sluice_trainer_left_rows", "rows",                                        \
      "Rows in the buffer that are still to be drawn, each counted once.")                         \
    M(CAPACITY_ROWS, GAUGE, "sluice_trainer_buffer_capacity_rows", "rows",                         \
      "Rows that the buffer can hold.")                                                            \
    M(ACTIVE_SLABS, GAUGE, "sluice_trainer_active_slabs", "slabs",                                 \
      "Slabs from which rows are drawn.")                                                          \
    M(AGE_SECONDS, GAUGE, "sluice_trainer_draw_age_seconds", "seconds",                            \
      "Mean time since the rows of the last batch were captured.")                                 \
    M(SAME_SEQUENCE, GAUGE, "sluice_trainer_same_sequence_ratio", "ratio",                         \
      "Pairs of rows of one sequence in the last batch, over those of a uniform draw. "            \
      "1 is an ideal shuffle.")                                                                    \
    M(ENTROPY, GAUGE, "sluice_trainer_entropy_ratio", "ratio",                                     \
      "Entropy of the sequences in the last batch, over that of a uniform draw. "                  \
      "1 is an ideal shuffle.")                                                                    \
    M(WAITING, GAUGE, "sluice_trainer_waiting", "0 or 1",                                          \
      "1 while there are too few rows to draw a batch.")                                           \
    M(FINISHED, GAUGE, "sluice_trainer_finished", "0 or 1", "1 when all training is done.")        \
    M(REUSE, GAUGE, "sluice_trainer_reuse", "times", "How often each row is to be drawn.")         \
    M(LOSS, GAUGE, "sluice_trainer_loss", "none", "Objective of the last batch.", GAUGES_PER_SAE)  \
    M(BATCH_FVE, GAUGE, "sluice_trainer_batch_fve_ratio", "ratio",                                 \
      "Fraction of the last batch's variance that the autoencoder explains.", GAUGES_PER_SAE)      \
    M(FVE, GAUGE, REPORT(TRAINER_FVE), "ratio",                                                    \
      "Fraction of the held-out rows' variance that the autoencoder explains. "                    \
      "It is there after the first evaluation.",                                                   \
      GAUGES_PER_SAE)                                                                              \
    M(L0, GAUGE, REPORT(TRAINER_L0), "features",                                                   \
      "Mean number of active features per row: of the held-out rows, or before the first "         \
      "evaluation of the last batch.",                                                             \
      GAUGES_PER_SAE)                                                                              \
    M(DEAD, GAUGE, REPORT(TRAINER_DEAD_FEATURES), "features",                                      \
      "Features that did not fire within the dead window.", GAUGES_PER_SAE)                        \
    M(FEATURES, GAUGE, REPORT(TRAINER_FEATURES), "features", "Features that the autoencoder has.", \
      GAUGES_PER_SAE)                                                                              \
    M(GRADIENT_NORM, GAUGE, "sluice_trainer_gradient_norm", "none",                                \
      "Norm of the last gradient, before clipping.", GAUGES_PER_SAE)                               \
    M(LEARNING_RATE, GAUGE, "sluice_trainer_learning_rate", "none",                                \
      "Learning rate of the last step.", GAUGES_PER_SAE)                                           \
    M(SKIPPED_STEPS, COUNTER, "sluice_trainer_skipped_steps_total", "steps",                       \
      "Steps left out because the loss or the gradient was not finite.", GAUGES_PER_SAE)           \
    ROOM_METRICS(M, TRAINER)

enum gauge { TRAINER_METRICS(METRIC_ID) GAUGES };
extern const struct metric trainer_gauges[GAUGES];

#endif
