/*
 * The thread that makes frames: it owns the engine, takes orders from the sender, filters the
 * engine's rows, cuts them, and hands the frames over.
 */
#ifndef SLUICE_CAPTURE_MAKER_H
#define SLUICE_CAPTURE_MAKER_H

#include "capture/opening.h"
#include "capture/sender.h"
#include "config/config.h"
#include "engine/engine.h"
#include "runtime/left_out.h"
#include "runtime/room.h"

struct maker_counters {
    uint64_t tokens; /* that went through the model */
    uint64_t documents, bad_text;
    uint64_t special_rows, first_rows, norm_rows; /* filtered, by reason, in this life */
    uint64_t planned_rows;                        /* of the whole stream, 0: not known (yet) */
    struct left_out left_out;                     /* over all lives */
    uint64_t expired_rows;          /* that were older than sink.retention when they came */
    uint64_t measured, measured_of; /* contexts, of a live stream rows; 0: no matter */
    int measures_live;
    int is_counting; /* the corpus's tokens, of which there are so many so far */
    uint64_t counted_tokens;
    struct engine_rings rings; /* of programs that hand rows over */
};

struct maker;

/* Start the thread. It opens the engine itself; an error of it ends up in sender_fail(). `config`,
 * `sender` and `room` (which is told where a file in RUN/capture cannot be written) outlive it.
 * ERR_NOMEM. */
int maker_start(const struct config *config, uint32_t producer, struct sender *sender,
                struct room *room, struct maker **maker);
/* Take no more rows than the engine has given: the share ends there, as where the engine ends it. From
 * any thread; never blocks. */
void maker_end(struct maker *maker);
/* Wait for the thread to end (after sender_halt(), or an order to halt) and free it. ERR_AGAIN: it
 * is still inside the engine after `seconds`; nothing was freed. */
int maker_join(struct maker *maker, double seconds);

struct maker_counters maker_counters(struct maker *maker);
/* What its engine is at before it has rows. The maker's. */
struct opening *maker_opening(struct maker *maker);

#endif
