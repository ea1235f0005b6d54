/*
 * What a run is at while no row is trained yet, and while a trainer does something else than train:
 * named, with what it waits for, how far it is and how long that will take.
 */
#ifndef SLUICE_CLI_STAGE_H
#define SLUICE_CLI_STAGE_H

#include "cli/line.h"
#include "cli/snapshot.h"

enum stage_kind {
    STAGE_NONE,     /* it trains, and that tells enough */
    STAGE_STARTING, /* nobody has answered yet */
    STAGE_OPENING,
    STAGE_READING,
    STAGE_CHECKING,
    STAGE_PREPARING,
    STAGE_AWAITING,
    STAGE_MEASURING,
    STAGE_COUNTING,
    STAGE_ASKING,
    STAGE_NO_CAPTURE,
    STAGE_NO_TRAINER,
    STAGE_LOADING,
    STAGE_WHITENING,
    STAGE_FILLING,
    STAGE_FIRST_STEP,
    STAGE_EVALUATING,
    STAGE_CHECKPOINTING,
    STAGE_EXPORTING,
    STAGES
};

struct stage { /* zeroed at the start */
    enum stage_kind kind;
    double done, size;                /* 0: not known */
    double begun_seconds, begun_done; /* when it was first seen, and how far it was then */
    double seconds;
    int looks; /* how often it was seen on end */
    int is_live;
    int has_trained;  /* rows, of which the line tells */
    int has_reported; /* a trainer once did */
};

/* Take in what the broker said, `seconds` after the start; NULL: it has not answered yet. */
void stage_update(struct stage *stage, const struct config *config, const struct snapshot *snapshot,
                  double seconds);

/* Seconds until it is over, by its mean rate; NaN: not known. */
double stage_eta(const struct stage *stage);

/* Whether there is something to name: between two steps what takes less than two looks is not. */
int stage_is_named(const struct stage *stage);
/* Name, share, time left and what is waited for, as pieces of a line; `log`: what the process that
 * is the slowest to start says in its log ("": nothing). With a bar where `has_bars`. Nothing where
 * there is nothing to name. */
void stage_pieces(const struct stage *stage, const struct config *config, const char *log,
                  int has_bars, struct line *line);

#endif
