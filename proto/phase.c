#include "proto/phase.h"

#include "proto/report.h"

const char *const phases_of_capture[PHASES_OF_CAPTURE] = {
    [PHASE_OPENING] = "opening",     [PHASE_READING] = "reading",   [PHASE_CHECKING] = "checking",
    [PHASE_PREPARING] = "preparing", [PHASE_AWAITING] = "awaiting", [PHASE_MEASURING] = "measuring",
    [PHASE_COUNTING] = "counting",   [PHASE_ASKING] = "asking",     [PHASE_STREAMING] = "streaming",
    [PHASE_ENDED] = "ended",
};

const char *const phases_of_trainer[PHASES_OF_TRAINER] = {
    [PHASE_LOADING] = "loading",       [PHASE_WHITENING] = "whitening",
    [PHASE_FILLING] = "filling",       [PHASE_TRAINING] = "training",
    [PHASE_EVALUATING] = "evaluating", [PHASE_CHECKPOINTING] = "checkpointing",
    [PHASE_EXPORTING] = "exporting",   [PHASE_FINISHED] = "finished",
};

static int present(const json_t *report, enum report_id id, const char *const *labels, int count)
{
    for (int i = 0; i < count; i++)
        if (report_labelled(report, id, labels[i]) == 1) return i;
    return -1;
}

int phase_of_capture(const json_t *report)
{
    return present(report, REPORT_CAPTURE_PHASE, phases_of_capture, PHASES_OF_CAPTURE);
}

int phase_of_trainer(const json_t *report)
{
    return present(report, REPORT_TRAINER_PHASE, phases_of_trainer, PHASES_OF_TRAINER);
}
