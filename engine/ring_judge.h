/*
 * Whether the rows of a ring are those of the stream: its name, its hooks in their order, its model. The
 * first ring that is good says what the stream's rows are.
 */
#ifndef SLUICE_ENGINE_RING_JUDGE_H
#define SLUICE_ENGINE_RING_JUDGE_H

#include "engine/engine.h"
#include "engine/options.h"
#include "proto/ring.h"

struct ring_judge {
    const struct engine_options *options; /* that the stream was opened with */
    struct engine_info *info;             /* filled in by ring_judge_describe() */
    int is_described;
    char model[256], precision[32]; /* what info points to */
};

/* ERR_OK, or ERR_MISMATCH with a sentence for the program that wrote it. */
int ring_judge(const struct ring_judge *judge, const struct ring_facts *facts);

/* Fill in info by a ring that is good. Errors as above. */
int ring_judge_describe(struct ring_judge *judge, const struct ring_facts *facts);

#endif
