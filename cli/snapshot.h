/* The numbers of a running pipeline at one moment, out of the broker's /api/status. */
#ifndef SLUICE_CLI_SNAPSHOT_H
#define SLUICE_CLI_SNAPSHOT_H

#include "runtime/config.h"

#include <jansson.h>

struct snapshot {         /* totals; NaN: nobody has said (yet) */
    double tokens;        /* through the model, in this life of the producers */
    double captured_rows; /* that passed the filters, in this life of the producers */
    double stored_rows;   /* committed to the buffer, all lives */
    double planned_rows;  /* of the whole stream; 0: not known */
    double shed_rows, rejected_rows, filtered_rows;
    double buffer_slabs, buffer_capacity_slabs;
    double trained_rows, planned_draws; /* of the trainer that is furthest behind */
    double fve, l0, dead, features;     /* of the first SAE of the first trainer */
    double held_out_rows;
    double producers, ended_producers; /* as the sink has it */
    int trainers, captures, sinks;     /* that reported within the last five seconds */
};

/* Ask the broker of this run. ERR_NOTFOUND: it does not run; else as fetch(). Blocks for at most
 * half a second. The caller calls json_decref(*status). */
int snapshot_fetch(const struct config *config, json_t **status);

/* Whether a process of that name has reported within the last five seconds. */
int snapshot_has(const json_t *status, const char *name);

/* Read the numbers out of a document; what is missing becomes NaN. */
void snapshot_read(const json_t *status, struct snapshot *snapshot);

/* A metric of a process's report: its value, or the sum over its labels; NaN where there is none.
 */
double snapshot_metric(const json_t *report, const char *name);

#endif
