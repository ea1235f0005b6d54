/*
 * Rows of a running model, changed by a table (proto/steer.h). One thread at a time uses a table's work
 * area; the table itself never changes.
 */
#ifndef SLUICE_TAP_STEER_H
#define SLUICE_TAP_STEER_H

#include "proto/steer.h"

struct steer_token {
    uint32_t is_special, is_first;
};

/* Whether this row, raw, is one that the table changes: not at a token that its SAE does not know, not one
 * beyond its norm limit, nor one that is not finite. */
int steer_applies(const struct steer_table *table, const struct steer_token *token,
                  const float *row);

/* The value of each clamp's feature in a row, by the table's rule: values (clamps). */
void steer_values(const struct steer_table *table, const float *row, float *values);

/* Change one row in place. */
void steer_row(const struct steer_table *table, float *row);

#endif
