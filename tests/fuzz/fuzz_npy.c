/* Any bytes as a .npy file: refused, or every value that it promises lies inside them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "engine/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    size_t known = bytes < NPY_BEGIN_BYTES ? bytes : NPY_BEGIN_BYTES;
    uint8_t *begin = malloc(known + 1); /* of its own, so that a read beyond is seen */
    struct array a;
    uint64_t size;
    if (!begin) return 0;
    memcpy(begin, data, known);
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        if (npy_parse(begin, known, bytes, is_bf16, &a) != ERR_OK) continue;
        if (a.dtype < 0 || a.dtype >= ARRAY_DTYPES || a.dims > ARRAY_MAX_DIMS) abort();
        if (a.offset > known || array_bytes(&a, &size) != ERR_OK) abort();
        if (a.dtype && size > bytes - a.offset) abort();
        if (npy_refuse(&a, 1) != ERR_VERSION || npy_refuse(&a, 0) != ERR_VERSION) abort();
    }
    free(begin);
    return 0;
}
