#include "engine/jsonwalk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t jsonwalk_space(const char *text, size_t size)
{
    size_t at = 0;
    for (;;) {
        while (at < size && text[at] != '\0' && strchr(" \t\r\n", text[at])) at++;
        if (size - at < 3 || memcmp(text + at, "\xef\xbb\xbf", 3) != 0) return at;
        at += 3; /* files that were joined keep their marks */
    }
}

/* ---- walking over a value ---- */

enum { SMALL_DEPTH = 512 };

/* Open brackets, a bit each: an object or an array. */
struct nesting {
    size_t depth, room;
    uint8_t *bits;
    uint8_t small[SMALL_DEPTH / 8];
};

static int push(struct nesting *n, int object)
{
    if (n->depth == n->room) {
        uint8_t *larger = realloc(n->bits == n->small ? NULL : n->bits, n->room / 4);
        if (!larger) return 0;
        if (n->bits == n->small) memcpy(larger, n->small, sizeof n->small);
        n->bits = larger;
        n->room *= 2;
    }
    uint8_t bit = (uint8_t)(1u << (n->depth % 8));
    if (object)
        n->bits[n->depth / 8] |= bit;
    else
        n->bits[n->depth / 8] &= (uint8_t)~bit;
    n->depth++;
    return 1;
}

static int in_object(const struct nesting *n)
{
    return n->bits[(n->depth - 1) / 8] >> ((n->depth - 1) % 8) & 1;
}

/* Length of the string at text[0], its quotes included; 0 where it does not end. */
static size_t string_length(const char *text, size_t size)
{
    const char *at = text + 1, *end = text + size, *quote = NULL;
    while (at < end) {
        if (!quote || quote < at) quote = memchr(at, '"', (size_t)(end - at));
        if (!quote) return 0;
        const char *escape = memchr(at, '\\', (size_t)(quote - at));
        if (!escape) return (size_t)(quote - text) + 1;
        at = escape + 2;
    }
    return 0;
}

/* A number of any size, or one of the words that writers of JSON use; what it is worth nobody
 * asks. */
static enum jsonwalk_status skip_scalar(const char *text, size_t size, int ended, size_t *length)
{
    static const char *const words[] = {"true", "false",     "null", "NaN",  "nan", "Infinity",
                                        "inf",  "-Infinity", "-inf", "-NaN", "-nan"};
    size_t n = 0;
    while (n < size && text[n] != '\0' &&
           (strchr("+-.", text[n]) || (text[n] >= '0' && text[n] <= '9') ||
            (text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z')))
        n++;
    if (n == size && !ended) return JSONWALK_CUT;
    *length = n;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (n == strlen(words[i]) && memcmp(text, words[i], n) == 0) return JSONWALK_WHOLE;
    size_t digits = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] >= '0' && text[i] <= '9')
            digits++;
        else if (!strchr("+-.eE", text[i]))
            return JSONWALK_BROKEN;
    }
    return digits > 0 && text[0] != '+' && text[0] != 'e' && text[0] != 'E' ? JSONWALK_WHOLE
                                                                            : JSONWALK_BROKEN;
}

enum want { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COLON, WANT_NEXT };

struct walk {
    struct nesting nesting;
    enum want want;
};

/* One bracket, comma or colon. */
static int punctuate(struct walk *w, char c)
{
    int object = w->nesting.depth > 0 && in_object(&w->nesting);
    switch (c) {
    case '{':
    case '[':
        if (w->want != WANT_VALUE && w->want != WANT_VALUE_OR_END) return 0;
        w->want = c == '{' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
        return push(&w->nesting, c == '{');
    case '}':
    case ']':
        if (w->nesting.depth == 0 || object != (c == '}')) return 0;
        if (w->want != WANT_NEXT && w->want != (object ? WANT_KEY_OR_END : WANT_VALUE_OR_END))
            return 0;
        w->nesting.depth--;
        w->want = WANT_NEXT;
        return 1;
    case ',':
        if (w->want != WANT_NEXT) return 0;
        w->want = object ? WANT_KEY : WANT_VALUE;
        return 1;
    default:
        if (w->want != WANT_COLON) return 0;
        w->want = WANT_VALUE;
        return 1;
    }
}

/* One string or scalar. */
static enum jsonwalk_status atom(struct walk *w, const char *text, size_t size, int ended,
                                 size_t *length)
{
    int key = w->want == WANT_KEY || w->want == WANT_KEY_OR_END;
    if (!key && w->want != WANT_VALUE && w->want != WANT_VALUE_OR_END) return JSONWALK_BROKEN;
    if (text[0] == '"') {
        *length = string_length(text, size);
        if (*length == 0) return JSONWALK_CUT;
    } else {
        enum jsonwalk_status status = skip_scalar(text, size, ended, length);
        if (key) return JSONWALK_BROKEN;
        if (status != JSONWALK_WHOLE) return status;
    }
    w->want = key ? WANT_COLON : WANT_NEXT;
    return JSONWALK_WHOLE;
}

static enum jsonwalk_status walk(struct walk *w, const char *text, size_t size, int ended,
                                 size_t *length)
{
    size_t at = 0;
    do {
        if (w->nesting.depth > 0) at += jsonwalk_space(text + at, size - at);
        if (at == size) return JSONWALK_CUT;
        size_t n = 1;
        if (strchr("{}[],:", text[at]) && text[at] != '\0') {
            if (!punctuate(w, text[at])) return JSONWALK_BROKEN;
        } else {
            enum jsonwalk_status status = atom(w, text + at, size - at, ended, &n);
            if (status != JSONWALK_WHOLE) return status;
        }
        at += n;
    } while (w->nesting.depth > 0);
    *length = at;
    return JSONWALK_WHOLE;
}

enum jsonwalk_status jsonwalk_skip(const char *text, size_t size, int ended, size_t *length)
{
    struct walk w = {.want = WANT_VALUE, .nesting.room = SMALL_DEPTH};
    w.nesting.bits = w.nesting.small;
    enum jsonwalk_status status = walk(&w, text, size, ended, length);
    if (w.nesting.bits != w.nesting.small) free(w.nesting.bits);
    return status;
}

/* ---- looking into one ---- */

int jsonwalk_next(const char *value, size_t size, size_t *at, struct jsonwalk_item *item)
{
    if (*at == 0) *at = 1;
    while (*at < size && (value[*at] == ',' || strchr(" \t\r\n\xef\xbb\xbf", value[*at]))) ++*at;
    if (*at >= size || value[*at] == '}' || value[*at] == ']') return 0;
    *item = (struct jsonwalk_item){0};
    if (jsonwalk_is_object(value)) {
        item->key = value + *at;
        item->key_size = string_length(item->key, size - *at);
        *at += item->key_size;
        *at += jsonwalk_space(value + *at, size - *at) + 1; /* the colon */
        *at += jsonwalk_space(value + *at, size - *at);
    }
    item->value = value + *at;
    if (jsonwalk_skip(item->value, size - *at, 1, &item->size) != JSONWALK_WHOLE) return 0;
    *at += item->size;
    return 1;
}

static int hex4(const char *text, const char *end)
{
    int value = 0;
    if (end - text < 4) return -1;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *found = text[i] ? strchr(digits, text[i]) : NULL;
        if (!found) return -1;
        int digit = (int)(found - digits);
        value = value * 16 + (digit < 16 ? digit : digit - 6);
    }
    return value;
}

static size_t put_utf8(unsigned c, char *out)
{
    unsigned char *p = (unsigned char *)out;
    if (c < 0x80) {
        p[0] = (unsigned char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; c >>= 6) p[i] = (unsigned char)(0x80 | (c & 0x3f));
    p[0] = (unsigned char)(lead[size] | c);
    return size;
}

/* The escape whose 'u' is at *at; moves behind it. */
static long decode_unicode(const char **at, const char *end, char *out, size_t *replaced)
{
    int c = hex4(*at + 1, end), low = -1;
    if (c < 0) return -1;
    *at += 5;
    if ((c & 0xfc00) == 0xd800 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u')
        low = hex4(*at + 2, end);
    if (low >= 0 && (low & 0xfc00) == 0xdc00) {
        *at += 6;
        return (long)put_utf8(0x10000u + (((unsigned)c & 0x3ff) << 10) + ((unsigned)low & 0x3ff),
                              out);
    }
    if ((c & 0xf800) == 0xd800) {
        ++*replaced;
        c = 0xfffd;
    }
    return (long)put_utf8((unsigned)c, out);
}

long jsonwalk_decode(const char *string, size_t size, char *out, size_t *replaced)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = string + 1, *end = string + size - 1;
    char *begin = out;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape ? escape : end) - at);
        memcpy(out, at, plain);
        out += plain;
        if (!escape) break;
        at = escape + 1;
        if (*at == 'u') {
            long n = decode_unicode(&at, end, out, replaced);
            if (n < 0) return -1;
            out += n;
            continue;
        }
        const char *found = *at ? strchr(from, *at) : NULL;
        if (!found) return -1;
        *out++ = to[found - from];
        at++;
    }
    return out - begin;
}

int jsonwalk_key_is(const struct jsonwalk_item *item, const char *text, size_t size)
{
    char stack[256], *key = stack;
    size_t replaced = 0;
    if (!item->key) return 0;
    if (!memchr(item->key, '\\', item->key_size))
        return item->key_size == size + 2 && memcmp(item->key + 1, text, size) == 0;
    if (item->key_size > 6 * size + 2) return 0; /* \u0074 is the longest way to write a byte */
    if (item->key_size > sizeof stack) key = malloc(item->key_size);
    if (!key) return 0;
    long n = jsonwalk_decode(item->key, item->key_size, key, &replaced);
    int same = n >= 0 && (size_t)n == size && memcmp(key, text, size) == 0;
    if (key != stack) free(key);
    return same;
}

int jsonwalk_integer(const char *value, size_t size, int64_t *number)
{
    char text[24], *end;
    if (size == 0 || size >= sizeof text) return 0;
    memcpy(text, value, size);
    text[size] = '\0';
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno != 0 || end != text + size || (text[0] != '-' && (text[0] < '0' || text[0] > '9')))
        return 0;
    *number = n;
    return 1;
}
