#include "engine/encoding.h"

#include "base/err.h"

#include <stdint.h>
#include <string.h>

void encoding_start(struct encoding *e, const char *name, encoding_source read, void *arg)
{
    *e = (struct encoding){.name = name, .read = read, .arg = arg};
}

/* Have at least `want` unread bytes in `in`, or all that are left. */
static int fill(struct encoding *e, size_t want)
{
    if (e->end - e->begin >= want || e->ended) return ERR_OK;
    memmove(e->in, e->in + e->begin, e->end - e->begin);
    e->end -= e->begin;
    e->begin = 0;
    while (e->end < want && !e->ended) {
        size_t got = 0;
        int result = e->read(e->arg, e->in + e->end, sizeof e->in - e->end, &got);
        if (result != ERR_OK) return result;
        e->end += got;
        e->ended = got == 0;
    }
    return ERR_OK;
}

static int begins(const struct encoding *e, const char *mark, size_t size)
{
    return e->end - e->begin >= size && memcmp(e->in + e->begin, mark, size) == 0;
}

/* UTF-32's little-endian mark begins with UTF-16's: a text of UTF-16 that begins with a NUL is none
 * that anybody has. */
static int start(struct encoding *e)
{
    static const struct {
        const char *mark;
        size_t size;
        enum encoding_kind kind;
        int big_endian;
    } marks[] = {
        {"\xff\xfe\0\0", 4, ENCODING_UTF32, 0}, {"\0\0\xfe\xff", 4, ENCODING_UTF32, 1},
        {"\xff\xfe", 2, ENCODING_UTF16, 0},     {"\xfe\xff", 2, ENCODING_UTF16, 1},
        {"\xef\xbb\xbf", 3, ENCODING_BYTES, 0},
    };
    int result = fill(e, 4);
    e->started = 1;
    for (size_t i = 0; result == ERR_OK && i < sizeof marks / sizeof marks[0]; i++) {
        if (!begins(e, marks[i].mark, marks[i].size)) continue;
        e->kind = marks[i].kind;
        e->big_endian = marks[i].big_endian;
        e->begin += marks[i].size;
        break;
    }
    return result;
}

static uint32_t unit16(const struct encoding *e, const unsigned char *p)
{
    return e->big_endian ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t unit32(const struct encoding *e, const unsigned char *p)
{
    return e->big_endian ? unit16(e, p) << 16 | unit16(e, p + 2)
                         : unit16(e, p + 2) << 16 | unit16(e, p);
}

/* The next character of in[], and its bytes there. At least 4 are there unless the text ends. */
static uint32_t next_character(const struct encoding *e, size_t *bytes)
{
    const unsigned char *p = e->in + e->begin;
    if (e->kind == ENCODING_UTF32) {
        *bytes = 4;
        return unit32(e, p);
    }
    uint32_t first = unit16(e, p);
    *bytes = 2;
    if ((first & 0xfc00) != 0xd800 || e->end - e->begin < 4) return first;
    uint32_t second = unit16(e, p + 2);
    if ((second & 0xfc00) != 0xdc00) return first;
    *bytes = 4;
    return 0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff);
}

static size_t put(uint32_t c, unsigned char *out)
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    if (c > 0x10ffff) {
        out[0] = 0xff;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; c >>= 6) out[i] = (unsigned char)(0x80 | (c & 0x3f));
    out[0] = (unsigned char)(lead[size] | c);
    return size;
}

static int convert(struct encoding *e, unsigned char *out, size_t size, size_t *got)
{
    size_t unit = e->kind == ENCODING_UTF32 ? 4 : 2;
    while (*got < size) {
        for (; e->out_begin < e->out_end && *got < size; ++*got) out[*got] = e->out[e->out_begin++];
        if (*got == size) break;
        int result = fill(e, 4);
        if (result != ERR_OK) return result;
        if (e->begin == e->end) break;
        if (e->end - e->begin < unit)
            return err_set(ERR_FORMAT,
                           "%s: its UTF-%d ends inside a character; HINT: fetch it again", e->name,
                           (int)unit * 8);
        size_t bytes;
        uint32_t c = next_character(e, &bytes);
        e->begin += bytes;
        e->out_begin = 0;
        e->out_end = put(c, e->out);
    }
    return ERR_OK;
}

int encoding_read(struct encoding *e, void *out, size_t size, size_t *got)
{
    *got = 0;
    int result = e->started ? ERR_OK : start(e);
    if (result != ERR_OK) return result;
    if (e->kind != ENCODING_BYTES) return convert(e, out, size, got);
    size_t left = e->end - e->begin;
    if (left == 0) return e->ended ? ERR_OK : e->read(e->arg, out, size, got);
    *got = left < size ? left : size;
    memcpy(out, e->in + e->begin, *got);
    e->begin += *got;
    return ERR_OK;
}
