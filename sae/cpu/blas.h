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

#include <stddef.h>
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

/* What whitening alone needs, after blas_open(): double products, and LAPACK's dsyevd out of the
 * same library (out of liblapack, where it has none). ERR_NOTFOUND: there is none. */
int blas_open_double(void);
/* C (m, n) += op(A) B; row-major, op(A) is (m, k) and B (k, n); a_transposed: A lies as (k, m).
 * After blas_open_double() alone, as is the next. */
void blas_dgemm(int m, int n, int k, const double *a, int lda, int a_transposed, const double *b,
                int ldb, double beta, double *c, int ldc);
/* Eigenvalues (n), ascending, of the symmetric A (n, n); row i of A becomes the eigenvector of the
 * i-th. `work` has blas_eigen_doubles(n) values, 2 n^2 at least. ERR_STATE: it does not converge;
 * ERR_NOMEM. */
size_t blas_eigen_doubles(int n);
int blas_eigen(int n, double *a, double *values, double *work, size_t work_doubles);

#endif
