#include "engine/npy.h"

#include "base/err.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A piece of the header's text. */
struct span {
    const char *text; /* NULL: there is none */
    size_t length;
};

/* ---- the dictionary, which is a Python literal ---- */

struct scanner {
    const char *at, *end;
};

static void skip_spaces(struct scanner *s)
{
    while (s->at < s->end && isspace((unsigned char)*s->at)) s->at++;
}

static int take(struct scanner *s, char c)
{
    skip_spaces(s);
    if (s->at == s->end || *s->at != c) return 0;
    s->at++;
    return 1;
}

/* 'text' or "text"; no dtype or key that NumPy writes has an escape in it. */
static int take_string(struct scanner *s, struct span *text)
{
    skip_spaces(s);
    if (s->at == s->end || (*s->at != '\'' && *s->at != '"')) return 0;
    const char *begin = s->at + 1;
    const char *end = memchr(begin, *s->at, (size_t)(s->end - begin));
    if (!end) return 0;
    *text = (struct span){begin, (size_t)(end - begin)};
    s->at = end + 1;
    return 1;
}

/* Any value, up to the comma or the bracket that ends it. */
static int take_value(struct scanner *s, struct span *value)
{
    skip_spaces(s);
    int depth = 0;
    struct span inner;
    const char *begin = s->at;
    while (s->at < s->end) {
        char c = *s->at;
        if (c == '\'' || c == '"') {
            if (!take_string(s, &inner)) return 0;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}')) break;
        if (c == '(' || c == '[' || c == '{') depth++;
        if ((c == ')' || c == ']' || c == '}') && depth-- == 0) return 0;
        s->at++;
    }
    *value = (struct span){begin, (size_t)(s->at - begin)};
    while (value->length && isspace((unsigned char)begin[value->length - 1])) value->length--;
    return depth == 0 && s->at < s->end;
}

struct header {
    struct span descr, order, shape, other;
    int whole; /* nothing was wrong with it */
};

static struct span *slot(struct header *h, struct span key)
{
    if (key.length == 5 && memcmp(key.text, "descr", 5) == 0) return &h->descr;
    if (key.length == 5 && memcmp(key.text, "shape", 5) == 0) return &h->shape;
    if (key.length == 13 && memcmp(key.text, "fortran_order", 13) == 0) return &h->order;
    h->other.text = NULL;
    return &h->other;
}

static void scan(const char *text, size_t length, struct header *h)
{
    struct scanner s = {text, text + length};
    struct span key;
    if (!take(&s, '{')) return;
    while (!take(&s, '}')) {
        if (!take_string(&s, &key) || !take(&s, ':')) return;
        struct span *value = slot(h, key);
        if (value->text || !take_value(&s, value)) return;
        if (!take(&s, ',') && (s.at == s.end || *s.at != '}')) return;
    }
    skip_spaces(&s);
    h->whole = s.at == s.end;
}

/* ---- its values ---- */

/* The byte order that stands before a kind. */
static int is_order(char c)
{
    return c == '<' || c == '>' || c == '=' || c == '|';
}

static int kind_and_size(struct span text, int is_bf16)
{
    static const struct {
        const char *name;
        int dtype;
    } known[] = {{"f2", ARRAY_F16}, {"f4", ARRAY_F32}, {"f8", ARRAY_F64}, {"i1", ARRAY_I8},
                 {"i2", ARRAY_I16}, {"i4", ARRAY_I32}, {"i8", ARRAY_I64}, {"u1", ARRAY_U8},
                 {"u2", ARRAY_U16}, {"u4", ARRAY_U32}, {"u8", ARRAY_U64}};
    if (text.length != 2) return 0;
    if (is_bf16 && memcmp(text.text, "V2", 2) == 0) return ARRAY_BF16;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (memcmp(text.text, known[i].name, 2) == 0) return known[i].dtype;
    return 0;
}

/* '<f4': order of bytes, kind, bytes of a value. What is no such string stays unknown. */
static void parse_dtype(struct span descr, int is_bf16, struct array *a)
{
    struct scanner s = {descr.text, descr.text + descr.length};
    struct span text = descr;
    int is_string = take_string(&s, &text) && s.at == s.end;
    array_set_dtype_text(a, descr.text, descr.length);
    if (!is_string) return;
    array_set_dtype_text(a, text.text, text.length);
    if (text.length == 3 && is_order(text.text[0])) {
        a->big_endian = text.text[0] == '>';
        text.text++;
        text.length--;
    }
    a->dtype = kind_and_size(text, is_bf16 && !a->big_endian);
}

static int parse_number(struct scanner *s, uint64_t *number)
{
    skip_spaces(s);
    const char *begin = s->at;
    for (*number = 0; s->at < s->end && isdigit((unsigned char)*s->at); s->at++) {
        if (*number > UINT64_MAX / 16) return 0;
        *number = 10 * *number + (uint64_t)(*s->at - '0');
    }
    int any = s->at > begin;
    if (any && s->at < s->end && *s->at == 'L') s->at++; /* Python 2's long */
    return any;
}

/* (3, 5), (3,), () */
static int parse_shape(struct span shape, struct array *a)
{
    if (!shape.text) return err_set(ERR_FORMAT, "a .npy header without 'shape'");
    struct scanner s = {shape.text, shape.text + shape.length};
    int good = take(&s, '(');
    while (good && !take(&s, ')')) {
        if (a->dims == ARRAY_MAX_DIMS)
            return err_set(ERR_FORMAT, "a .npy of more than %d dimensions", ARRAY_MAX_DIMS);
        good = parse_number(&s, &a->shape[a->dims++]);
        if (!take(&s, ',') && (s.at == s.end || *s.at != ')')) good = 0;
    }
    skip_spaces(&s);
    if (good && s.at == s.end) return ERR_OK;
    return err_set(ERR_FORMAT, "a .npy header without a proper 'shape'");
}

static int is_word(struct span text, const char *word)
{
    return text.text && text.length == strlen(word) && memcmp(text.text, word, text.length) == 0;
}

static int parse_header(const char *text, size_t length, int is_bf16, struct array *a)
{
    struct header h = {0};
    scan(text, length, &h);
    if (!h.descr.text) return err_set(ERR_FORMAT, "a .npy header without 'descr'");
    if (h.descr.length == 0) return err_set(ERR_VERSION, "a .npy header with an empty 'descr'");
    parse_dtype(h.descr, is_bf16, a);
    int result = parse_shape(h.shape, a);
    if (result != ERR_OK) return result;
    a->fortran = is_word(h.order, "True");
    if (!a->fortran && !is_word(h.order, "False"))
        return err_set(ERR_VERSION, "a .npy header without a proper 'fortran_order'");
    return h.whole ? ERR_OK : err_set(ERR_FORMAT, "a .npy header that is no dictionary");
}

/* "3 x 5" */
static void print_shape(const struct array *a, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < a->dims && used < bytes; i++)
        used +=
            (size_t)snprintf(out + used, bytes - used, "%s%" PRIu64, i ? " x " : "", a->shape[i]);
}

int npy_parse(const void *data, size_t known, uint64_t size, int is_bf16, struct array *a)
{
    const unsigned char *p = data;
    char shape[200];
    uint64_t bytes;
    memset(a, 0, sizeof *a);
    if (known < 12 || memcmp(p, "\x93NUMPY", 6) != 0) return err_set(ERR_FORMAT, "not a .npy file");
    if (p[6] < 1 || p[6] > 3) return err_set(ERR_VERSION, "a .npy of format version %u", p[6]);
    size_t start = p[6] == 1 ? 10 : 12;
    size_t length = p[8] | (size_t)p[9] << 8;
    if (p[6] > 1) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (length > NPY_HEADER_MOST || length > known - start)
        return err_set(ERR_FORMAT, "a .npy header of %zu bytes", length);
    int result = parse_header((const char *)p + start, length, is_bf16, a);
    if (result != ERR_OK) return result;
    a->offset = start + length;
    print_shape(a, shape, sizeof shape);
    if (array_bytes(a, &bytes) != ERR_OK || (a->dtype && bytes > size - a->offset))
        return err_set(ERR_FORMAT, "a .npy of %s values whose file ends before them", shape);
    return ERR_OK;
}

/* ---- refusing ---- */

static const char *hint(const char *dtype)
{
    const char *bare = is_order(dtype[0]) ? dtype + 1 : dtype;
    if (strcmp(bare, "V2") == 0)
        return "values of 2 bytes without a type, as ml_dtypes writes bfloat16; HINT: if they are "
               "bfloat16, set capture.file_dtype: bf16";
    if (strcmp(bare, "f1") == 0 || strcmp(bare, "V1") == 0)
        return "a type of 8 bits or fewer of ml_dtypes, whose name the file does not hold; HINT: "
               "save x.astype(numpy.float32)";
    if (dtype[0] == '[')
        return "a record of several fields; HINT: save the field that holds the rows as an array "
               "of its own";
    if (strcmp(bare, "O") == 0)
        return "Python objects, which are never unpickled; HINT: save numpy.stack(list of rows) of "
               "float32";
    return "HINT: save x.astype(numpy.float32)";
}

int npy_refuse(const struct array *a, int floats)
{
    if (!floats)
        return err_set(ERR_VERSION, "dtype %s is not of integers; HINT: save x.astype(numpy.int64)",
                       a->dtype_text);
    const char *text = hint(a->dtype_text);
    return err_set(ERR_VERSION, "dtype %s is not float16, float32 or float64%s %s", a->dtype_text,
                   strncmp(text, "HINT", 4) == 0 ? ";" : ":", text);
}
