/*
 * The thread that makes frames: it owns the engine, takes orders from the sender, filters the
 * engine's rows, cuts them, and hands the frames over.
 */
#ifndef SLUICE_CAPTURE_MAKER_H
#define SLUICE_CAPTURE_MAKER_H

#include "capture/sender.h"
#include "config/config.h"
#include "runtime/left_out.h"
#include "runtime/room.h"

struct maker_counters {
    uint64_t tokens; /* that went through the model */
    uint64_t documents, bad_text;
    uint64_t special_rows, first_rows, norm_rows; /* filtered, by reason, in this life */
    uint64_t planned_rows;                        /* of the whole stream, 0: not known (yet) */
    struct left_out left_out;                     /* over all lives */
};

struct maker;

/* Start the thread. It opens the engine itself; an error of it ends up in sender_fail(). `config`,
 * `sender` and `room` (which is told where a file in RUN/capture cannot be written) outlive it.
 * ERR_NOMEM. */
int maker_start(const struct config *config, uint32_t producer, struct sender *sender,
                struct room *room, struct maker **maker);
/* Wait for the thread to end (after sender_halt(), or an order to halt) and free it. ERR_AGAIN: it
 * is still inside the engine after `seconds`; nothing was freed. */
int maker_join(struct maker *maker, double seconds);

struct maker_counters maker_counters(struct maker *maker);
/* How much of a prepared model has been made, 0 to 1, while one is; else -1. Looks at the disk. */
double maker_prepared(struct maker *maker);

#endif
