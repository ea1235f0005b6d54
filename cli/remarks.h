/* What a person should know of a finished run beside its numbers: settings that a resume changed,
 * and what looks wrong. Out of the trainers' summary.json. */
#ifndef SLUICE_CLI_REMARKS_H
#define SLUICE_CLI_REMARKS_H

#include <jansson.h>
#include <stdio.h>

/* A line for each setting that was changed ("lr was 0.001 up to step 120 (30,720 rows), then
 * 0.002"), one for steps that were left out where no warning says so, and one for each warning.
 * Nothing where there is none, or the summary is of an older
 * build. */
void remarks_print(const json_t *summary, FILE *out);

/* Why none of its autoencoders has an FVE, in the trainer's words; NULL: some have one, or the
 * summary says nothing of it. What only some have not is a warning of theirs. */
const char *remarks_no_fve(const json_t *summary);

/* The changes of one list (summary.json's "changes") in a cell of a table:
 * "lr:0.001>0.002@120 ..."; "-": none. malloc'ed; NULL: no memory. */
char *remarks_cell(const json_t *changes);

#endif
