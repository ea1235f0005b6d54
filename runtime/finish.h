/*
 * `sluice finish`: the wish that a live run comes to its end, and what each trainer answers. Both are
 * small files, replaced atomically and durably before anybody acts by them, so that a process that is
 * killed and started again does the same.
 *
 * RUN/finish.json is the wish. Each trainer looks for it once a second, decides which rows its decay
 * takes, and writes that into RUN/CONSUMER/finish.json before the rate falls. When it holds as many
 * draws as the decay still needs, it says so there. Captures look once a second too, and end their
 * share when no declared consumer that is alive needs more rows.
 */
#ifndef SLUICE_RUNTIME_FINISH_H
#define SLUICE_RUNTIME_FINISH_H

#include "config/config.h"

struct finish_wish {
    int64_t asked_seconds; /* when: seconds since 1970 */
    int at_once;           /* captures end without waiting for what trainers need */
};

struct finish_answer {
    uint64_t from_rows, end_rows; /* draws of all lives: where the decay begins, and is over */
    double left;    /* how much of the decay is left at from_rows: 1, less where it was shortened */
    int has_enough; /* what is in the buffer reaches to end_rows */
};

/* Write the wish, in a run's folder that is there. ERR_NOSPC, ERR_IO, ERR_LIMIT. Blocks on the disk. */
int finish_ask(const struct config *config, const struct finish_wish *wish);
/* Read it. ERR_NOTFOUND: nobody asked. ERR_FORMAT, ERR_USAGE (it is a link), ERR_IO. */
int finish_asked(const struct config *config, struct finish_wish *wish);

/* The same of a consumer's answer; its folder is there. */
int finish_answer_write(const struct config *config, const char *consumer,
                        const struct finish_answer *answer);
int finish_answer_read(const struct config *config, const char *consumer,
                       struct finish_answer *answer);

/* A trainer that is alive says so once a second, whatever its training is at. Nothing is written where
 * it has not answered. */
void finish_answer_renew(const struct config *config, const char *consumer);

/* How a declared consumer stands to the wish; the neediest first. */
enum finish_need {
    FINISH_NEEDS_ROWS, /* it wants more than there is in the buffer */
    FINISH_SILENT,     /* it has not answered */
    FINISH_NEEDS_NONE, /* it has enough, or is through */
};
/* What the neediest of all declared consumers says. *heard becomes another number whenever one that
 * needs rows is heard of again: one that stays as it is for long is of trainers that are gone, whatever
 * the clock of their host. Reads the disk. */
enum finish_need finish_need(const struct config *config, uint64_t *heard);

#endif
