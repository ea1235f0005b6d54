/*
 * Whether rows move, as one process's reports tell: when it last moved one, and whether it should.
 * A process that waits by design owes nothing: a trainer without rows to draw, a capture whose
 * programs hand over none, one that prepares its model or reads its autoencoders, and whatever is
 * through.
 *
 * A value, without a clock: status.c keeps one for each process.
 */
#ifndef SLUICE_BROKER_MOVEMENT_H
#define SLUICE_BROKER_MOVEMENT_H

#include "wiring/processes.h"

#include <jansson.h>
#include <stdint.h>

/* For so long a process may move no row that should: then it stands still. */
enum { MOVEMENT_STILL_SECONDS = 30 };

enum movement_due {
    MOVEMENT_NOT_DUE,
    MOVEMENT_DUE_IF_FED, /* a capture at work that holds no row: where its rows come from a corpus */
    MOVEMENT_DUE,        /* a capture with rows on their way, a trainer with rows to draw */
};

struct movement {          /* zeroed at first */
    enum movement_due due; /* as the last report has it */
    uint64_t moved_ns,
        changed_ns; /* the last report with a row more, the last that changed `due` */
};

/* Take in a report of a process of a kind (enum process_kind; -1: none that we know), and its rates (NULL at its first). A trainer
 * that computes, as it does while it evaluates, counts as one that moves. */
void movement_report(struct movement *movement, int kind, const json_t *report, const json_t *rates,
                     uint64_t now_ns);

/* Seconds for which nothing has moved since `moved_ns` (movement->moved_ns, or when anybody last
 * moved a row) although it was due; 0: it is not due. `is_fed`: rows come from a corpus. */
double movement_still_seconds(const struct movement *movement, int is_fed, uint64_t moved_ns,
                              uint64_t now_ns);

#endif
