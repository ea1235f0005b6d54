/*
 * Rows that have no tokenizer, only numbers: which sequence and share each belongs to. Shared by
 * the engines `synthetic` and `files`.
 *
 * Sequences are numbered over all shares; share i of n owns those with number % n == i.
 */
#ifndef SLUICE_ENGINE_SPAN_H
#define SLUICE_ENGINE_SPAN_H

#include "base/row.h"

#include <stdint.h>

/* Rows of a batch at most, so that one fits in 16 MiB and in 4,096 rows (one row always does). */
uint32_t span_batch_rows(uint32_t width);

/* The sequence that a cursor lies in, the all-zero one meaning the first of the share. ERR_MISMATCH
 * where it belongs to another share. */
int span_of_cursor(const struct cursor *cursor, uint32_t share_index, uint32_t share_count,
                   uint64_t *sequence);

#endif
