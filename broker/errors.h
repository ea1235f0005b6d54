/*
 * The last errors of all processes, as their reports tell them (proto/report.h). Bounded: so many,
 * and so many bytes each, and of one process so many that those of others stay; an error that is told
 * again is not a new one. No clock.
 */
#ifndef SLUICE_BROKER_ERRORS_H
#define SLUICE_BROKER_ERRORS_H

#include "proto/name.h"
#include "proto/report.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

enum { ERRORS_KEPT = 16, ERRORS_OF_ONE = 4 };

struct errors { /* of zeros: there were none */
    struct error {
        char process[MESSAGE_NAME_BYTES]; /* "": free */
        char text[REPORT_ERROR_BYTES];    /* no control characters */
        double life;                      /* when that process had started */
        double number;                    /* of its errors */
        uint64_t ns;
    } error[ERRORS_KEPT];
};

/* What the report says of the process's last error, which need not be new; reports without one, and
 * malformed ones, say nothing. */
void errors_note(struct errors *errors, const char *process, const json_t *report, uint64_t now_ns);
/* [{"process", "seconds_ago", "text"}], the newest first. */
void errors_write(const struct errors *errors, uint64_t now_ns, FILE *out);

#endif
