/*
 * How often each process has been started again, by the start times that reports tell. Part of the
 * history's file, so that a broker that is killed counts on, and its own restart with it. No clock.
 */
#ifndef SLUICE_BROKER_LIVES_H
#define SLUICE_BROKER_LIVES_H

#include "proto/name.h"

#include <stdint.h>
#include <stdio.h>

enum { LIVES_KEPT = 256 };

struct lives { /* of zeros: nobody was seen; as it lies in a file, little endian */
    struct life {
        char process[MESSAGE_NAME_BYTES]; /* "": free */
        double started_seconds;           /* since 1970; 0: it ended in good order with the run */
        uint32_t restarts, reserved;
    } life[LIVES_KEPT];
};

/* The process has told when it was started: 1 where that is news. The one that was started longest
 * ago makes room. */
int lives_note(struct lives *lives, const char *process, double started_seconds);
/* Put in what was noted elsewhere since: restarts there count here too. Of a process that was
 * restarted there the first life is taken to be the one that was known here. */
void lives_merge(struct lives *lives, const struct lives *later);
/* The run ends in good order: what starts next is no restart. */
void lives_end(struct lives *lives);
/* Whether they may be what was written: every name ends and every number is one. */
int lives_ok(const struct lives *lives);
/* {"PROCESS": how often}; those of 0 are left out. */
void lives_write(const struct lives *lives, FILE *out);

#endif
