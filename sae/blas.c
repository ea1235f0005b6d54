/* Which of OpenBLAS's sets of kernels runs. */
#include "sae/kernels.h"
#include "sae/sae.h"

#include <cblas.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

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
    return of_core(openblas_get_corename()) >= of_processor();
}

void sae_blas_wide(char **argv)
{
    char program[PATH_MAX];
    if (getenv("OPENBLAS_CORETYPE") || sae_blas_is_wide()) return;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    const char *core = of_processor() == AVX512 ? "SkylakeX" : "Haswell";
    if (n <= 0 || setenv("OPENBLAS_CORETYPE", core, 0) != 0) return;
    program[n] = '\0';
    execv(program, argv);
}
