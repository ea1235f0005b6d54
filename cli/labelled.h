/* Labels of features beside their numbers, from a feature index that is of this SAE. */
#ifndef SLUICE_CLI_LABELLED_H
#define SLUICE_CLI_LABELLED_H

#include "inspect/labels.h"
#include "inspect/subject.h"
#include "runtime/options.h"

enum { LABELLED_BYTES = 256 };

/* The labels of the index FOLDER. ERR_USAGE: it is of another SAE than `subject`; errors of
 * index_open(), labels_read(). labels_free() frees. */
int labelled_open(const char *folder, const struct subject *subject, struct labels *labels);

/* A feature's label as a person sees it, " (Says hello)"; "": it has none. out[LABELLED_BYTES]. */
void labelled_text(const struct labels *labels, uint32_t feature, char *out);

#endif
