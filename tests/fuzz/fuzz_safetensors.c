/* Any bytes as a safetensors file: refused, or every tensor lies inside them and can be read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct safetensors *file;
    float values[64];
    if (safetensors_parse(data, bytes, &file) != ERR_OK) return 0;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_tensor *t = safetensors_tensor(file, i);
        const uint8_t *begin = t->data;
        if (begin < data || t->bytes > bytes || begin + t->bytes > data + bytes) abort();
        uint64_t count = safetensors_values(t), offset = safetensors_offset(file, t);
        if (offset != (uint64_t)(begin - data) || !safetensors_dtype(t)) abort();
        uint64_t some = count < 64 ? count : 64;
        int code = safetensors_to_f32(t, count - some, some, values);
        if (code != (t->dtype >= SAFETENSORS_U32 ? ERR_VERSION : ERR_OK)) abort();
        if (safetensors_to_f32(t, count, 1, values) == ERR_OK) abort();
    }
    safetensors_metadata(file, "format");
    safetensors_close(file);
    return 0;
}
