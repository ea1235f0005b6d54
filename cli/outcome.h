/* What became of each autoencoder of a finished run: out of CONSUMER/summary.json, and out of
 * CONSUMER/history.tsv how it came along. */
#ifndef SLUICE_CLI_OUTCOME_H
#define SLUICE_CLI_OUTCOME_H

#include "config/config.h"

#include <jansson.h>

struct outcome_point {
    double flops, fve;
};

struct outcome { /* NaN: not known, or nothing to this architecture */
    char name[64];
    char arch[64]; /* of a transcoder or crosscoder with its activation: "crosscoder/topk" */
    double features, k, lambda, target_l0, lr, decoder_lr_factor, seed, rows;
    double flops; /* of the whole training */
    double loss, mse, fve, l0, dead;
    char *changes;               /* remarks_cell() of its own and the trainer's */
    struct outcome_point *point; /* (points), in order; those with an FVE */
    size_t points;
};

struct outcomes {
    char stream[64], consumer[64];
    double evaluated_rows;
    json_t *summary;
    struct outcome *one; /* (count), the best FVE first */
    size_t count;
};

/* Read them; `count` has no outcome. ERR_NOTFOUND, ERR_FORMAT: a file is missing or broken, ERR_IO,
 * ERR_NOMEM. The caller frees, on success alone. Reads the disk. */
int outcomes_read(const struct config *config, const char *consumer, struct outcomes *outcomes);
void outcomes_free(struct outcomes *outcomes);

#endif
