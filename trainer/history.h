/*
 * How each SAE came along: CONSUMER/history.tsv, mode 0600, one line an SAE at each evaluation and
 * at the end, columns divided by tabs, the first line their names, "-" for what is not known.
 *
 * What must hold: the file has no line beyond the checkpoint that was resumed from, all lines of a
 * step stand together, and no step is there twice.
 */
#ifndef SLUICE_TRAINER_HISTORY_H
#define SLUICE_TRAINER_HISTORY_H

#include <stdint.h>

struct history;

struct history_point {     /* NaN: not known */
    const char *sae;       /* name */
    double flops;          /* of training so far: plan_flops_a_row() times rows */
    double loss;           /* of the last step's batch */
    double mse, fve;       /* of the held-out rows */
    double l0;             /* of the held-out rows, or of the last batch where they are too few */
    double dead;           /* features; not known before a step was made */
    double lr, batch_rows; /* as set for the steps before this point (changes.h) */
    double rate, lambda;   /* of the last step, with warm-up, decay and ramp */
};

/* Open the file, cut it behind the last whole line of a step up to `steps` (those of the checkpoint
 * resumed from; 0 at a start: empty it). ERR_IO, ERR_NOSPC, ERR_NOMEM. Reads the disk. The caller
 * closes it. */
int history_open(const char *path, uint64_t steps, struct history **history);
void history_close(struct history *history);

/* Add the points of one step, in place of those of the last one if it is the same. They are written
 * at once, or, where the disk takes nothing, kept for history_sync(). ERR_NOMEM. */
int history_add(struct history *history, uint64_t steps, uint64_t rows, double seconds,
                const struct history_point *points, uint32_t count);

/* Whether the file held something else than whole lines of a history, which was cut off. */
int history_was_damaged(const struct history *history);

/* The step of the last lines; 0: there are none. */
uint64_t history_steps(const struct history *history);

/* Write what is not, and fsync. ERR_IO, ERR_NOSPC: nothing is lost, it may be tried again. */
int history_sync(struct history *history);

#endif
