#include "engine/utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes of the character that `lead` begins, 0 if it begins none. */
static size_t length_of(unsigned char lead)
{
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return 2;
    if (lead >= 0xe0 && lead <= 0xef) return 3;
    if (lead >= 0xf0 && lead <= 0xf4) return 4;
    return 0;
}

/* Whether `second` may follow `lead`: what rules out overlong forms, surrogates, > U+10FFFF. */
static int second_fits(unsigned char lead, unsigned char second)
{
    unsigned char low = 0x80, high = 0xbf;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    return second >= low && second <= high;
}

int utf8_valid(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    while (p < end) {
        uint64_t eight;
        while (end - p >= 8) { /* runs of ASCII, eight at a time */
            memcpy(&eight, p, 8);
            if (eight & 0x8080808080808080u) break;
            p += 8;
        }
        if (p == end) break;
        size_t length = length_of(*p);
        if (length == 0 || length > (size_t)(end - p)) return 0;
        if (length > 1 && !second_fits(p[0], p[1])) return 0;
        for (size_t i = 2; i < length; i++)
            if ((p[i] & 0xc0) != 0x80) return 0;
        p += length;
    }
    return 1;
}

size_t utf8_boundary(const char *text, size_t size)
{
    for (size_t back = 1; back <= 4 && back <= size; back++) {
        unsigned char c = (unsigned char)text[size - back];
        if ((c & 0xc0) == 0x80) continue;
        size_t length = length_of(c);
        return length > back ? size - back : size;
    }
    return size;
}

size_t utf8_mend(char *text, size_t size)
{
    size_t mended = 0;
    for (char *p = text, *end = text + size; end - p >= 3; p++) {
        p = memchr(p, 0xed, (size_t)(end - p));
        if (!p || end - p < 3) break;
        unsigned char second = (unsigned char)p[1], third = (unsigned char)p[2];
        if ((second & 0xe0) != 0xa0 || (third & 0xc0) != 0x80) continue;
        memcpy(p, "\xef\xbf\xbd", 3);
        mended++;
    }
    return mended;
}
