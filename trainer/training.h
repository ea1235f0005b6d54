/*
 * One life of a trainer, on a thread of its own: open the buffer, take up the newest checkpoint,
 * then draw, step, evaluate and checkpoint until the stream has ended, stop_rows are reached, or
 * somebody asks to stop.
 *
 * What must hold: a checkpoint is written in this order: held-out file synced, checkpoint durable,
 * consumer's state beside the buffer. So the sink never frees what a checkpoint does not cover, and
 * a checkpoint never counts a held-out row that the disk does not have.
 */
#ifndef SLUICE_TRAINER_TRAINING_H
#define SLUICE_TRAINER_TRAINING_H

#include "config/config.h"
#include "runtime/metrics.h"
#include "runtime/room.h"

struct training_options {
    const struct config *config; /* outlives the training */
    const char *consumer;        /* name */
    const char *replay;          /* folder of an ended buffer; NULL: the live one */
    struct metrics *metrics;     /* over trainer_gauges */
    struct room *room;           /* is told where a disk is full; outlives it */
};

struct training;

/* Takes the consumer's role. ERR_EXISTS: another trainer has it; ERR_NOMEM, ERR_LIMIT (a path too
 * long), ERR_IO (the consumer's folder). Owned by the caller. */
int training_new(const struct training_options *options, struct training **training);

/* Do it all. Blocks for as long as it takes. ERR_OK: finished, or stopped with a checkpoint. On an
 * error err_text() says what, and the last checkpoint stands. */
int training_run(struct training *training);

/* Ask training_run() to end after the step at hand, with a checkpoint. From any thread. */
void training_stop(struct training *training);

/* Whether SAE i has been evaluated on held-out rows, so that its FVE may be shown. Any thread. */
int training_evaluated(const struct training *training);

void training_free(struct training *training);

#endif
