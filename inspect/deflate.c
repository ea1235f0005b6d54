#include "inspect/deflate.h"

#include "base/err.h"

#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

int deflate_pack(const void *data, size_t bytes, void **out, size_t *out_bytes)
{
    uLongf size = compressBound(bytes);
    void *packed = malloc(size);
    if (!packed || compress2(packed, &size, data, bytes, 6) != Z_OK) {
        free(packed);
        return err_set(ERR_NOMEM, "no memory to pack %zu bytes", bytes);
    }
    *out = packed;
    *out_bytes = size;
    return ERR_OK;
}

int deflate_gzip(const void *data, size_t bytes, void **out, size_t *out_bytes)
{
    enum { GZIP = 16 };
    z_stream z = {0};
    void *packed = NULL;
    int is_open = bytes <= UINT32_MAX / 2 &&
                  deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + GZIP, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    uLong size = is_open ? deflateBound(&z, bytes) : 0;
    if (is_open) packed = malloc(size);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)bytes;
    z.next_out = packed;
    z.avail_out = (uInt)size;
    int is_whole = packed && deflate(&z, Z_FINISH) == Z_STREAM_END;
    if (is_open) deflateEnd(&z);
    if (!is_whole) {
        free(packed);
        return err_set(ERR_NOMEM, "no memory to pack %zu bytes", bytes);
    }
    *out = packed;
    *out_bytes = z.total_out;
    return ERR_OK;
}

int deflate_unpack(const void *data, size_t bytes, size_t raw_bytes, char **out)
{
    uLongf size = raw_bytes;
    uLong used = bytes;
    char *raw = malloc(raw_bytes + 1);
    if (!raw) return err_set(ERR_NOMEM, "no memory to unpack %zu bytes", raw_bytes);
    if (uncompress2((Bytef *)raw, &size, data, &used) != Z_OK || size != raw_bytes ||
        used != bytes) {
        free(raw);
        return err_set(ERR_FORMAT, "packed bytes are damaged");
    }
    raw[raw_bytes] = '\0';
    *out = raw;
    return ERR_OK;
}
