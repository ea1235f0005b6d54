/*
 * The engine `files`: rows out of .npy, .npz and safetensors files. Sequences are those of
 * row_file.h, numbered over all files in the order given; none crosses a file's end. One file is
 * open at a time.
 */
#include "base/err.h"
#include "engine/backend.h"
#include "engine/fingerprint.h"
#include "engine/path_list.h"
#include "engine/row_file.h"
#include "engine/settings.h"
#include "engine/span.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct numbered {
    struct row_file row;
    uint64_t first_sequence;
};

struct files {
    struct path_list paths;
    struct numbered *file; /* (count) */
    uint32_t count, empty; /* empty ones of them */
    uint32_t width, layers, longest;
    uint32_t share_index, share_count;
    uint64_t rows, sequences; /* of all files */
    uint32_t at;              /* file of the next row */
    uint64_t sequence;        /* of the next row */
    uint32_t position;
    uint64_t made;
    char description[256];
    /* one batch */
    uint32_t batch_rows;
    struct row_id *ids;
    uint32_t *tokens;
    uint8_t *flags;
    struct cursor *cursors;
    float *values;
};

/* ---- opening ---- */

/* A file of no rows still has a width, which must be the others'. */
static int take_file(struct files *s, struct numbered *n)
{
    const struct row_file *f = &n->row;
    const struct row_file *first = &s->file[0].row;
    if (s->width != 0 && s->width != f->view.width)
        return err_set(ERR_MISMATCH,
                       "%s has rows of %" PRIu64
                       " values, %s of %u; HINT: give files of one width, "
                       "or another stream of its own",
                       place_name(&f->values), f->view.width, first->values.path, s->width);
    if (s->layers != 0 && f->layers != 0 && s->layers != f->layers)
        return err_set(ERR_MISMATCH,
                       "%s has %u layers, the files before it %u; HINT: see "
                       "capture.file_axes",
                       place_name(&f->values), f->layers, s->layers);
    s->width = (uint32_t)f->view.width;
    if (f->layers) s->layers = f->layers;
    if (f->longest > s->longest) s->longest = f->longest;
    n->first_sequence = s->sequences;
    s->sequences += f->sequences;
    s->rows += f->view.rows;
    s->empty += f->view.rows == 0;
    return ERR_OK;
}

static void close_files(void *state)
{
    struct files *s = state;
    if (!s) return;
    for (uint32_t i = 0; s->file && i < s->count; i++) row_file_fini(&s->file[i].row);
    path_list_free(&s->paths);
    free(s->file);
    free(s->ids);
    free(s->tokens);
    free(s->flags);
    free(s->cursors);
    free(s->values);
    free(s);
}

enum role { ROLE_VALUES, ROLE_TOKENS, ROLE_IDS };

/* The role tells tokens and ids apart, which may be one another's in the next run. Values alone
 * have the fingerprint that they had before there were others. */
static int add_place(const struct place *place, enum role role, uint64_t *hash)
{
    uint64_t one;
    if (!place->path) return ERR_OK;
    if (role != ROLE_VALUES) *hash = fingerprint_add_u64(*hash, role);
    int result = fingerprint_file(place->path, FINGERPRINT_SAMPLED, NULL, &one);
    if (result != ERR_OK) return result;
    *hash = fingerprint_add_u64(*hash, one);
    if (place->name) *hash = fingerprint_add_text(*hash, place->name);
    return ERR_OK;
}

static int fingerprint(const struct files *s, uint32_t sequence_rows, uint64_t *hash)
{
    int result = ERR_OK;
    *hash = sequence_rows;
    for (uint32_t i = 0; i < s->count && result == ERR_OK; i++) {
        const struct row_file *f = &s->file[i].row;
        result = add_place(&f->values, ROLE_VALUES, hash);
        if (result == ERR_OK) result = add_place(&f->tokens, ROLE_TOKENS, hash);
        if (result == ERR_OK) result = add_place(&f->ids, ROLE_IDS, hash);
        if (f->values.array.dims == 3) *hash = fingerprint_add_u64(*hash, f->layers);
    }
    return result;
}

static int allocate(struct files *s)
{
    s->batch_rows = span_batch_rows(s->width);
    s->ids = calloc(s->batch_rows, sizeof *s->ids);
    s->tokens = calloc(s->batch_rows, sizeof *s->tokens);
    s->flags = calloc(s->batch_rows, 1);
    s->cursors = calloc(s->batch_rows + 1, sizeof *s->cursors);
    s->values = malloc((size_t)s->batch_rows * s->width * sizeof *s->values);
    if (!s->ids || !s->tokens || !s->flags || !s->cursors || !s->values)
        return err_set(ERR_NOMEM, "no memory for rows of %u values", s->width);
    return ERR_OK;
}

/* Several hooks share the width evenly, as rows of a crosscoder lie side by side. */
static int describe_hooks(struct files *s, const struct engine_options *o, struct engine_info *info)
{
    uint32_t hooks = o->hooks_count > 0 ? o->hooks_count : s->layers > 0 ? s->layers : 1;
    if (s->width % hooks != 0)
        return err_set(ERR_USAGE,
                       "rows of %u values cannot be shared by %u hooks; HINT: see stream.hooks",
                       s->width, hooks);
    for (uint32_t h = 0; h < hooks; h++) {
        struct engine_hook *hook = &info->hook[h];
        if (o->hooks_count > 0)
            snprintf(hook->name, sizeof hook->name, "%s", o->hooks[h]);
        else if (s->layers > 0)
            snprintf(hook->name, sizeof hook->name, "layer.%u", h);
        else
            snprintf(hook->name, sizeof hook->name, "files");
        hook->width = s->width / hooks;
    }
    info->hooks = hooks;
    return ERR_OK;
}

static void note(struct files *s, const char *text)
{
    size_t used = strlen(s->description);
    snprintf(s->description + used, sizeof s->description - used, "; %s", text);
}

/* What was taken for granted is said. */
static void describe_files(struct files *s)
{
    char text[96];
    int guessed = 0, more = 0, f64 = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct row_file *f = &s->file[i].row;
        guessed |= f->guessed;
        more |= f->one_token_more;
        f64 |= f->values.array.dtype == ARRAY_F64;
    }
    snprintf(s->description, sizeof s->description, "%u files, %" PRIu64 " rows of %u values",
             s->count, s->rows, s->width);
    if (guessed)
        note(s, s->layers ? "3 dimensions taken as (rows, layers, width)"
                          : "3 dimensions taken as (sequences, rows, width)");
    if (s->empty) {
        snprintf(text, sizeof text, "%u of the files empty", s->empty);
        note(s, text);
    }
    if (s->paths.left_out) {
        snprintf(text, sizeof text, "%zu other files of folders left out", s->paths.left_out);
        note(s, text);
    }
    if (more) note(s, "the last token id has no row");
    if (f64) note(s, "f64 made f32");
}

static int describe(struct files *s, const struct engine_options *o, struct engine_info *info)
{
    int result = describe_hooks(s, o, info);
    if (result != ERR_OK) return result;
    describe_files(s);
    settings_number(info, "files (how many)", s->count);
    settings_number(info, "files (their rows)", s->rows);
    settings_text(info, "tensor", o->tensor);
    settings_text(info, "tokens_tensor", o->tokens_tensor);
    settings_text(info, "sequences_tensor", o->sequences_tensor);
    settings_text(info, "file_axes", s->layers ? "layers" : "sequences");
    settings_flag(info, "file_dtype (bf16)", o->file_is_bf16);
    settings_number(info, "file_sequence_rows", o->file_sequence_rows);
    info->model = s->description;
    info->model_hash = info->corpus_hash;
    info->precision = array_dtype_name(s->file[0].row.values.array.dtype);
    info->context_tokens = s->longest;
    info->resumable = 1;
    return ERR_OK;
}

static int list_paths(struct files *s, const struct engine_options *o)
{
    static const char *const endings[] = {".npy", ".npz", ".safetensors", NULL};
    int result = ERR_OK;
    for (uint32_t i = 0; i < o->files_count && result == ERR_OK; i++)
        result = path_list_add(&s->paths, o->files[i], endings, "capture.files");
    if (result == ERR_OK && s->paths.count > UINT32_MAX)
        result = err_set(ERR_LIMIT, "capture.files: %zu files", s->paths.count);
    return result;
}

/* A shard may be named by itself and by an index. */
static int check_twice(const struct files *s)
{
    struct path_list paths = {0};
    paths.path = calloc(s->count + 1, sizeof *paths.path);
    if (!paths.path) return err_set(ERR_NOMEM, "no memory for a list of files");
    for (; paths.count < s->count; paths.count++)
        paths.path[paths.count] = s->file[paths.count].row.values.path;
    int result = path_list_check(&paths, "capture.files");
    free(paths.path);
    return result;
}

static int look_at_files(struct files *s, const struct engine_options *o)
{
    s->file = calloc(s->paths.count, sizeof *s->file);
    int result = s->file ? ERR_OK : err_set(ERR_NOMEM, "no memory for a list of files");
    for (size_t i = 0; i < s->paths.count && result == ERR_OK; i++) {
        result = row_file_look(s->paths.path[i], o, &s->file[i].row);
        if (result == ERR_OK) s->count++;
        if (result == ERR_OK) result = take_file(s, &s->file[i]);
    }
    if (result == ERR_OK) result = check_twice(s);
    if (result == ERR_OK && s->rows == 0)
        result = err_set(ERR_FORMAT, "%s%s: no rows in %s", s->paths.path[0],
                         s->count > 1 ? " and others" : "", s->count > 1 ? "any of them" : "it");
    return result;
}

static int open_files(const struct engine_options *o, struct engine_info *info, void **state)
{
    if (o->files_count == 0)
        return err_set(ERR_USAGE, "no files are given; HINT: set capture.files");
    if (o->file_sequence_rows == 0)
        return err_set(ERR_USAGE, "capture.file_sequence_rows must not be 0");
    struct files *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for an engine");
    s->share_index = o->share_index;
    s->share_count = o->share_count;
    s->sequence = o->share_index;
    int result = list_paths(s, o);
    if (result == ERR_OK) result = look_at_files(s, o);
    if (result == ERR_OK) result = fingerprint(s, o->file_sequence_rows, &info->corpus_hash);
    if (result == ERR_OK) result = describe(s, o, info);
    if (result == ERR_OK) result = allocate(s);
    if (result != ERR_OK) {
        close_files(s);
        return result;
    }
    *state = s;
    return ERR_OK;
}

/* ---- rows ---- */

static struct engine_counters counters(const void *state)
{
    const struct files *s = state;
    return (struct engine_counters){.tokens = s->made};
}

static int count_rows(void *state, uint64_t *rows, void (*progress)(void *arg, uint64_t tokens),
                      void *arg)
{
    const struct files *s = state;
    (void)progress;
    (void)arg;
    *rows = s->rows;
    return ERR_OK;
}

/* Put s->at to the file of s->sequence; its count at the end. */
static void find_file(struct files *s)
{
    while (s->at < s->count &&
           s->sequence - s->file[s->at].first_sequence >= s->file[s->at].row.sequences) {
        row_file_close(&s->file[s->at].row);
        s->at++;
    }
}

/* Rows of the current sequence in its file. */
static void this_sequence(const struct files *s, uint64_t *first, uint32_t *rows)
{
    const struct numbered *n = &s->file[s->at];
    row_file_sequence(&n->row, s->sequence - n->first_sequence, first, rows);
}

static int seek(void *state, const struct cursor *cursor)
{
    struct files *s = state;
    uint64_t sequence;
    int result = span_of_cursor(cursor, s->share_index, s->share_count, &sequence);
    if (result != ERR_OK) return result;
    if (s->at < s->count) row_file_close(&s->file[s->at].row);
    s->sequence = sequence;
    s->position = cursor->position;
    s->at = 0;
    find_file(s);
    uint64_t first;
    uint32_t length = 0;
    if (s->at < s->count) this_sequence(s, &first, &length);
    int at_end =
        s->at == s->count && cursor->position == 0 && sequence < s->sequences + s->share_count;
    if (cursor->position < length || at_end) return ERR_OK;
    return err_set(ERR_MISMATCH,
                   "the files have no sequence %" PRIu64 " with position %u: they are not those "
                   "that this stream was begun with",
                   sequence, cursor->position);
}

static struct cursor here(const struct files *s)
{
    return (struct cursor){.sequence = s->sequence, .position = s->position};
}

/* Add rows of the current sequence to the batch, as many as fit. */
static int add_rows(struct files *s, size_t *rows)
{
    struct row_file *f = &s->file[s->at].row;
    uint64_t first;
    uint32_t length;
    this_sequence(s, &first, &length);
    size_t n = length - s->position;
    if (n > s->batch_rows - *rows) n = s->batch_rows - *rows;
    int result = row_file_open(f);
    if (result == ERR_OK)
        result = row_file_read(f, first + s->position, n, s->values + *rows * s->width,
                               s->tokens + *rows);
    if (result != ERR_OK) return result;
    for (size_t i = 0; i < n; i++, s->position++) {
        s->ids[*rows + i] = (struct row_id){s->sequence, s->position, s->tokens[*rows + i]};
        s->cursors[*rows + i] = here(s);
    }
    *rows += n;
    if (s->position == length) {
        s->position = 0;
        s->sequence += s->share_count;
        find_file(s);
    }
    return ERR_OK;
}

static int next(void *state, struct engine_batch *batch)
{
    struct files *s = state;
    size_t rows = 0;
    find_file(s);
    while (rows < s->batch_rows && s->at < s->count) {
        int result = add_rows(s, &rows);
        if (result != ERR_OK) return result;
    }
    s->cursors[rows] = here(s);
    s->made += rows;
    *batch = (struct engine_batch){rows, s->ids, s->flags, s->cursors, s->values, NULL};
    return ERR_OK;
}

static struct engine_lack lacks(const struct engine_options *o)
{
    if (o->files_count > 0) return (struct engine_lack){0};
    return (struct engine_lack){"capture.files",
                                "is required by the files engine: safetensors or .npy files"};
}

const struct backend backend_files = {
    .lacks = lacks,
    .open = open_files,
    .counters = counters,
    .count_rows = count_rows,
    .seek = seek,
    .next = next,
    .close = close_files,
};
