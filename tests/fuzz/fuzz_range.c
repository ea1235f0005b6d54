/* Any text as the header Range: what is taken lies inside the body. */
#include "runtime/range.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint64_t whole = 0, first = 0, length = 0;
    if (bytes < 8) return 0;
    memcpy(&whole, data, 8);
    whole &= INT64_MAX; /* no file is longer */
    char *text = malloc(bytes - 7);
    if (!text) abort();
    memcpy(text, data + 8, bytes - 8);
    text[bytes - 8] = '\0';
    if (range_read(text, whole, &first, &length) == RANGE_PART &&
        (length == 0 || length > whole || first > whole - length))
        abort();
    free(text);
    return 0;
}
