#include "engine/npy.h"

#include "base/err.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MOST = 4096 }; /* ours have one short line; NumPy warns above 10,000 */

/* The value behind 'key': in the dictionary that a header is, NULL where there is none. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = header;
    size_t length = strlen(key);
    while ((at = strstr(at, key))) {
        if (at > header && (at[-1] == '\'' || at[-1] == '"') && at[length] == at[-1]) {
            at += length + 1;
            while (isspace((unsigned char)*at)) at++;
            if (*at != ':') return NULL;
            at++;
            while (isspace((unsigned char)*at)) at++;
            return at;
        }
        at += length;
    }
    return NULL;
}

static int parse_dtype(const char *header, struct npy *npy)
{
    const char *descr = value_of(header, "descr");
    if (!descr) return err_set(ERR_FORMAT, "a .npy header without 'descr'");
    npy->value_bytes = 0;
    if (strncmp(descr + (*descr != '\0'), "<f4", 3) == 0) npy->value_bytes = 4;
    if (strncmp(descr + (*descr != '\0'), "<f2", 3) == 0) npy->value_bytes = 2;
    if (npy->value_bytes == 0)
        return err_set(ERR_VERSION,
                       "a .npy of dtype %.12s; HINT: save it as float32 or float16, little-endian",
                       descr);
    return ERR_OK;
}

static int parse_number(const char **at, uint64_t *number)
{
    const char *p = *at;
    while (isspace((unsigned char)*p)) p++;
    if (!isdigit((unsigned char)*p)) return 0;
    for (*number = 0; isdigit((unsigned char)*p); p++) {
        if (*number > UINT64_MAX / 16) return 0;
        *number = 10 * *number + (uint64_t)(*p - '0');
    }
    while (isspace((unsigned char)*p)) p++;
    *at = p;
    return 1;
}

static int parse_shape(const char *header, struct npy *npy)
{
    const char *at = value_of(header, "shape");
    if (!at || *at++ != '(') return err_set(ERR_FORMAT, "a .npy header without 'shape'");
    int good = parse_number(&at, &npy->rows) && *at++ == ',' && parse_number(&at, &npy->width);
    if (good && *at == ',') at++; /* (rows, width,) is as good */
    while (good && isspace((unsigned char)*at)) at++;
    if (!good || *at != ')') return err_set(ERR_FORMAT, "a .npy whose shape is not (rows, width)");
    return ERR_OK;
}

int npy_parse(const void *data, size_t size, struct npy *npy)
{
    const unsigned char *p = data;
    if (size < 12 || memcmp(p, "\x93NUMPY", 6) != 0) return err_set(ERR_FORMAT, "not a .npy file");
    if (p[6] < 1 || p[6] > 3) return err_set(ERR_VERSION, "a .npy of format version %u", p[6]);
    size_t start = p[6] == 1 ? 10 : 12;
    size_t length = p[8] | (size_t)p[9] << 8;
    if (p[6] > 1) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (length > HEADER_MOST || length > size - start)
        return err_set(ERR_FORMAT, "a .npy header of %zu bytes", length);
    char header[HEADER_MOST + 1];
    memcpy(header, p + start, length);
    header[length] = '\0';
    int result = parse_dtype(header, npy);
    if (result == ERR_OK) result = parse_shape(header, npy);
    if (result != ERR_OK) return result;
    const char *order = value_of(header, "fortran_order");
    if (!order || strncmp(order, "False", 5) != 0)
        return err_set(ERR_VERSION, "a .npy in Fortran order; HINT: save np.ascontiguousarray(x)");
    npy->data = start + length;
    uint64_t room = (size - npy->data) / npy->value_bytes;
    if (npy->width == 0 || npy->rows > room / npy->width)
        return err_set(ERR_FORMAT, "a .npy of %llu x %llu values whose file ends before them",
                       (unsigned long long)npy->rows, (unsigned long long)npy->width);
    return ERR_OK;
}
