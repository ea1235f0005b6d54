/*
 * The making of a feature index: gather rows, sort what fired by feature, write a sheet of each. A
 * survey that was ended at any moment, by kill -9 too, goes on where it was when it is begun again,
 * and ends with the same bytes as one that was not. The reading of a buffer alone is begun anew, as
 * what was in it may have gone (survey_buffer.h).
 *
 * Working files lie in FOLDER/work, which is removed at the end; they have 8 bytes for each feature
 * that fires at a row, three times while it sorts, and 32 for each row.
 */
#ifndef SLUICE_INSPECT_SURVEY_H
#define SLUICE_INSPECT_SURVEY_H

#include "engine/engine.h"
#include "inspect/buffered.h"
#include "inspect/promotes.h"
#include "inspect/subject.h"
#include "inspect/vocabulary.h"

struct survey_read { /* what came of reading a buffer */
    struct buffered_counts counts;
    uint64_t again;  /* rows that were there a second time */
    int begun_again; /* an earlier reading was cut short, and what it had was of no use */
};

struct survey_options {
    const char *folder;
    uint64_t most_rows;    /* 0: all */
    uint64_t memory_bytes; /* to sort in: sorter.h */
    int keeps_records;     /* kept.h */
    double commit_seconds; /* work that a kill may cost, at most about */
    /* Now and then: `what` is under way, `done` of `all` (0: not known). May be NULL. */
    void (*progress)(void *arg, const char *what, uint64_t done, uint64_t all);
    /* The lens that promoted tokens are told by: asked for once, when sheets are begun, so that the
     * model need not be in memory before; it lives until survey_make() returns. NULL: sheets tell
     * none. */
    int (*lens)(void *arg, struct lens **lens);
    struct promotes_parts parts; /* what it is asked of: promotes_find() */
    /* Instead of an engine: rows out of a buffer (lent), with the texts of tokens asked for at the
     * end, and how long more rows are waited for (buffered.h). *read is filled in. */
    struct buffered *buffer;
    uint64_t captured_from_ns; /* of its slabs: buffered.h */
    int (*texts)(void *arg, struct texts *texts);
    double wait_seconds;
    struct survey_read *read;
    void *arg;
};

/* Make the index, or go on with it; *was_there: it was finished before. `engine` is NULL where rows
 * come out of a buffer. ERR_USAGE: the folder holds something else; ERR_MISMATCH: it holds an index of
 * another SAE, corpus or other options, or one without the records that are to be kept;
 * ERR_EXISTS: somebody is making it; ERR_CORRUPT, ERR_LIMIT, ERR_NOMEM, ERR_NOSPC, ERR_IO, and errors
 * of the engine. Blocks for as long as the model takes. */
int survey_make(struct subject *subject, struct engine *engine,
                const struct survey_options *options, int *was_there);

#endif
