/* The numbers that a trainer shows: its table of metrics (runtime/metrics.h says how to read
 * it). */
#ifndef SLUICE_TRAINER_GAUGES_H
#define SLUICE_TRAINER_GAUGES_H

#include "config/config.h"
#include "proto/phase.h"
#include "proto/report.h"
#include "runtime/metrics.h"
#include "runtime/room.h"

#define GAUGES_TIMES   METRIC_BOUNDS(.001, .003, .01, .03, .1, .3, 1, 3, 10, 30)
#define GAUGES_PER_SAE METRIC_PER("sae", CONFIG_MAX_SAES)

#define TRAINER_METRICS(M)                                                                         \
    M(ROWS, COUNTER, REPORT(TRAINER_ROWS), "rows",                                                 \
      "Rows trained on in all lives. A row counts each time that it is drawn.")                    \
    M(STEPS, COUNTER, REPORT(TRAINER_STEPS), "steps", "Training steps in all lives.")              \
    M(PLANNED_ROWS, GAUGE, REPORT(TRAINER_PLANNED_ROWS), "rows",                                   \
      "Rows of the whole run, each as often as it will be drawn. 0 where that is not known.")      \
    M(STEP_SECONDS, HISTOGRAM, REPORT(TRAINER_STEP_SECONDS), "seconds",                            \
      "Time of one step of all autoencoders.", GAUGES_TIMES)                                       \
    M(DRAW_SECONDS, HISTOGRAM, "sluice_trainer_draw_seconds", "seconds",                           \
      "Time to draw and scale the rows of one batch.", GAUGES_TIMES)                               \
    M(WAIT_SECONDS, COUNTER, REPORT(TRAINER_WAIT_SECONDS), "seconds",                              \
      "Time spent waiting for rows, in this life. The time of training in summary.json and in "    \
      "the table at the end includes it, and counts all lives.")                                   \
    M(CHECKPOINTS, COUNTER, "sluice_trainer_checkpoints_total", "checkpoints",                     \
      "Checkpoints written in this life.")                                                         \
    M(CHECKPOINT_SECONDS, COUNTER, "sluice_trainer_checkpoint_seconds_total", "seconds",           \
      "Time spent writing checkpoints, in this life.")                                             \
    M(CHECKPOINT_TIME, GAUGE, "sluice_trainer_last_checkpoint_time_seconds", "seconds",            \
      "When the last checkpoint was written, counted from 1970, in this life or an earlier one; "  \
      "before the first, when training began. 0: it has not.")                                     \
    M(CHECKPOINT_INTERVAL, GAUGE, "sluice_trainer_checkpoint_interval_seconds", "seconds",         \
      "The most that lies between two checkpoints, by the configuration.")                         \
    M(LOST_CURVES, COUNTER, "sluice_trainer_lost_curve_points_total", "points",                    \
      "Points of the curves (metrics.jsonl, TensorBoard) that a disk did not take, in this life.") \
    M(EVALUATION_SECONDS, COUNTER, "sluice_trainer_evaluation_seconds_total", "seconds",           \
      "Time spent on held-out rows, in this life.")                                                \
    M(HELD_OUT_ROWS, GAUGE, REPORT(TRAINER_HELD_OUT_ROWS), "rows",                                 \
      "Rows that are held out of training, to measure with.")                                      \
    M(EXPIRED_ROWS, COUNTER, "sluice_trainer_expired_held_out_rows_total", "rows",                 \
      "Held-out rows that were taken out because they were older than sink.retention, in this "    \
      "life.")                                                                                     \
    M(SKIPPED_ROWS, COUNTER, REPORT(TRAINER_SKIPPED_ROWS), "rows",                                 \
      "Draws that will never be made, because the rows were replaced before, in all lives. A "     \
      "trainer that was killed goes on from what its checkpoint counted.")                         \
    M(ROWS_LEFT, GAUGE, "sluice_trainer_left_rows", "rows",                                        \
      "Rows in the buffer that are still to be drawn, each counted once.")                         \
    M(CAPACITY_ROWS, GAUGE, "sluice_trainer_buffer_capacity_rows", "rows",                         \
      "Rows that the buffer can hold.")                                                            \
    M(ACTIVE_SLABS, GAUGE, "sluice_trainer_active_slabs", "slabs",                                 \
      "Slabs from which rows are drawn.")                                                          \
    M(AGE_SECONDS, GAUGE, REPORT(TRAINER_AGE_SECONDS), "seconds",                                  \
      "Mean time since the rows of the last batch were captured.")                                 \
    M(SAME_SEQUENCE, GAUGE, "sluice_trainer_same_sequence_ratio", "ratio",                         \
      "Pairs of rows of one sequence in the last batch, over those of a uniform draw. "            \
      "1 is an ideal shuffle.")                                                                    \
    M(ENTROPY, GAUGE, "sluice_trainer_entropy_ratio", "ratio",                                     \
      "Entropy of the sequences in the last batch, over that of a uniform draw. "                  \
      "1 is an ideal shuffle.")                                                                    \
    M(PHASE, GAUGE, REPORT(TRAINER_PHASE), "0 or 1",                                               \
      "What the trainer is at: 1 at the present one. It is filling while there are too few rows "  \
      "for its first batch.",                                                                      \
      METRIC_ONE_OF("phase", PHASES_OF_TRAINER, phases_of_trainer))                                \
    M(PHASE_DONE, GAUGE, REPORT(TRAINER_PHASE_DONE), "rows",                                       \
      "How far that phase is: rows to whiten by that are measured, rows in the buffer for the "    \
      "first batch.")                                                                              \
    M(PHASE_SIZE, GAUGE, REPORT(TRAINER_PHASE_SIZE), "rows",                                       \
      "How far it will come. 0 where that is not known.")                                          \
    M(WAITING, GAUGE, REPORT(TRAINER_WAITING), "0 or 1",                                           \
      "1 while there are too few rows to draw a batch.")                                           \
    M(FINISHED, GAUGE, REPORT(TRAINER_FINISHED), "0 or 1", "1 when all training is done.")         \
    M(REUSE, GAUGE, "sluice_trainer_reuse", "times", "How often each row is to be drawn.")         \
    M(LOSS, GAUGE, REPORT(TRAINER_LOSS), "none", "Objective of the last batch.", GAUGES_PER_SAE)   \
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
    M(SKIPPED_STEPS, COUNTER, REPORT(TRAINER_SKIPPED_STEPS), "steps",                              \
      "Steps left out because the loss or the gradient was not finite, in all lives. A trainer "   \
      "that was killed goes on from what its checkpoint counted.",                                 \
      GAUGES_PER_SAE)                                                                              \
    ROOM_METRICS(M, TRAINER)

enum gauge { TRAINER_METRICS(METRIC_ID) GAUGES };
extern const struct metric trainer_gauges[GAUGES];

#endif
