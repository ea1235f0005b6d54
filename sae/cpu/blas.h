/*
 * Float32 products, out of OpenBLAS: the only file that knows that library is blas.c.
 *
 * It is loaded when the first product is to come, not with the program. Its constructor starts
 * threads, and each asks for 128 MiB of address space again and again where there is none; fork()
 * and exit() then wait for these threads for ever (0.3.21). So it is loaded for one thread, and the
 * work areas of all who will call it are asked for before, and taken at once.
 */
#ifndef SLUICE_SAE_CPU_BLAS_H
#define SLUICE_SAE_CPU_BLAS_H

#include <stdint.h>

/* Load it, and take the work areas of `threads` callers. Again with as many or fewer: nothing is
 * done. ERR_NOTFOUND: there is no such library; ERR_NOMEM: no room for it (the text names the
 * limit). From any thread. */
int blas_open(uint32_t threads);

/* C (m, n) = alpha op(A) op(B) + beta C; all row-major, op(A) is (m, k) and op(B) (k, n),
 * transposed where asked for; lda, ldb, ldc are the rows' distances. After blas_open() alone. */
struct blas_matrix {
    const float *values;
    int stride;
    int transposed;
};
void blas_sgemm(int m, int n, int k, float alpha, struct blas_matrix a, struct blas_matrix b,
                float beta, float *c, int ldc);

#endif
