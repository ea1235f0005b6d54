/* A capacity (capacity.h) for people and for programs: both out of one table of lines. */
#ifndef SLUICE_CLI_CAPACITY_TABLE_H
#define SLUICE_CLI_CAPACITY_TABLE_H

#include "cli/capacity.h"

#include <jansson.h>

/* The dozen lines that matter, on stdout. */
void capacity_table_print(const struct capacity *capacity);

/* All lines of which something is known, by process, on stdout, with what flows and how long the buffer lasts at `rate` rows per
 * second, all captures together. */
void capacity_table_print_all(const struct capacity *capacity, double rate);

/* The same as one flat object, each key with its unit; null: not known. NaN for `rate`: what
 * depends on it is null. The caller decrefs. NULL: no memory. */
json_t *capacity_table_json(const struct capacity *capacity, double rate);

#endif
