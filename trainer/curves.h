/*
 * How the training came along, where people look: RUN/CONSUMER/metrics.jsonl, and in
 * RUN/CONSUMER/tensorboard/SAE what TensorBoard reads (events.h). Both tell the same numbers of the
 * same steps.
 *
 * What must hold: training never waits for a curve, and no curve ends it. What cannot be written is
 * told once, counted and left out. A run of any length writes a bounded number of points: the time
 * between two grows with the time that the run has taken.
 */
#ifndef SLUICE_TRAINER_CURVES_H
#define SLUICE_TRAINER_CURVES_H

#include "trainer/state.h"

#include <stdio.h>

/* Of a run that has taken so long, a point is due once in this share of it at most: 2,000 points till
 * then, and 2,000 more for each time that it grows by a factor of e. Histograms have a tenth. */
enum { CURVES_SHARE = 2000, CURVES_HISTOGRAM_SHARE = 200, CURVES_HISTOGRAM_TIMES = 6 };

#define CURVES_DENSITY_TAG "features/log10_density"
#define CURVES_NORMS_TAG   "features/decoder_norm"

/* The numbers of a point: id, key in a line of JSON, tag in TensorBoard (NULL: not there), unit, meaning.
 * docs/METRICS.md has them from here. */
#define CURVES_TABLE(C)                                                                            \
    C(LOSS, "loss", "train/loss", "none", "Objective of the step's batch.")                        \
    C(BATCH_MSE, "batch_mse", "train/mse", "none",                                                 \
      "Mean squared error of a row of the step's batch, summed over its values.")                  \
    C(BATCH_FVE, "batch_fve", "train/fve", "ratio",                                                \
      "Fraction of that batch's variance that the autoencoder explains.")                          \
    C(BATCH_L0, "batch_l0", "train/l0", "features",                                                \
      "Mean number of active features per row of that batch.")                                     \
    C(GRADIENT_NORM, "gradient_norm", "train/gradient_norm", "none",                               \
      "Norm of the step's gradient, before clipping.")                                             \
    C(LEARNING_RATE, "learning_rate", "train/learning_rate", "none",                               \
      "Learning rate of the step, with warm-up and decay.")                                        \
    C(LAMBDA, "lambda", "train/lambda", "none",                                                    \
      "Sparsity coefficient of the step; of jumprelu with target_l0 what one active feature "      \
      "costs.")                                                                                    \
    C(DEAD, "dead", "train/dead_features", "features",                                             \
      "Features that did not fire within the dead window.")                                        \
    C(SKIPPED_STEPS, "skipped_steps", "train/skipped_steps", "steps",                              \
      "Steps left out so far because the loss or the gradient was not finite.")                    \
    C(FVE, "fve", "held_out/fve", "ratio",                                                         \
      "Fraction of the held-out rows' variance that the autoencoder explains, of the last "        \
      "evaluation.")                                                                               \
    C(MSE, "mse", "held_out/mse", "none", "Mean squared error of a held-out row, likewise.")       \
    C(L0, "l0", "held_out/l0", "features",                                                         \
      "Mean number of active features per held-out row, likewise.")                                \
    C(HELD_OUT_STEP, "held_out_step", NULL, "steps",                                               \
      "Step of that evaluation; TensorBoard has its numbers at this step.")                        \
    C(STEP_SECONDS, "step_seconds", "speed/step_seconds", "seconds",                               \
      "Mean time of a step of all autoencoders, since the point before.")                          \
    C(DRAW_SECONDS, "draw_seconds", "speed/draw_seconds", "seconds",                               \
      "Mean time to draw and scale a batch, since the point before.")                              \
    C(ROWS_PER_SECOND, "rows_per_second", "speed/rows_per_second", "rows/s",                       \
      "Rows trained on per second, since the point before.")                                       \
    C(WAITING_RATIO, "waiting_ratio", "speed/waiting_ratio", "ratio",                              \
      "Share of the time since the point before in which it waited for rows.")

#define CURVES_ID(ID, ...) CURVE_##ID,
enum curve { CURVES_TABLE(CURVES_ID) CURVES };
#undef CURVES_ID

struct curves;

/* Begin or go on with the files, as trainer.curves says, from the step that the training has now:
 * what lies behind it is taken out of them. The log says where they lie. Sets t->curves (NULL: they are
 * off). A disk that fails is told, and tried again with each point. ERR_NOMEM, ERR_LIMIT (a path). */
int curves_open(struct training *t);
void curves_close(struct curves *curves);

/* Behind each step and its evaluation: a point, where one is due. Writes to the disk, and syncs nothing. */
void curves_look(struct training *t);
/* The last point, behind the last evaluation: the numbers of summary.json. */
void curves_end(struct training *t);

/* Seconds between two points, and between two with histograms, of a run that has taken `seconds`, where
 * trainer.curves_seconds is `least`. */
double curves_gap_seconds(double seconds, double least);
double curves_histogram_gap_seconds(double seconds, double least);

/* What both kinds hold, in Markdown. */
void curves_markdown(FILE *out);

/* Where they lie: the file and the folder into out[bytes]; "": that kind is off. */
void curves_jsonl_path(const struct training *t, char *out, size_t bytes);
void curves_tensorboard_path(const struct training *t, char *out, size_t bytes);

#endif
