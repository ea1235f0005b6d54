#include "engine/array.h"

#include "base/err.h"
#include "base/row.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 << 20 };

static const struct {
    const char *name;
    uint32_t bytes;
} dtypes[ARRAY_DTYPES] = {
    [0] = {"?", 1},           [ARRAY_F16] = {"f16", 2},   [ARRAY_F32] = {"f32", 4},
    [ARRAY_F64] = {"f64", 8}, [ARRAY_BF16] = {"bf16", 2}, [ARRAY_I8] = {"i8", 1},
    [ARRAY_I16] = {"i16", 2}, [ARRAY_I32] = {"i32", 4},   [ARRAY_I64] = {"i64", 8},
    [ARRAY_U8] = {"u8", 1},   [ARRAY_U16] = {"u16", 2},   [ARRAY_U32] = {"u32", 4},
    [ARRAY_U64] = {"u64", 8},
};

const char *array_dtype_name(int dtype)
{
    return dtypes[dtype].name;
}

uint32_t array_value_bytes(int dtype)
{
    return dtypes[dtype].bytes;
}

int array_is_float(int dtype)
{
    return dtype >= ARRAY_F16 && dtype <= ARRAY_BF16;
}

void array_set_dtype_text(struct array *a, const char *text, size_t length)
{
    size_t room = sizeof a->dtype_text - 1, kept = length > room ? room - 3 : length;
    for (size_t i = 0; i < kept; i++)
        a->dtype_text[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
    strcpy(a->dtype_text + kept, kept < length ? "..." : "");
}

int array_bytes(const struct array *a, uint64_t *bytes)
{
    int empty = 0;
    *bytes = array_value_bytes(a->dtype);
    for (uint32_t i = 0; i < a->dims; i++) {
        empty |= a->shape[i] == 0;
        if (a->shape[i] && __builtin_mul_overflow(*bytes, a->shape[i], bytes))
            return err_set(ERR_FORMAT, "more values than any file holds");
    }
    if (empty) *bytes = 0;
    return ERR_OK;
}

/* ---- places ---- */

struct array_reader {
    struct array array;
    struct array_view view;
    const struct blob *bytes;
    size_t value_bytes, row_bytes;
    char *raw; /* rows as they lie in the file, put in C order */
    size_t raw_bytes;
    char *run; /* neighbours in a file of Fortran order */
    size_t run_bytes;
    /* Fortran order of several sequences: rows of these, [sequence][row][value] */
    char *block;
    size_t block_bytes;
    uint64_t first_outer, outers, first_inner, inners;
};

int array_reader_new(const struct array *array, const struct array_view *view,
                     const struct blob *bytes, struct array_reader **reader)
{
    struct array_reader *r = calloc(1, sizeof *r);
    if (!r) return err_set(ERR_NOMEM, "no memory to read an array");
    r->array = *array;
    r->view = *view;
    r->bytes = bytes;
    r->value_bytes = array_value_bytes(array->dtype);
    r->row_bytes = view->width * r->value_bytes;
    *reader = r;
    return ERR_OK;
}

void array_reader_free(struct array_reader *r)
{
    if (!r) return;
    free(r->raw);
    free(r->run);
    free(r->block);
    free(r);
}

static int grow(char **data, size_t *room, uint64_t bytes)
{
    if (bytes <= *room) return ERR_OK;
    char *larger = realloc(*data, bytes);
    if (!larger)
        return err_set(ERR_NOMEM, "no memory for %llu bytes of an array",
                       (unsigned long long)bytes);
    *data = larger;
    *room = bytes;
    return ERR_OK;
}

/* Read `count` values from number `index` on, put them `step` values apart from `out` on. */
static int scatter(struct array_reader *r, uint64_t index, size_t count, char *out, size_t step)
{
    size_t n = r->value_bytes;
    int result = grow(&r->run, &r->run_bytes, count * n);
    if (result == ERR_OK)
        result = blob_read(r->bytes, r->array.offset + index * n, count * n, r->run);
    for (size_t i = 0; result == ERR_OK && i < count; i++)
        memcpy(out + i * step * n, r->run + i * n, n);
    return result;
}

/* Where the value `column` of a row lies among the columns of a Fortran file: the order of (layers,
 * width) is turned as well. */
static uint64_t fortran_column(const struct array_reader *r, uint64_t column)
{
    const struct array *a = &r->array;
    if (a->dims < 3) return column;
    uint64_t width = a->shape[2], layers = a->shape[1];
    return column % width * layers + column / width;
}

/* Rows are the first dimension, which varies fastest in the file: column by column. */
static int read_columns(struct array_reader *r, uint64_t first, size_t count, char *out)
{
    int result = ERR_OK;
    for (uint64_t c = 0; c < r->view.width && result == ERR_OK; c++)
        result = scatter(r, fortran_column(r, c) * r->view.rows + first, count,
                         out + c * r->value_bytes, r->view.width);
    return result;
}

/* Bring the rows around (outer, inner) into the block: whole sequences, or a part of one. */
static int load_block(struct array_reader *r, uint64_t outer, uint64_t inner)
{
    const struct array_view *v = &r->view;
    uint64_t rows = BLOCK_BYTES / r->row_bytes, outers = rows / v->inner, inners = v->inner;
    if (outers == 0) {
        outers = 1;
        inners = rows > 0 ? rows : 1;
    }
    if (outers > v->outer - outer) outers = v->outer - outer;
    uint64_t first_inner = inner / inners * inners;
    if (inners > v->inner - first_inner) inners = v->inner - first_inner;
    r->outers = 0;
    int result = grow(&r->block, &r->block_bytes, outers * inners * r->row_bytes);
    for (uint64_t d = 0; d < v->width && result == ERR_OK; d++)
        for (uint64_t i = 0; i < inners && result == ERR_OK; i++)
            result = scatter(r, (d * v->inner + first_inner + i) * v->outer + outer, outers,
                             r->block + i * r->row_bytes + d * r->value_bytes, inners * v->width);
    if (result != ERR_OK) return result;
    r->first_outer = outer;
    r->outers = outers;
    r->first_inner = first_inner;
    r->inners = inners;
    return ERR_OK;
}

static int read_through_block(struct array_reader *r, uint64_t first, size_t count, char *out)
{
    for (uint64_t row = first; row < first + count; row++, out += r->row_bytes) {
        uint64_t outer = row / r->view.inner, inner = row % r->view.inner;
        if (outer - r->first_outer >= r->outers || inner - r->first_inner >= r->inners) {
            int result = load_block(r, outer, inner);
            if (result != ERR_OK) return result;
        }
        uint64_t at = (outer - r->first_outer) * r->inners + inner - r->first_inner;
        memcpy(out, r->block + at * r->row_bytes, r->row_bytes);
    }
    return ERR_OK;
}

/* Rows into r->raw, in C order. */
static int read_rows(struct array_reader *r, uint64_t first, size_t count)
{
    if (first > r->view.rows || count > r->view.rows - first)
        return err_set(ERR_INTERNAL, "rows beyond the end of an array");
    int result = grow(&r->raw, &r->raw_bytes, count * r->row_bytes);
    if (result != ERR_OK || count == 0) return result;
    if (!r->array.fortran)
        return blob_read(r->bytes, r->array.offset + first * r->row_bytes, count * r->row_bytes,
                         r->raw);
    if (r->view.inner > 1) return read_through_block(r, first, count, r->raw);
    return read_columns(r, first, count, r->raw);
}

/* ---- values ---- */

/* The bytes of value i as a number, upper bytes 0. */
static uint64_t bits(const struct array_reader *r, size_t i)
{
    uint64_t value = 0;
    memcpy(&value, r->raw + i * r->value_bytes, r->value_bytes);
    if (r->array.big_endian) value = __builtin_bswap64(value) >> (64 - 8 * r->value_bytes);
    return value;
}

static float float_of(int dtype, uint64_t u)
{
    uint32_t low = (uint32_t)u;
    float f;
    double d;
    if (dtype == ARRAY_F16) return f16_to_f32((uint16_t)u);
    if (dtype == ARRAY_BF16) return bf16_to_f32((uint16_t)u);
    if (dtype == ARRAY_F32) {
        memcpy(&f, &low, sizeof f);
        return f;
    }
    memcpy(&d, &u, sizeof d);
    return (float)d;
}

int array_read_f32(struct array_reader *r, uint64_t first, size_t count, float *out)
{
    int result = read_rows(r, first, count);
    if (result != ERR_OK) return result;
    size_t values = count * r->view.width;
    if (r->array.dtype == ARRAY_F32 && !r->array.big_endian && values) {
        memcpy(out, r->raw, values * sizeof *out);
        return ERR_OK;
    }
    for (size_t i = 0; i < values; i++) out[i] = float_of(r->array.dtype, bits(r, i));
    return ERR_OK;
}

int array_read_i64(struct array_reader *r, uint64_t first, size_t count, int64_t *out)
{
    int result = read_rows(r, first, count);
    if (result != ERR_OK) return result;
    int is_signed = r->array.dtype <= ARRAY_I64;
    for (size_t i = 0; i < count * r->view.width; i++) {
        uint64_t u = bits(r, i);
        unsigned shift = 64 - 8 * (unsigned)r->value_bytes;
        out[i] = is_signed ? (int64_t)(u << shift) >> shift : (int64_t)u;
    }
    return ERR_OK;
}
