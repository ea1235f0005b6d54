/*
 * Held-out rows that are too old, in the files of trainers that do not see to it: one that is stopped,
 * waits for something before it has opened its file, or is not declared any more. Files of a time
 * without a retention, in which no age is noted, are removed; so would their trainers.
 */
#ifndef SLUICE_SINK_HELD_OUT_H
#define SLUICE_SINK_HELD_OUT_H

#include "config/config.h"

struct held_out_sweep {
    const struct config *config;
    uint32_t width;       /* of a row, in values */
    uint64_t oldest_ns;   /* CLOCK_REALTIME: what was captured before is overwritten */
    int is_end;           /* all goes, but of a consumer that has not written its results yet */
    uint64_t rows, files; /* out, added to: overwritten rows, removed files */
};

/* Over all consumers' folders of the run, also where one of them fails: ERR_IO, ERR_NOSPC, ERR_NOMEM,
 * ERR_USAGE; the next call tries it again. Reads
 * some bytes of each slot. Follows no link below a consumer's folder. */
int held_out_sweep(struct held_out_sweep *sweep);

#endif
