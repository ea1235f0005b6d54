/*
 * What is measured once, by the first producer, on its first contexts, and then holds for the whole
 * stream. Per hook, over candidate rows (finite, neither special nor first, unless those are kept):
 *
 *     norm_median = median of ||x||         norm_limit = max_norm_ratio * norm_median (0: no limit)
 *
 * and over the rows that pass all limits, x unscaled, D the hook's width:
 *
 *     scale = sqrt(D / E||x||^2), so that E||scale x||^2 = D    ("Scaling Monosemanticity")
 *     mean  = E[x], per dimension
 *
 * The rows stay here until it is freed: they are the first ones of the stream and need not be
 * computed twice.
 */
#ifndef SLUICE_CAPTURE_MEASURE_H
#define SLUICE_CAPTURE_MEASURE_H

#include "engine/engine.h"
#include "proto/descriptor.h"

struct measure;

/* For rows of `width` values. At most `limit_bytes` are kept, but always one batch. ERR_NOMEM. */
int measure_new(uint32_t width, size_t limit_bytes, struct measure **measure);
void measure_free(struct measure *measure);

/* Keep a copy of a batch of the engine (rows > 0). ERR_NOMEM. */
int measure_add(struct measure *measure, const struct engine_batch *batch);
/* Whether another batch like the last one may be added: below `contexts` contexts and the limit. */
int measure_wants(const struct measure *measure, uint32_t contexts);
/* The same, below so many rows: of a live stream, whose sequences come interleaved. */
int measure_wants_rows(const struct measure *measure, uint64_t rows);

/* Fill in d's measured fields (but planned_rows and held_out_one_in, which are 0 afterwards).
 * ERR_USAGE: no row is left to measure on, or all that are left are zero: corpus and model are what
 * they are, and no second try gives others. ERR_NOMEM. */
int measure_finish(struct measure *measure, struct descriptor *d);

/* Rows among them that can be measured on: finite, and not left out for their token. */
uint64_t measure_candidates(const struct measure *measure, const struct descriptor *d);
uint64_t measure_rows(const struct measure *measure);     /* kept here, before any filter */
uint64_t measure_contexts(const struct measure *measure); /* that they are of */

/* The i-th batch as it was added, valid until measure_free(); 0 rows where there is none. */
struct engine_batch measure_batch(const struct measure *measure, size_t i);

#endif
