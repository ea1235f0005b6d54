#include "trainer/gauges.h"

#include "config/config.h"

#define COUNTER(n, h)   .name = (n), .kind = METRIC_COUNTER, .help = (h)
#define VALUE(n, h)     .name = (n), .kind = METRIC_GAUGE, .help = (h)
#define PER_SAE         .label = "sae", .series = CONFIG_MAX_SAES
#define TIMES           .bucket = {.001, .003, .01, .03, .1, .3, 1, 3, 10, 30}
#define HISTOGRAM(n, h) .name = (n), .kind = METRIC_HISTOGRAM, .help = (h), TIMES

const struct metric gauges_table[GAUGES] = {
    [GAUGE_ROWS] = {COUNTER("sluice_trainer_rows_total", "Rows trained on, reuse included")},
    [GAUGE_STEPS] = {COUNTER("sluice_trainer_steps_total", "Training steps")},
    [GAUGE_PLANNED_ROWS] = {VALUE("sluice_trainer_planned_rows",
                                  "Rows of the whole run, reuse included; 0 where not known")},
    [GAUGE_STEP_SECONDS] = {HISTOGRAM("sluice_trainer_step_seconds",
                                      "Time of one step of all autoencoders")},
    [GAUGE_DRAW_SECONDS] = {HISTOGRAM("sluice_trainer_draw_seconds",
                                      "Time to draw and scale the rows of one batch")},
    [GAUGE_WAIT_SECONDS] = {COUNTER("sluice_trainer_wait_seconds_total",
                                    "Time spent waiting for rows")},
    [GAUGE_CHECKPOINTS] = {COUNTER("sluice_trainer_checkpoints_total", "Checkpoints written")},
    [GAUGE_CHECKPOINT_SECONDS] = {COUNTER("sluice_trainer_checkpoint_seconds_total",
                                          "Time spent writing checkpoints")},
    [GAUGE_EVALUATION_SECONDS] = {COUNTER("sluice_trainer_evaluation_seconds_total",
                                          "Time spent on held-out rows")},
    [GAUGE_HELD_OUT_ROWS] = {VALUE("sluice_trainer_held_out_rows",
                                   "Rows held out of training, and kept to measure with")},
    [GAUGE_SKIPPED_ROWS] = {COUNTER("sluice_trainer_skipped_rows_total",
                                    "Draws that will never be made: rows that were replaced")},
    [GAUGE_ROWS_LEFT] = {VALUE("sluice_trainer_left_rows",
                               "Rows in the buffer with a draw left, each counted once")},
    [GAUGE_CAPACITY_ROWS] = {VALUE("sluice_trainer_buffer_capacity_rows",
                                   "Rows that the buffer can hold")},
    [GAUGE_ACTIVE_SLABS] = {VALUE("sluice_trainer_active_slabs", "Slabs that rows are drawn from")},
    [GAUGE_AGE_SECONDS] = {VALUE("sluice_trainer_draw_age_seconds",
                                 "Mean time since capture of the last batch's rows")},
    [GAUGE_SAME_SEQUENCE] = {VALUE(
        "sluice_trainer_same_sequence_ratio",
        "Pairs of rows of one sequence in the last batch, over those of a uniform draw")},
    [GAUGE_ENTROPY] = {VALUE(
        "sluice_trainer_entropy_ratio",
        "Entropy of sequences in the last batch, over that of a uniform draw")},
    [GAUGE_WAITING] = {VALUE("sluice_trainer_waiting", "1 while there are too few rows to draw")},
    [GAUGE_FINISHED] = {VALUE("sluice_trainer_finished", "1 when all training is done")},
    [GAUGE_REUSE] = {VALUE("sluice_trainer_reuse", "Times that each row is trained on")},
    [GAUGE_LOSS] = {VALUE("sluice_trainer_loss", "Objective of the last batch"), PER_SAE},
    [GAUGE_BATCH_FVE] = {VALUE("sluice_trainer_batch_fve_ratio",
                               "Fraction of variance explained of the last batch"),
                         PER_SAE},
    [GAUGE_FVE] = {VALUE("sluice_trainer_fve_ratio",
                         "Fraction of variance explained of the held-out rows"),
                   PER_SAE},
    [GAUGE_L0] = {VALUE("sluice_trainer_l0", "Mean number of active features a row"), PER_SAE},
    [GAUGE_DEAD] = {VALUE("sluice_trainer_dead_features",
                          "Features that did not fire within the dead window"),
                    PER_SAE},
    [GAUGE_FEATURES] = {VALUE("sluice_trainer_features", "Features"), PER_SAE},
    [GAUGE_GRADIENT_NORM] = {VALUE("sluice_trainer_gradient_norm",
                                   "Norm of the last gradient, before clipping"),
                             PER_SAE},
    [GAUGE_LEARNING_RATE] = {VALUE("sluice_trainer_learning_rate", "Rate of the last step"),
                             PER_SAE},
    [GAUGE_SKIPPED_STEPS] = {COUNTER("sluice_trainer_skipped_steps_total",
                                     "Steps left out because loss or gradient was not finite"),
                             PER_SAE},
    [GAUGE_ROOM] = ROOM_METRICS("sluice_trainer_"),
};
