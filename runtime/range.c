#include "runtime/range.h"

#include <stdlib.h>
#include <string.h>

/* Digits, as many as there are: 0 if there are none, or too many. */
static int number(const char **at, uint64_t *n)
{
    size_t digits = strspn(*at, "0123456789");
    if (digits == 0 || digits > 18) return 0;
    *n = strtoull(*at, NULL, 10);
    *at += digits;
    return 1;
}

/* "-N": the last N bytes. */
static enum range suffix(const char *at, uint64_t whole, uint64_t *first, uint64_t *bytes)
{
    uint64_t n;
    if (!number(&at, &n) || *at) return RANGE_ALL;
    if (n == 0 || whole == 0) return RANGE_NONE;
    *bytes = n < whole ? n : whole;
    *first = whole - *bytes;
    return RANGE_PART;
}

enum range range_read(const char *text, uint64_t whole_bytes, uint64_t *first, uint64_t *bytes)
{
    static const char unit[] = "bytes=";
    uint64_t last = UINT64_MAX;
    if (!text || strncmp(text, unit, sizeof unit - 1) != 0) return RANGE_ALL;
    const char *at = text + sizeof unit - 1;
    if (*at == '-') return suffix(at + 1, whole_bytes, first, bytes);
    if (!number(&at, first) || *at++ != '-') return RANGE_ALL;
    if (*at && !number(&at, &last)) return RANGE_ALL;
    if (*at || last < *first) return RANGE_ALL;
    if (*first >= whole_bytes) return RANGE_NONE;
    if (last >= whole_bytes) last = whole_bytes - 1;
    *bytes = last - *first + 1;
    return RANGE_PART;
}
