#include "engine/row_file.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_ROWS = 1 << 16 };

struct row_reader {
    struct blob *values_bytes, *tokens_bytes;
    struct array_reader *values, *tokens;
    int64_t *ids; /* (ids_room) */
    size_t ids_room;
};

/* ---- shape ---- */

/* Whether three dimensions are (rows, layers, width). */
static int has_layers(const struct array *a, const struct engine_options *o)
{
    if (o->file_axes == FILE_AXES_AUTO) return o->hooks_count > 1 && a->shape[1] == o->hooks_count;
    return o->file_axes == FILE_AXES_LAYERS;
}

static int view_of_three(struct row_file *f, const struct engine_options *o)
{
    const struct array *a = &f->values.array;
    f->guessed = o->file_axes == FILE_AXES_AUTO;
    if (!has_layers(a, o)) {
        f->view =
            (struct array_view){a->shape[0] * a->shape[1], a->shape[2], a->shape[0], a->shape[1]};
        return ERR_OK;
    }
    if (a->shape[1] == 0 || a->shape[1] > ROW_MAX_HOOKS ||
        (o->hooks_count > 0 && a->shape[1] != o->hooks_count))
        return err_set(ERR_USAGE,
                       "%s has %" PRIu64 " layers, and stream.hooks names %u; HINT: name one hook "
                       "for each (%d at most), or set capture.file_axes: sequences",
                       place_name(&f->values), a->shape[1], o->hooks_count, ROW_MAX_HOOKS);
    f->layers = (uint32_t)a->shape[1];
    if (a->shape[2] > ROW_MAX_WIDTH) return ERR_OK; /* told below, without an overflow */
    f->view = (struct array_view){a->shape[0], a->shape[1] * a->shape[2], a->shape[0], 1};
    return ERR_OK;
}

static int take_view(struct row_file *f, const struct engine_options *o)
{
    const struct array *a = &f->values.array;
    int result = ERR_OK;
    f->view = (struct array_view){a->shape[0], a->shape[1], a->shape[0], 1};
    if (a->dims == 3)
        result = view_of_three(f, o);
    else if (a->dims != 2)
        result = err_set(ERR_FORMAT,
                         "%s has %u dimension%s, not (rows, width), (sequences, rows, width) or "
                         "(rows, layers, width); HINT: reshape it, or name another with "
                         "capture.tensor",
                         place_name(&f->values), a->dims, a->dims == 1 ? "" : "s");
    if (result != ERR_OK) return result;
    uint64_t last = a->shape[a->dims - 1];
    if (last > 0 && last <= ROW_MAX_WIDTH && f->view.width <= ROW_MAX_WIDTH) return ERR_OK;
    if (f->layers)
        return err_set(ERR_FORMAT,
                       "%s holds rows of %u layers with %" PRIu64
                       " values each; all layers of a row "
                       "together have 1 to %d; HINT: write fewer layers into a file",
                       place_name(&f->values), f->layers, last, ROW_MAX_WIDTH);
    return err_set(ERR_FORMAT,
                   "%s holds rows of %" PRIu64
                   " values, and a row has 1 to %d; HINT: write narrower "
                   "rows, or name another array with capture.tensor",
                   place_name(&f->values), last, ROW_MAX_WIDTH);
}

/* ---- sequences ---- */

static int too_long(const struct row_file *f, uint64_t rows)
{
    return err_set(ERR_LIMIT, "%s has a sequence of %" PRIu64 " rows; %u at most",
                   place_name(&f->values), rows, UINT32_MAX);
}

/* Without ids. */
static int take_regular(struct row_file *f, const struct engine_options *o)
{
    uint64_t length =
        f->values.array.dims == 3 && !f->layers ? f->view.inner : o->file_sequence_rows;
    if (f->view.rows == 0) return ERR_OK;
    if (length > UINT32_MAX) return too_long(f, length);
    f->sequence_rows = f->longest = (uint32_t)length;
    f->sequences = (f->view.rows - 1) / length + 1;
    return ERR_OK;
}

/* Dimensions of 1 do not count. */
static uint32_t squeeze(const uint64_t *shape, uint32_t dims, uint64_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < dims; i++)
        if (shape[i] != 1) out[n++] = shape[i];
    return n;
}

static uint64_t elements(const uint64_t *shape, uint32_t dims)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < dims; i++)
        if (__builtin_mul_overflow(n, shape[i], &n)) return 0;
    return n;
}

/* Ids as many as the rows, in one dimension or in the rows' own; `more`: one more is fine. */
static int check_ids(struct row_file *f, const struct place *ids, const char *what, int *more)
{
    const struct array *a = &ids->array;
    uint64_t got[ARRAY_MAX_DIMS], own[ARRAY_MAX_DIMS], rows = f->view.rows;
    uint32_t own_dims = f->layers ? 1 : f->values.array.dims - 1;
    uint32_t dims = squeeze(a->shape, a->dims, got);
    own_dims = squeeze(f->values.array.shape, own_dims, own);
    uint64_t first = dims == 0 ? 1 : got[0];
    if (dims == own_dims && memcmp(got, own, dims * sizeof *got) == 0) return ERR_OK;
    if (dims <= 1 && first == rows) return ERR_OK;
    if (f->view.inner <= 1 && dims == 2 && elements(got, dims) == rows)
        return ERR_OK; /* (B, T) of B * T */
    if (more && dims <= 1 && first == rows + 1) {
        *more = 1;
        return ERR_OK;
    }
    if (dims <= 1)
        return err_set(ERR_USAGE,
                       "%s: %" PRIu64 " %s for %" PRIu64 " rows; HINT: give one id for each row "
                       "(numpy.repeat makes them of one for each sequence)",
                       place_name(ids), first, what, rows);
    return err_set(ERR_USAGE, "%s: %s of other dimensions than the rows have", place_name(ids),
                   what);
}

/* As check_ids() has found it: by the rows' own dimensions, or one after the other. */
static struct array_view view_of_ids(const struct row_file *f, const struct array *a)
{
    struct array_view view = {f->view.rows, 1, f->view.rows, 1};
    uint64_t shape[ARRAY_MAX_DIMS];
    if (squeeze(a->shape, a->dims, shape) == 2)
        view = (struct array_view){f->view.rows, 1, shape[0], shape[1]};
    return view;
}

static int open_ids(const struct row_file *f, const struct place *ids, struct blob **bytes,
                    struct array_reader **reader)
{
    struct array_view view = view_of_ids(f, &ids->array);
    int result = place_open(ids, bytes);
    if (result == ERR_OK) result = array_reader_new(&ids->array, &view, *bytes, reader);
    return result;
}

/* All ids of a file, a piece at a time. */
static int each_piece(struct row_file *f, const struct place *ids,
                      int (*use)(struct row_file *f, uint64_t first, size_t count,
                                 const int64_t *id))
{
    struct blob *bytes = NULL;
    struct array_reader *reader = NULL;
    int64_t *id = malloc(PIECE_ROWS * sizeof *id);
    int result = id ? open_ids(f, ids, &bytes, &reader) : err_set(ERR_NOMEM, "no memory for ids");
    for (uint64_t at = 0; at < f->view.rows && result == ERR_OK; at += PIECE_ROWS) {
        uint64_t left = f->view.rows - at;
        size_t count = left < PIECE_ROWS ? left : PIECE_ROWS;
        result = array_read_i64(reader, at, count, id);
        if (result == ERR_OK) result = use(f, at, count, id);
    }
    array_reader_free(reader);
    blob_close(bytes);
    free(id);
    return result == ERR_OK ? ERR_OK : place_about(result, ids->path);
}

static int add_start(struct row_file *f, uint64_t row)
{
    if ((f->sequences & (f->sequences - 1)) == 0) { /* full at each power of two */
        uint64_t room = f->sequences ? 2 * f->sequences + 1 : 2;
        uint64_t *larger = realloc(f->start, room * sizeof *larger);
        if (!larger) return err_set(ERR_NOMEM, "no memory for %" PRIu64 " sequences", f->sequences);
        f->start = larger;
    }
    f->start[f->sequences++] = row;
    return ERR_OK;
}

/* The id of the row before is kept behind the last start. */
static int take_runs(struct row_file *f, uint64_t first, size_t count, const int64_t *id)
{
    int result = ERR_OK;
    for (size_t i = 0; i < count && result == ERR_OK; i++) {
        uint64_t row = first + i;
        int begins = row == 0 || (f->view.inner > 1 && row % f->view.inner == 0) ||
                     (uint64_t)id[i] != f->start[f->sequences];
        if (begins) result = add_start(f, row);
        if (result == ERR_OK) f->start[f->sequences] = (uint64_t)id[i];
    }
    return result;
}

static int measure_runs(struct row_file *f)
{
    for (uint64_t i = 0; i < f->sequences; i++) {
        uint64_t rows = f->start[i + 1] - f->start[i];
        if (rows > UINT32_MAX) return too_long(f, rows);
        if (rows > f->longest) f->longest = (uint32_t)rows;
    }
    return ERR_OK;
}

static int check_tokens(struct row_file *f, uint64_t first, size_t count, const int64_t *id)
{
    (void)f;
    for (size_t i = 0; i < count; i++)
        if (id[i] < 0 || id[i] > UINT32_MAX)
            return err_set(ERR_USAGE,
                           "row %" PRIu64 " has the token id %" PRId64 ", not 0 to %u; HINT: leave "
                           "such rows out, or set no capture.tokens_tensor",
                           first + i, id[i], UINT32_MAX);
    return ERR_OK;
}

/* ---- looking ---- */

static int find_beside(const char *path, const char *name, const char *key, struct row_file *f,
                       struct place *place)
{
    struct place_wish wish = {.name = name, .key = key};
    if (f->values.kind == PLACE_NPY)
        return err_set(ERR_USAGE,
                       "%s: a .npy holds one array, and %s names a second; HINT: save both in one "
                       ".npz (numpy.savez) or safetensors file",
                       path, key);
    int result = place_find(path, &wish, place);
    return result == ERR_OK ? place_expect(place, 0) : result;
}

static int look_at_sequences(const char *path, const struct engine_options *o, struct row_file *f)
{
    if (!o->sequences_tensor) return take_regular(f, o);
    int result = find_beside(path, o->sequences_tensor, "capture.sequences_tensor", f, &f->ids);
    if (result == ERR_OK) result = check_ids(f, &f->ids, "sequence ids", NULL);
    if (result == ERR_OK) result = each_piece(f, &f->ids, take_runs);
    if (result == ERR_OK && f->start) f->start[f->sequences] = f->view.rows;
    return result == ERR_OK ? measure_runs(f) : result;
}

static int look_at_tokens(const char *path, const struct engine_options *o, struct row_file *f)
{
    if (!o->tokens_tensor) return ERR_OK;
    int result = find_beside(path, o->tokens_tensor, "capture.tokens_tensor", f, &f->tokens);
    if (result == ERR_OK) result = check_ids(f, &f->tokens, "token ids", &f->one_token_more);
    return result == ERR_OK ? each_piece(f, &f->tokens, check_tokens) : result;
}

int row_file_look(const char *path, const struct engine_options *o, struct row_file *f)
{
    struct place_wish wish = {.name = o->tensor,
                              .others = {o->tokens_tensor, o->sequences_tensor},
                              .is_bf16 = o->file_is_bf16,
                              .key = "capture.tensor"};
    memset(f, 0, sizeof *f);
    int result = place_find(path, &wish, &f->values);
    if (result == ERR_OK) result = place_expect(&f->values, 1);
    if (result == ERR_OK) result = take_view(f, o);
    if (result == ERR_OK) result = look_at_sequences(path, o, f);
    if (result == ERR_OK) result = look_at_tokens(path, o, f);
    if (result != ERR_OK) row_file_fini(f);
    return result;
}

void row_file_fini(struct row_file *f)
{
    row_file_close(f);
    place_fini(&f->values);
    place_fini(&f->tokens);
    place_fini(&f->ids);
    free(f->start);
    f->start = NULL;
}

/* ---- reading ---- */

void row_file_sequence(const struct row_file *f, uint64_t number, uint64_t *first, uint32_t *rows)
{
    if (f->start) {
        *first = f->start[number];
        *rows = (uint32_t)(f->start[number + 1] - *first);
        return;
    }
    *first = number * f->sequence_rows;
    uint64_t left = f->view.rows - *first;
    *rows = left < f->sequence_rows ? (uint32_t)left : f->sequence_rows;
}

int row_file_open(struct row_file *f)
{
    if (f->reader) return ERR_OK;
    struct row_reader *r = f->reader = calloc(1, sizeof *r);
    if (!r) return err_set(ERR_NOMEM, "no memory to read %s", f->values.path);
    int result = place_open(&f->values, &r->values_bytes);
    if (result == ERR_OK)
        result = array_reader_new(&f->values.array, &f->view, r->values_bytes, &r->values);
    if (result == ERR_OK && f->tokens.path)
        result = open_ids(f, &f->tokens, &r->tokens_bytes, &r->tokens);
    if (result != ERR_OK) row_file_close(f);
    return result;
}

void row_file_close(struct row_file *f)
{
    struct row_reader *r = f->reader;
    if (!r) return;
    array_reader_free(r->values);
    array_reader_free(r->tokens);
    blob_close(r->values_bytes);
    blob_close(r->tokens_bytes);
    free(r->ids);
    free(r);
    f->reader = NULL;
}

static int read_tokens(struct row_reader *r, uint64_t first, size_t count, uint32_t *tokens)
{
    memset(tokens, 0, count * sizeof *tokens);
    if (!r->tokens) return ERR_OK;
    if (count > r->ids_room) {
        int64_t *larger = realloc(r->ids, count * sizeof *larger);
        if (!larger) return err_set(ERR_NOMEM, "no memory for token ids");
        r->ids = larger;
        r->ids_room = count;
    }
    int result = array_read_i64(r->tokens, first, count, r->ids);
    for (size_t i = 0; i < count && result == ERR_OK; i++) tokens[i] = (uint32_t)r->ids[i];
    return result;
}

int row_file_read(struct row_file *f, uint64_t first, size_t count, float *values, uint32_t *tokens)
{
    int result = array_read_f32(f->reader->values, first, count, values);
    if (result == ERR_OK) result = read_tokens(f->reader, first, count, tokens);
    return result == ERR_OK ? ERR_OK : place_about(result, f->values.path);
}
