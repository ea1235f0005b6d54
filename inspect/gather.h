/*
 * The pass: rows of an engine through an SAE into records (block.h).
 *
 * Holds: rows are encoded in blocks that begin at multiples of GATHER_ROWS of the row's number, and a
 * cursor is kept at the end of a block alone, so that a value is the same bits whether or not the pass
 * was ended and taken up again.
 */
#ifndef SLUICE_INSPECT_GATHER_H
#define SLUICE_INSPECT_GATHER_H

#include "engine/engine.h"
#include "inspect/block.h"
#include "inspect/survey_state.h"

struct gather_options {
    uint64_t most_rows; /* 0: all */
    /* After each block: the counts and cursor in `state` are of what was added. Anything but ERR_OK
     * ends the pass. */
    int (*after)(void *arg, struct records *records, const struct survey_state *state);
    void *arg;
};

/* From state->cursor to the end, adding to `records`; state's rows, kept_rows, fired and cursor go on
 * with them. ERR_USAGE: the engine's rows are not what the SAE sees; ERR_NOMEM, and errors of
 * engine_seek(), engine_next(), subject_encode(), records_add(). Blocks while the model runs. */
int gather_run(struct subject *subject, struct engine *engine, const struct gather_options *options,
               struct records *records, struct survey_state *state);

#endif
