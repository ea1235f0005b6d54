/*
 * How well a dictionary found known directions. Directions are rows of (count, D) matrices; their
 * norms do not matter.
 */
#ifndef SLUICE_SAE_TRUTH_H
#define SLUICE_SAE_TRUTH_H

#include <stdint.h>

/* Mean over the true directions of the best cosine with a found one (MMCS). Takes
 * true_count * found_count * width multiplications. ERR_NOMEM; ERR_LIMIT: no directions. */
int truth_mmcs(const float *truth, uint32_t true_count, const float *found, uint32_t found_count,
               uint32_t width, double *mmcs);

/* Mean |cosine| under the one-to-one matching that makes it largest (MCC; Hungarian method), over
 * the smaller of the two counts. Takes min^2 * max steps after the products. Same errors. */
int truth_mcc(const float *truth, uint32_t true_count, const float *found, uint32_t found_count,
              uint32_t width, double *mcc);

#endif
