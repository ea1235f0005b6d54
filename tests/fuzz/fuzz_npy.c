/* Any bytes as a .npy file: refused, or every value that it promises lies inside them. */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "engine/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct npy npy;
    if (npy_parse(data, bytes, &npy) != ERR_OK) return 0;
    if (npy.value_bytes != 2 && npy.value_bytes != 4) abort();
    if (npy.data > bytes || npy.width == 0) abort();
    if (npy.rows > (bytes - npy.data) / npy.value_bytes / npy.width) abort();
    return 0;
}
