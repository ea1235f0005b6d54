/*
 * An autoencoder's curves as TensorBoard reads them: files events.out.tfevents.* of records (length,
 * checksum, message, checksum; trainer/event.proto has the messages).
 *
 * What must hold: a reader counts no step twice. Each life of a trainer begins with a record (START)
 * by which readers forget all points behind the checkpoint that it resumed from. So does a step that
 * is told again. A life begins a file of its own, up to EVENTS_FILES; what comes then goes on in the
 * newest. A record that a kill has torn is cut off before anything follows it.
 */
#ifndef SLUICE_TRAINER_EVENTS_H
#define SLUICE_TRAINER_EVENTS_H

#include "trainer/histogram.h"

#include <stdint.h>

enum {
    EVENTS_FILES = 32,     /* of one autoencoder at most */
    EVENTS_SCALARS = 32,   /* of one point at most */
    EVENTS_HISTOGRAMS = 2, /* the same */
};

struct events;

struct events_scalar {
    const char *tag; /* "train/loss" */
    double value;    /* what is not finite is left out */
};

struct events_point {
    uint64_t steps;
    double wall_seconds; /* since 1970 */
    struct events_scalar scalar[EVENTS_SCALARS];
    uint32_t scalars;
    struct {
        const char *tag;
        const struct histogram *values;
    } histogram[EVENTS_HISTOGRAMS];
    uint32_t histograms;
};

/* For the files in `folder`, which is made with the first point; nothing is opened. `steps`: those of
 * the checkpoint resumed from; 0 at a start. ERR_NOMEM, ERR_LIMIT (the path is too long). */
int events_new(const char *folder, uint64_t steps, struct events **events);
void events_free(struct events *events);

/* Remove the files of a run that begins anew, or cut off the newest what is no whole record, unless that
 * was done; *cut says how many bytes went. Reads all of the newest file. events_add() does it first
 * where it has not been done. ERR_IO, ERR_NOSPC, ERR_USAGE (a link): it may be tried again. */
int events_take_up(struct events *events, uint64_t *cut);

/* Write one point: behind the last one, or in its place where the step is the same. ERR_NOSPC, ERR_IO,
 * ERR_USAGE: nothing is written. ERR_NOMEM. */
int events_add(struct events *events, const struct events_point *point);

#endif
