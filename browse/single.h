/* Some features of an index in one HTML file, to send to somebody: it needs nothing else, and asks
 * nobody. */
#ifndef SLUICE_BROWSE_SINGLE_H
#define SLUICE_BROWSE_SINGLE_H

#include "inspect/index.h"
#include "inspect/labels.h"

enum { SINGLE_MOST_FEATURES = 1000 };

/* Write the features (count) into a new file at `path`. ERR_EXISTS: something is there; ERR_USAGE: no
 * such feature; errors of index_sheet(), file_create(). */
int single_write(const struct index *index, const struct labels *labels, const uint32_t *feature,
                 size_t count, const char *path);

#endif
