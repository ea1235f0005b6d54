/* What the commands `sluice features ...` share. For cli/features*.c. */
#ifndef SLUICE_CLI_FEATURES_H
#define SLUICE_CLI_FEATURES_H

#include "inspect/index.h"
#include "inspect/labels.h"
#include "runtime/options.h"

enum { FEATURES_TEXT_BYTES = 96 };

struct features {
    struct index index;
    struct labels labels;
    int colour, json;
};

/* The index that options->file names, with its labels, and how it is told. Errors of index_open(),
 * labels_read(). On success the caller ends with features_close(). */
int features_open(const struct options *options, struct features *x);
void features_close(struct features *x);

/* A token's text as a person sees it: nothing of it is a control sequence. out[FEATURES_TEXT_BYTES]. */
void features_token(const struct features *x, int64_t token, char *out);
/* A feature's label as a person sees it; "": none. out[bytes]. */
void features_label(const struct features *x, uint32_t feature, char *out, size_t bytes);

/* A sheet, or its neighbours alone, or a line of it with its strongest contexts, on stdout. */
void features_print_sheet(const struct features *x, const json_t *sheet, uint32_t contexts);
void features_print_neighbours(const struct features *x, const json_t *sheet);
void features_print_strongest(const struct features *x, const json_t *sheet, uint32_t contexts);

#endif
