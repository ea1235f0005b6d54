/* OpenBLAS: loading it, its work areas, and which of its sets of kernels runs. */
#include "sae/cpu/blas.h"

#include "base/err.h"
#include "base/limits.h"
#include "sae/cpu/kernels.h"
#include "sae/sae.h"

#include <cblas.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum {
    AREA_BYTES = 129 << 20, /* of a caller: 128 MiB, and what lies around them */
    LIBRARY_BYTES = 48 << 20,
};

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static struct {
    void *library;    /* NULL: not loaded */
    uint32_t callers; /* whose work areas are taken */
    void (*sgemm)(CBLAS_ORDER order, CBLAS_TRANSPOSE a_op, CBLAS_TRANSPOSE b_op, blasint m,
                  blasint n, blasint k, float alpha, const float *a, blasint lda, const float *b,
                  blasint ldb, float beta, float *c, blasint ldc);
    void (*set_threads)(int threads);
    char *(*core_name)(void);
    void *(*take)(int place); /* its own allocator, which gives nothing back: NULL where a build */
    void (*give)(void *area); /* does not show it */
    void (*dgemm)(CBLAS_ORDER order, CBLAS_TRANSPOSE a_op, CBLAS_TRANSPOSE b_op, blasint m,
                  blasint n, blasint k, double alpha, const double *a, blasint lda, const double *b,
                  blasint ldb, double beta, double *c, blasint ldc);
    void (*dsyevd)(const char *vectors, const char *triangle, const blasint *n, double *a,
                   const blasint *lda, double *values, double *work, const blasint *work_count,
                   blasint *integers, const blasint *integers_count, blasint *info,
                   size_t vectors_bytes, size_t triangle_bytes); /* Fortran */
} blas;

static int find(const char *name, void *function)
{
    void *found = dlsym(blas.library, name);
    if (!found) return err_set(ERR_NOTFOUND, "OpenBLAS has no %s", name);
    *(void **)function = found;
    return ERR_OK;
}

static int find_all(void)
{
    int result = find("cblas_sgemm", &blas.sgemm);
    if (result == ERR_OK) result = find("openblas_set_num_threads", &blas.set_threads);
    if (result == ERR_OK) result = find("openblas_get_corename", &blas.core_name);
    if (result != ERR_OK) return result;
    if (find("blas_memory_alloc", &blas.take) || find("blas_memory_free", &blas.give))
        blas.take = NULL;
    return ERR_OK;
}

static int load(void)
{
    static const char *const names[] = {"libopenblas.so.0", "libopenblasp.so.0", "libopenblas.so"};
    int result = limits_memory(LIBRARY_BYTES, "OpenBLAS itself");
    if (result != ERR_OK) return result;
    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* each of our threads calls it for itself */
    for (size_t i = 0; i < sizeof names / sizeof *names && !blas.library; i++)
        blas.library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!blas.library)
        return err_set(ERR_NOTFOUND,
                       "cannot load OpenBLAS: %s; HINT: install it (libopenblas0 in Debian)",
                       dlerror());
    result = find_all();
    if (result == ERR_OK) blas.set_threads(1);
    if (result == ERR_OK) return ERR_OK;
    dlclose(blas.library);
    blas.library = NULL;
    return result;
}

/* All at once, so that they are as many areas: an area that was given back is taken again. */
static int take_areas(uint32_t callers)
{
    void *area[SAE_MAX_THREADS];
    uint32_t more = callers - blas.callers;
    int code =
        limits_memory((uint64_t)more * AREA_BYTES, "OpenBLAS's work areas, 129 MiB a thread");
    if (code) return code;
    for (uint32_t i = 0; blas.take && i < callers; i++) area[i] = blas.take(0);
    for (uint32_t i = 0; blas.take && i < callers; i++) blas.give(area[i]);
    blas.callers = callers;
    return ERR_OK;
}

int blas_open(uint32_t threads)
{
    if (threads == 0) threads = 1;
    if (threads > SAE_MAX_THREADS) threads = SAE_MAX_THREADS;
    pthread_mutex_lock(&opening);
    int result = blas.library ? ERR_OK : load();
    if (result == ERR_OK && threads > blas.callers) result = take_areas(threads);
    pthread_mutex_unlock(&opening);
    return result;
}

void blas_sgemm(int m, int n, int k, float alpha, struct blas_matrix a, struct blas_matrix b,
                float beta, float *c, int ldc)
{
    blas.sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
               b.transposed ? CblasTrans : CblasNoTrans, m, n, k, alpha, a.values, a.stride,
               b.values, b.stride, beta, c, ldc);
}

int blas_open_double(void)
{
    pthread_mutex_lock(&opening);
    int result = blas.library ? find("cblas_dgemm", &blas.dgemm)
                              : err_set(ERR_STATE, "OpenBLAS is not loaded");
    if (result == ERR_OK && find("dsyevd_", &blas.dsyevd) != ERR_OK) {
        void *lapack = dlopen("liblapack.so.3", RTLD_NOW | RTLD_LOCAL);
        *(void **)&blas.dsyevd = lapack ? dlsym(lapack, "dsyevd_") : NULL;
        if (!blas.dsyevd)
            result = err_set(ERR_NOTFOUND, "no LAPACK with dsyevd, which whitening needs; HINT: "
                                           "install libopenblas0 or liblapack3");
    }
    pthread_mutex_unlock(&opening);
    return result;
}

void blas_dgemm(int m, int n, int k, const double *a, int lda, int a_transposed, const double *b,
                int ldb, double beta, double *c, int ldc)
{
    blas.dgemm(CblasRowMajor, a_transposed ? CblasTrans : CblasNoTrans, CblasNoTrans, m, n, k, 1, a,
               lda, b, ldb, beta, c, ldc);
}

size_t blas_eigen_doubles(int n)
{
    return 1 + 6 * (size_t)n + 2 * (size_t)n * (size_t)n;
}

/* Columns of Fortran are our rows. */
int blas_eigen(int n, double *a, double *values, double *work, size_t work_doubles)
{
    blasint size = n, info = 0, count = (blasint)work_doubles, integers_count = 3 + 5 * size;
    blasint *integers = malloc((size_t)integers_count * sizeof *integers);
    if (!integers) return err_set(ERR_NOMEM, "no memory for eigenvalues");
    blas.dsyevd("V", "L", &size, a, &size, values, work, &count, integers, &integers_count, &info,
                1, 1);
    free(integers);
    if (info != 0) return err_set(ERR_STATE, "the eigenvalues of %d values do not converge", n);
    return ERR_OK;
}

enum { NARROW, AVX2, AVX512 }; /* registers, as far as they matter here */

static int of_core(const char *name)
{
    static const struct {
        const char *name;
        int registers;
    } cores[] = {{"Haswell", AVX2},
                 {"Zen", AVX2},
                 {"SkylakeX", AVX512},
                 {"Cooperlake", AVX512},
                 {"SapphireRapids", AVX512}};
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++)
        if (strcasecmp(cores[i].name, name) == 0) return cores[i].registers;
    return NARROW;
}

static int of_processor(void)
{
    if (kernels_by_name("avx512")) return AVX512;
    return kernels_by_name("avx2") ? AVX2 : NARROW;
}

int sae_blas_is_wide(void)
{
    if (blas_open(1) != ERR_OK) return 0;
    return of_core(blas.core_name()) >= of_processor();
}

void sae_blas_wide(char **argv)
{
    char program[PATH_MAX];
    if (getenv("OPENBLAS_CORETYPE") || blas_open(1) != ERR_OK || sae_blas_is_wide()) return;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    const char *core = of_processor() == AVX512 ? "SkylakeX" : "Haswell";
    if (n <= 0 || setenv("OPENBLAS_CORETYPE", core, 0) != 0) return;
    program[n] = '\0';
    execv(program, argv);
}
