/*
 * What a capture is at, for people: in its log, and in its report, so that `sluice up` names what a
 * stream waits for. Asked by the loop's thread once a second.
 */
#ifndef SLUICE_CAPTURE_STAGE_H
#define SLUICE_CAPTURE_STAGE_H

#include "capture/maker.h"
#include "capture/sender.h"
#include "proto/phase.h"
#include "runtime/metrics.h"

struct stage {
    enum phase_of_capture phase;
    double done, size; /* how far it is, as proto/phase.h says; size 0: not known */
    char text[1024];   /* a line of the log; "": it is told already */
    char why[1024];    /* beside it: what is waited for; "": nothing to add */
};

/* The present one, by what sender, maker and engine tell. Looks at the disk. */
void stage_look(struct stage *stage, const struct config *config,
                const struct sender_status *status, const struct maker_counters *made,
                struct opening *opening);
/* Into the report. */
void stage_report(const struct stage *stage, struct metrics *metrics);
/* Into the log, where its words are not those that were `told` last; they are told then. */
void stage_log(const struct stage *stage, struct stage *told);

#endif
