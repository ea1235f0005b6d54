/*
 * Which of OpenBLAS's kernels a test takes. Those for AVX2 give the same row other last bits in
 * places 7 to 12 of each twelve of a block than in places 1 to 6 (Debian's 0.3.21 on an AMD EPYC);
 * those for AVX-512 and for AVX do not.
 */
#ifndef SLUICE_TESTS_PRODUCTS_H
#define SLUICE_TESTS_PRODUCTS_H

#include <stdlib.h>

/* For a test that compares bytes made of the same rows in other places: before the first product, of
 * this process and of those that it starts. */
static inline void products_do_not_depend_on_places(void)
{
    setenv("OPENBLAS_CORETYPE", "Sandybridge", 1);
}

#endif
