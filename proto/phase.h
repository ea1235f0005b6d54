/*
 * What a capture or a trainer is at: the labels of CAPTURE_PHASE and TRAINER_PHASE (report.h), in
 * whose report the present one is 1 and each other 0. Beside it CAPTURE_PHASE_DONE of
 * CAPTURE_PHASE_SIZE is how far it is, in the phase's own unit; a size of 0: that is not known.
 *
 * Of several processes, the one whose phase is the first here is the one that the others wait for.
 */
#ifndef SLUICE_PROTO_PHASE_H
#define SLUICE_PROTO_PHASE_H

#include <jansson.h>

enum phase_of_capture {
    PHASE_OPENING,   /* the engine: of a model, the model */
    PHASE_READING,   /* a model's file as a whole; bytes of it */
    PHASE_CHECKING,  /* a form of a model against the model */
    PHASE_PREPARING, /* a model; bytes of it */
    PHASE_AWAITING,  /* a program that hands rows over */
    PHASE_MEASURING, /* the stream's first contexts; contexts, of a live stream rows */
    PHASE_COUNTING,  /* the corpus's tokens; tokens, of nobody knows how many */
    PHASE_ASKING,    /* the sink for a session */
    PHASE_STREAMING,
    PHASE_ENDED, /* this share has, or it was left */
    PHASES_OF_CAPTURE
};

enum phase_of_trainer {
    PHASE_LOADING,   /* until there is a buffer, and then the autoencoders */
    PHASE_WHITENING, /* measuring the covariance; rows of it */
    PHASE_FILLING,   /* too few rows to draw the first batch; rows, of those that it takes */
    PHASE_TRAINING,
    PHASE_EVALUATING,    /* held-out rows */
    PHASE_CHECKPOINTING, /* writing one */
    PHASE_EXPORTING,     /* the results, once all is trained */
    PHASE_FINISHED,
    PHASES_OF_TRAINER
};

extern const char *const phases_of_capture[PHASES_OF_CAPTURE];
extern const char *const phases_of_trainer[PHASES_OF_TRAINER];

/* The phase that a report tells; -1: none. */
int phase_of_capture(const json_t *report);
int phase_of_trainer(const json_t *report);

#endif
