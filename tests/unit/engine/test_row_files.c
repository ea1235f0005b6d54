/* Files as NumPy, ml_dtypes and safetensors write them (tests/rows/make.py): value i is i / 4. */
#include "tests/unit/engine/rows.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/safetensors.h"
#include "engine/row_file.h"

static const char *kept(const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "tests/rows/%s", name);
    return p;
}

static struct engine_options options_of(const char *const *files, uint32_t count)
{
    return (struct engine_options){.kind = ENGINE_FILES,
                                   .share_count = 1,
                                   .files = files,
                                   .files_count = count,
                                   .file_sequence_rows = 5};
}

static void expect_values(const struct rows *r)
{
    for (size_t i = 0; i < r->count * r->width; i++)
        if (r->values[i] != (float)i / 4) fail_msg("value %zu is %g", i, (double)r->values[i]);
}

/* All of a file, read as a whole and taken up at many places. */
static struct rows expect_file(const struct engine_options *o, size_t rows, uint32_t width)
{
    struct rows r = all_rows(o);
    assert_int_equal(r.count, rows);
    assert_int_equal(r.width, width);
    expect_values(&r);
    expect_seekable(o, 7, 0);
    return r;
}

static void every_kind_gives_the_same_values(void **state)
{
    (void)state;
    static const char *const names[] = {"little_f4.npy",
                                        "little_f8.npy",
                                        "little_f2.npy",
                                        "big_f4.npy",
                                        "big_f8.npy",
                                        "big_f2.npy",
                                        "version_2.npy",
                                        "version_3.npy",
                                        "fortran.npy",
                                        "fortran_big_f8.npy",
                                        "stored.npz",
                                        "compressed.npz",
                                        "zip64.npz",
                                        "f2.safetensors",
                                        "f4.safetensors",
                                        "f8.safetensors",
                                        "newer_beside.safetensors",
                                        "shards/rows.safetensors.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *path = kept(names[i]);
        struct engine_options o = options_of(&path, 1);
        o.tensor = "acts";
        struct rows r = expect_file(&o, 24, 8);
        assert_int_equal(r.ids[7].sequence, 1);
        assert_int_equal(r.ids[7].position, 2);
        free_rows(&r);
    }
}

static void bf16_is_read_where_it_is_said(void **state)
{
    (void)state;
    static const char *const names[] = {"bf16.npy", "bf16.npz"};
    for (int i = 0; i < 2; i++) {
        const char *path = kept(names[i]);
        struct engine_options o = options_of(&path, 1);
        struct engine *e;
        assert_int_equal(engine_open(&o, &e), ERR_VERSION);
        assert_non_null(strstr(err_text(), "capture.file_dtype: bf16"));
        assert_non_null(strstr(err_text(), path));
        o.file_is_bf16 = 1;
        struct rows r = expect_file(&o, 24, 8);
        free_rows(&r);
    }
    const char *path = kept("little_f4.npy");
    struct engine_options o = options_of(&path, 1);
    o.file_is_bf16 = 1;
    struct rows r = expect_file(&o, 24, 8);
    free_rows(&r);
}

/* (sequences, rows, width): each of the first dimension is a sequence, as long as it is. */
static void three_dimensions_are_sequences(void **state)
{
    (void)state;
    static const char *const names[] = {"sequences.npy", "sequences_fortran.npy", "fortran.npz",
                                        "sequences.safetensors"};
    for (int i = 0; i < 4; i++) {
        const char *path = kept(names[i]);
        struct engine_options o = options_of(&path, 1);
        o.tensor = "acts";
        struct rows r = expect_file(&o, 24, 8);
        for (size_t k = 0; k < 24; k++) {
            assert_int_equal(r.ids[k].sequence, k / 6);
            assert_int_equal(r.ids[k].position, k % 6);
        }
        free_rows(&r);
        struct engine *e = open_engine(&o);
        assert_int_equal(engine_info(e)->context_tokens, 6);
        assert_non_null(strstr(engine_info(e)->model, "taken as (sequences, rows, width)"));
        engine_close(e);
    }
}

static void layers_lie_side_by_side(void **state)
{
    (void)state;
    static const char *const names[] = {"layers.npy", "layers_fortran.npy"};
    static const char *const hooks[] = {"a", "b", "c"};
    for (int i = 0; i < 2; i++) {
        const char *path = kept(names[i]);
        struct engine_options o = options_of(&path, 1);
        o.file_axes = FILE_AXES_LAYERS;
        struct rows r = expect_file(&o, 12, 16);
        assert_int_equal(r.ids[7].sequence, 1);
        free_rows(&r);
        struct engine *e = open_engine(&o);
        assert_int_equal(engine_info(e)->hooks, 2);
        assert_string_equal(engine_info(e)->hook[1].name, "layer.1");
        assert_int_equal(engine_info(e)->hook[1].width, 8);
        assert_null(strstr(engine_info(e)->model, "taken as"));
        engine_close(e);
        o.file_axes = FILE_AXES_AUTO;
        o.hooks = hooks;
        o.hooks_count = 2;
        e = open_engine(&o);
        assert_int_equal(engine_info(e)->width, 16);
        assert_string_equal(engine_info(e)->hook[1].name, "b");
        assert_non_null(strstr(engine_info(e)->model, "taken as (rows, layers, width)"));
        engine_close(e);
        o.file_axes = FILE_AXES_SEQUENCES;
        e = open_engine(&o);
        assert_int_equal(engine_info(e)->width, 8);
        engine_close(e);
        o.file_axes = FILE_AXES_LAYERS;
        o.hooks_count = 3;
        assert_int_equal(engine_open(&o, &e), ERR_USAGE);
        assert_non_null(strstr(err_text(), "2 layers"));
        assert_non_null(strstr(err_text(), path));
    }
}

/* ---- ids ---- */

static void tokens_travel_with_their_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name, *tensor, *tokens;
        size_t rows;
    } files[] = {{"stored.npz", "acts", "tokens", 24},
                 {"compressed.npz", "acts", "tokens", 24},
                 {"fortran.npz", NULL, "tokens", 24},
                 {"sequences.safetensors", "acts", "tokens", 24},
                 {"shards/rows.safetensors.index.json", "acts", "tokens", 24}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *path = kept(files[i].name);
        struct engine_options o = options_of(&path, 1);
        o.tensor = files[i].tensor;
        o.tokens_tensor = files[i].tokens;
        struct rows r = expect_file(&o, files[i].rows, 8);
        for (size_t k = 0; k < r.count; k++) assert_int_equal(r.ids[k].token, 3 * k + 1);
        free_rows(&r);
    }
}

/* hidden_states and token_ids: the last token has no state. */
static void one_token_more_than_rows_is_fine(void **state)
{
    (void)state;
    const char *path = kept("server.safetensors");
    struct engine_options o = options_of(&path, 1);
    o.tokens_tensor = "token_ids";
    o.file_axes = FILE_AXES_LAYERS;
    struct rows r = expect_file(&o, 12, 16);
    for (size_t k = 0; k < r.count; k++) assert_int_equal(r.ids[k].token, 3 * k + 1);
    free_rows(&r);
    struct engine *e = open_engine(&o);
    assert_non_null(strstr(engine_info(e)->model, "the last token id has no row"));
    assert_string_equal(engine_info(e)->precision, "bf16");
    engine_close(e);
}

/* Runs of 5, 1, 10 and 8 rows; in (4, 6) the first dimension's ends break them as well. */
static void expect_runs(const char *name, const char *tensor, const size_t *lengths, size_t count)
{
    const char *path = kept(name);
    struct engine_options o = options_of(&path, 1);
    o.tensor = "acts";
    o.sequences_tensor = tensor;
    struct rows r = expect_file(&o, 24, 8);
    size_t row = 0;
    for (size_t s = 0; s < count; s++)
        for (size_t k = 0; k < lengths[s]; k++, row++) {
            assert_int_equal(r.ids[row].sequence, s);
            assert_int_equal(r.ids[row].position, k);
        }
    assert_int_equal(row, 24);
    free_rows(&r);
}

static void runs_of_equal_ids_are_sequences(void **state)
{
    (void)state;
    static const size_t flat[] = {5, 1, 10, 8}, in_four[] = {5, 1, 6, 4, 2, 6};
    expect_runs("stored.npz", "sequences", flat, 4);
    expect_runs("compressed.npz", "sequences", flat, 4);
    expect_runs("zip64.npz", "sequences", flat, 4);
    expect_runs("sequences.safetensors", "ids", in_four, 6);
}

/* Each share owns whole sequences, and all shares together every row once. */
static void shares_own_whole_runs(void **state)
{
    (void)state;
    static const size_t lengths[] = {5, 1, 10, 8, 5, 1, 10, 8};
    char first[256], second[256];
    const char *paths[] = {first, second};
    snprintf(first, sizeof first, "%s", kept("stored.npz"));
    snprintf(second, sizeof second, "%s", kept("compressed.npz"));
    size_t seen[8] = {0};
    for (uint32_t share = 0; share < 3; share++) {
        struct engine_options o = options_of(paths, 2);
        o.tensor = "acts";
        o.sequences_tensor = "sequences";
        o.tokens_tensor = "tokens";
        o.share_index = share;
        o.share_count = 3;
        expect_seekable(&o, 9, 0);
        struct rows r = all_rows(&o);
        for (size_t i = 0; i < r.count; i++) {
            assert_int_equal(r.ids[i].sequence % 3, share);
            assert_int_equal(r.ids[i].position, seen[r.ids[i].sequence]++);
            assert_true(row_of(&r, i)[0] == (float)(r.ids[i].token - 1) / 3 * 2);
        }
        free_rows(&r);
    }
    for (size_t s = 0; s < 8; s++) assert_int_equal(seen[s], lengths[s]);
}

static int open_as(const char *path, const char *tensor, const char *tokens, const char *sequences)
{
    struct engine_options o = options_of(&path, 1);
    struct engine *e;
    o.tensor = tensor;
    o.tokens_tensor = tokens;
    o.sequences_tensor = sequences;
    return engine_open(&o, &e);
}

static void ids_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    assert_int_equal(open_as(kept("stored.npz"), "acts", "nothing", NULL), ERR_USAGE);
    assert_non_null(strstr(err_text(), "acts, tokens, sequences"));
    assert_non_null(strstr(err_text(), ".safetensors.index.json, not the folder"));
    assert_int_equal(open_as(kept("stored.npz"), "acts", "acts", NULL), ERR_VERSION);
    assert_non_null(strstr(err_text(), "dtype <f4 is not of integers"));
    assert_int_equal(open_as(kept("sequences.npy"), NULL, "tokens", NULL), ERR_USAGE);
    assert_non_null(strstr(err_text(), ".npz"));
    assert_int_equal(open_as(kept("server.safetensors"), "hidden_states", NULL, "token_ids"),
                     ERR_USAGE);
    assert_non_null(strstr(err_text(), "13 sequence ids"));
    assert_non_null(strstr(err_text(), "HINT: give one id for each row"));
    assert_int_equal(open_as(kept("sequences.safetensors"), "acts", "ids", NULL), ERR_USAGE);
    assert_non_null(strstr(err_text(), "token id -922337203685477"));
    assert_int_equal(open_as(kept("shards/rows.safetensors.index.json"), "acts", NULL, "gone"),
                     ERR_NOTFOUND);
}

/* ---- refused ---- */

static void what_cannot_be_read_is_told_whole(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int code;
        const char *text;
    } bad[] = {
        {"float8.npy", ERR_VERSION, "dtype <V1 is not"},
        {"float8_e5m2.npy", ERR_VERSION, "dtype <f1 is not"},
        {"complex.npy", ERR_VERSION, "dtype <c8 is not"},
        {"objects.npy", ERR_VERSION, "dtype |O is not"},
        {"records.npy", ERR_VERSION, "('a_rather_long_field_name_3', '<f4')]"},
        {"one_dimension.npy", ERR_FORMAT, "1 dimension,"},
        {"four_dimensions.npy", ERR_FORMAT, "4 dimensions"},
        {"empty.npy", ERR_FORMAT, "no rows in it"},
        {"empty.safetensors", ERR_FORMAT, "no rows in it"},
        {"float8.safetensors", ERR_VERSION, "dtype F8_E4M3 is not"},
        {"stored.npz", ERR_USAGE, "acts, tokens, sequences"},
        {"newer_beside.safetensors", ERR_USAGE, "acts, scale"},
        {"shards/rows.safetensors.index.json", ERR_USAGE, "capture.tensor"},
        {"make.py", ERR_FORMAT, "is neither"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *path = kept(bad[i].name);
        int code = open_as(path, NULL, NULL, NULL);
        if (code != bad[i].code || !strstr(err_text(), bad[i].text) || !strstr(err_text(), path))
            fail_msg("%s: %s: %s", bad[i].name, err_str(code), err_text());
    }
    assert_int_equal(open_as(kept("newer_beside.safetensors"), "scale", NULL, NULL), ERR_VERSION);
    assert_non_null(strstr(err_text(), "dtype F3_E1M1_2031 is not"));
    const char *index = kept("shards/rows.safetensors.index.json");
    assert_int_equal(open_as(index, "gone", NULL, NULL), ERR_NOTFOUND);
    assert_non_null(strstr(err_text(), "gone.safetensors"));
    assert_int_equal(open_as(index, "nothing", NULL, NULL), ERR_USAGE);
    assert_non_null(strstr(err_text(), "gone"));
}

static void files_of_other_kinds_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *told;
    } kinds[] = {{"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"},
                 {"\x89HDF\r\n\x1a\n--------", "an HDF5 file"},
                 {"PAR1------------", "a Parquet file"},
                 {"\x80\x02------------", "a Python pickle"},
                 {"{\"a\": 1}", "without a \"weight_map\""},
                 {"{", "not JSON"},
                 {"{\"weight_map\": {\"a\": \"../../etc/passwd\"}}", "not the name of a file"},
                 {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", "not the name of a file"},
                 {"{\"weight_map\": {\"a\": 7}}", "not the name of a file"},
                 {"{\"weight_map\": {\"a\": \"other.npy\"}}", "not JSON"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        write_text("other.npy", "{\"weight_map\": {\"a\": \"other.npy\"}}"); /* names itself */
        const char *path = write_text("kind.npy", kinds[i].text);
        assert_int_equal(open_as(path, NULL, NULL, NULL), ERR_FORMAT);
        if (!strstr(err_text(), kinds[i].told)) fail_msg("%s", err_text());
    }
}

static char *load(const char *path, size_t *size)
{
    char *data;
    assert_int_equal(file_read(path, 1 << 20, &data, size), ERR_OK);
    return data;
}

/* Every single byte changed, and every shorter file: an error, or rows; never a signal. */
static void damage(const char *name, int is_checked)
{
    size_t size;
    char *whole = load(kept(name), &size);
    for (size_t i = 0; i < 2 * size; i++) {
        size_t at = i / 2;
        char was = whole[at];
        whole[at] = (char)(was ^ (i % 2 ? 0x01 : 0x80));
        const char *path = in_folder("damaged");
        FILE *file = fopen(path, "wb"); /* not synced: there are thousands of them */
        assert_non_null(file);
        assert_int_equal(fwrite(whole, 1, i % 2 ? at : size, file), i % 2 ? at : size);
        assert_int_equal(fclose(file), 0);
        whole[at] = was;
        if (i % 2 && at == 0) continue;
        struct engine_options o = options_of(&path, 1);
        struct engine *e;
        struct engine_batch b = {.rows = 1};
        o.tensor = "acts";
        if (engine_open(&o, &e) != ERR_OK) {
            assert_non_null(strstr(err_text(), "damaged"));
            continue;
        }
        size_t rows = 0;
        int result = ERR_OK;
        while (result == ERR_OK && b.rows > 0) {
            result = engine_next(e, &b);
            for (size_t k = 0; is_checked && result == ERR_OK && k < b.rows * 8; k++)
                assert_true(b.values[k] == (float)(rows * 8 + k) / 4);
            if (result == ERR_OK) rows += b.rows;
        }
        if (result != ERR_OK) assert_non_null(strstr(err_text(), "damaged"));
        engine_close(e);
    }
    free(whole);
}

static void damaged_files_are_errors(void **state)
{
    (void)state;
    damage("stored.npz", 1);
    damage("compressed.npz", 1);
    damage("little_f4.npy", 0);
    damage("f4.safetensors", 0);
}

/* Before the first row of it is read, whichever that is. */
static void a_damaged_archive_is_noticed_when_it_is_opened(void **state)
{
    (void)state;
    static const char *const names[] = {"compressed.npz", "large.npz"};
    for (int i = 0; i < 2; i++) {
        size_t size;
        char *data = load(kept(names[i]), &size);
        data[i ? 12000 : 280] ^= 1; /* in the values of acts */
        const char *path = write_file("archive.npz", data, size);
        struct engine_options o = options_of(&path, 1);
        struct row_file f;
        o.tensor = "acts";
        if (row_file_look(path, &o, &f) == ERR_OK) {
            assert_int_not_equal(row_file_open(&f), ERR_OK);
            row_file_fini(&f);
        }
        assert_non_null(strstr(err_text(), path));
        free(data);
    }
}

/* ---- lists of files ---- */

static void copy_to(const char *name, const char *to)
{
    size_t size;
    char *data = load(kept(name), &size);
    write_file(to, data, size);
    free(data);
}

static size_t rows_of(const char *const *files, uint32_t count)
{
    struct engine_options o = options_of(files, count);
    o.tensor = "acts";
    struct rows r = all_rows(&o);
    size_t rows = r.count;
    free_rows(&r);
    return rows;
}

static void folders_and_patterns_are_lists(void **state)
{
    (void)state;
    char path[300];
    const char *list[2] = {path, path};
    struct engine_options o = options_of(list, 1);
    struct engine *e;
    assert_int_equal(mkdir(in_folder("many"), 0700), 0);
    assert_int_equal(mkdir(in_folder("many/below"), 0700), 0);
    assert_int_equal(mkdir(in_folder("many/below/b[1]"), 0700), 0);
    copy_to("little_f8.npy", "many/b.npy");
    copy_to("stored.npz", "many/a.npz");
    copy_to("empty.safetensors", "many/c.safetensors");
    copy_to("big_f2.npy", "many/below/b[1]/d.npy");
    write_text("many/README.md", "words");
    write_text("many/.hidden.npy", "words");
    snprintf(path, sizeof path, "%s", in_folder("many"));
    assert_int_equal(rows_of(list, 1), 48);
    o.tensor = "acts";
    e = open_engine(&o);
    assert_non_null(strstr(engine_info(e)->model, "3 files, 48 rows"));
    assert_non_null(strstr(engine_info(e)->model, "1 of the files empty"));
    assert_non_null(strstr(engine_info(e)->model, "1 other files of folders left out"));
    engine_close(e);
    snprintf(path, sizeof path, "%s", in_folder("many/*.np[yz]"));
    assert_int_equal(rows_of(list, 1), 48);
    snprintf(path, sizeof path, "%s", in_folder("many/**/*.npy"));
    assert_int_equal(rows_of(list, 1), 48);
    snprintf(path, sizeof path, "%s", in_folder("many/{below/**/,}*.npy"));
    assert_int_equal(rows_of(list, 1), 48);
    snprintf(path, sizeof path, "%s", in_folder("**/d.npy"));
    assert_int_equal(rows_of(list, 1), 24);
    snprintf(path, sizeof path, "%s", in_folder("many/below/b[1]/d.npy"));
    assert_int_equal(rows_of(list, 1), 24);
    snprintf(path, sizeof path, "%s", in_folder("many/*.txt"));
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    assert_non_null(strstr(err_text(), "*.txt"));
    snprintf(path, sizeof path, "%s", in_folder("many/below"));
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    assert_non_null(strstr(err_text(), ".npy or .npz or .safetensors"));
}

static void one_file_twice_is_refused(void **state)
{
    (void)state;
    char first[256], second[256];
    const char *list[2] = {first, second};
    struct engine_options o = options_of(list, 2);
    struct engine *e;
    copy_to("little_f4.npy", "once.npy");
    snprintf(first, sizeof first, "%s", in_folder("once.npy"));
    snprintf(second, sizeof second, "%s/./once.npy", folder);
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    assert_non_null(strstr(err_text(), "once.npy"));
    snprintf(second, sizeof second, "%s", in_folder("link.npy"));
    assert_int_equal(symlink(first, second), 0);
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    snprintf(first, sizeof first, "tests/rows/shards/rows.safetensors.index.json");
    snprintf(second, sizeof second, "tests/rows/shards/rows-00002-of-00002.safetensors");
    o.tensor = "acts";
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    assert_non_null(strstr(err_text(), "twice"));
}

static void empty_files_are_passed_over(void **state)
{
    (void)state;
    char paths[3][256];
    const char *list[] = {paths[0], paths[1], paths[2]};
    snprintf(paths[0], 256, "%s", kept("empty.npy"));
    snprintf(paths[1], 256, "%s", kept("little_f4.npy"));
    snprintf(paths[2], 256, "%s", kept("empty.safetensors"));
    assert_int_equal(rows_of(list, 3), 24);
    list[1] = paths[2];
    struct engine_options o = options_of(list, 2);
    struct engine *e;
    assert_int_equal(engine_open(&o, &e), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "any of them"));
}

/* ---- values and files that change ---- */

/* What float32 cannot hold comes out infinite, for whoever counts such rows. */
static void float64_is_rounded(void **state)
{
    (void)state;
    const char *path = kept("edges_f8.npy");
    struct engine_options o = options_of(&path, 1);
    struct rows r = all_rows(&o);
    assert_int_equal(r.count, 1);
    assert_true(isinf(r.values[0]) && r.values[0] > 0 && isinf(r.values[1]) && r.values[1] < 0);
    assert_true(isnan(r.values[2]) && r.values[3] == 0 && r.values[4] == (float)(1.0 / 3));
    assert_true(isinf(r.values[5]) && r.values[6] == 0 && signbit(r.values[6]));
    free_rows(&r);
}

static void a_file_that_changes_is_an_error(void **state)
{
    (void)state;
    struct engine_batch b;
    copy_to("little_f4.npy", "changes.npy");
    const char *path = in_folder("changes.npy");
    struct engine_options o = options_of(&path, 1);
    struct engine *e = open_engine(&o);
    assert_int_equal(truncate(path, 400), 0);
    assert_int_equal(engine_next(e, &b), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "changes.npy has changed"));
    engine_close(e);
    copy_to("little_f4.npy", "changes.npy");
    struct row_file f;
    float values[24 * 8];
    uint32_t tokens[24];
    assert_int_equal(row_file_look(path, &o, &f), ERR_OK);
    assert_int_equal(row_file_open(&f), ERR_OK);
    assert_int_equal(truncate(path, 400), 0);
    assert_int_equal(row_file_read(&f, 0, 24, values, tokens), ERR_IO);
    assert_non_null(strstr(err_text(), "shorter"));
    row_file_fini(&f);
}

/* Refused at once: an open() that waits for a writer would never return. */
static void a_pipe_is_no_file(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_folder("pipe.npy"), 0600), 0);
    alarm(10);
    assert_int_equal(open_as(in_folder("pipe.npy"), NULL, NULL, NULL), ERR_USAGE);
    assert_non_null(strstr(err_text(), "pipe.npy"));
    alarm(0);
}

static void a_folder_without_room_is_told(void **state)
{
    (void)state;
    struct engine_batch b;
    const char *path = kept("compressed.npz");
    struct engine_options o = options_of(&path, 1);
    o.tensor = "acts";
    struct engine *e = open_engine(&o);
    assert_int_equal(setenv("TMPDIR", "/proc", 1), 0);
    assert_int_not_equal(engine_next(e, &b), ERR_OK);
    assert_non_null(strstr(err_text(), "TMPDIR"));
    assert_non_null(strstr(err_text(), "compressed.npz"));
    unsetenv("TMPDIR");
    assert_int_equal(engine_next(e, &b), ERR_OK);
    assert_int_equal(b.rows, 24);
    engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_the_same_values),
        cmocka_unit_test(bf16_is_read_where_it_is_said),
        cmocka_unit_test(three_dimensions_are_sequences),
        cmocka_unit_test(layers_lie_side_by_side),
        cmocka_unit_test(tokens_travel_with_their_rows),
        cmocka_unit_test(one_token_more_than_rows_is_fine),
        cmocka_unit_test(runs_of_equal_ids_are_sequences),
        cmocka_unit_test(shares_own_whole_runs),
        cmocka_unit_test(ids_that_do_not_fit_are_refused),
        cmocka_unit_test(what_cannot_be_read_is_told_whole),
        cmocka_unit_test(files_of_other_kinds_are_named),
        cmocka_unit_test(damaged_files_are_errors),
        cmocka_unit_test(a_damaged_archive_is_noticed_when_it_is_opened),
        cmocka_unit_test(folders_and_patterns_are_lists),
        cmocka_unit_test(one_file_twice_is_refused),
        cmocka_unit_test(empty_files_are_passed_over),
        cmocka_unit_test(float64_is_rounded),
        cmocka_unit_test(a_file_that_changes_is_an_error),
        cmocka_unit_test(a_pipe_is_no_file),
        cmocka_unit_test(a_folder_without_room_is_told),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
