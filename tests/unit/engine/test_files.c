#include "tests/unit/engine/rows.h"

#include "base/row.h"
#include "base/safetensors.h"

static const uint32_t WIDTH = 6;

static float value(uint64_t row, uint64_t column)
{
    return (float)(row * 100 + column) / 8; /* exact in bf16 and f16 too, for the rows used */
}

static const char *write_npy(const char *name, uint64_t first_row, uint64_t rows)
{
    char file[4000] = "\x93NUMPY\x01";
    int n = sprintf(file + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }\n",
                    (int)rows, (int)WIDTH);
    file[8] = (char)n;
    char *at = file + 10 + n;
    for (uint64_t i = 0; i < rows * WIDTH; i++, at += 4) {
        float v = value(first_row + i / WIDTH, i % WIDTH);
        memcpy(at, &v, 4);
    }
    return write_file(name, file, (size_t)(at - file));
}

static const char *write_tensor(const char *name, enum safetensors_dtype dtype, uint64_t first_row,
                                uint64_t rows)
{
    float f32[400];
    uint16_t bf16[400];
    for (uint64_t i = 0; i < rows * WIDTH; i++) {
        f32[i] = value(first_row + i / WIDTH, i % WIDTH);
        bf16[i] = bf16_from_f32(f32[i]);
    }
    int wide = dtype == SAFETENSORS_F32;
    struct safetensors_tensor t = {.name = "acts",
                                   .dtype = dtype,
                                   .dims = 2,
                                   .shape = {rows, WIDTH},
                                   .data = wide ? (void *)f32 : (void *)bf16,
                                   .bytes = rows * WIDTH * (wide ? 4 : 2)};
    assert_int_equal(safetensors_write(in_folder(name), &t, 1, NULL, 0), ERR_OK);
    return in_folder(name);
}

static const char *files[3];

static struct engine_options options_of(uint32_t share, uint32_t shares)
{
    return (struct engine_options){.kind = ENGINE_FILES,
                                   .share_index = share,
                                   .share_count = shares,
                                   .files = files,
                                   .files_count = 3,
                                   .file_sequence_rows = 4};
}

static int setup(void **state)
{
    static char paths[3][256];
    if (make_folder(state) != 0) return -1;
    snprintf(paths[0], sizeof paths[0], "%s", write_npy("a.npy", 0, 10));
    snprintf(paths[1], sizeof paths[1], "%s",
             write_tensor("b.safetensors", SAFETENSORS_F32, 10, 8));
    snprintf(paths[2], sizeof paths[2], "%s", write_npy("c.npy", 18, 1));
    for (int i = 0; i < 3; i++) files[i] = paths[i];
    return 0;
}

static void rows_come_in_order_with_sequences_of_their_file(void **state)
{
    (void)state;
    struct engine_options options = options_of(0, 1);
    struct rows r = all_rows(&options);
    static const uint32_t sequences[19] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5};
    assert_int_equal(r.count, 19);
    assert_int_equal(r.width, WIDTH);
    for (size_t i = 0; i < r.count; i++) {
        assert_int_equal(r.ids[i].sequence, sequences[i]);
        assert_int_equal(r.ids[i].position, i == 0 || sequences[i] != sequences[i - 1]
                                                ? 0
                                                : r.ids[i - 1].position + 1);
        for (uint32_t k = 0; k < WIDTH; k++) assert_true(row_of(&r, i)[k] == value(i, k));
    }
    free_rows(&r);
    struct engine *e = open_engine(&options);
    uint64_t rows;
    assert_int_equal(engine_count_rows(e, &rows, NULL, NULL), ERR_OK);
    assert_int_equal(rows, 19);
    engine_close(e);
}

static void shares_split_the_sequences(void **state)
{
    (void)state;
    int seen[6] = {0};
    for (uint32_t share = 0; share < 4; share++) {
        struct engine_options options = options_of(share, 4);
        struct rows r = all_rows(&options);
        for (size_t i = 0; i < r.count; i++) {
            assert_int_equal(r.ids[i].sequence % 4, share);
            seen[r.ids[i].sequence]++;
        }
        free_rows(&r);
    }
    static const int lengths[6] = {4, 4, 2, 4, 4, 1};
    for (int i = 0; i < 6; i++) assert_int_equal(seen[i], lengths[i]);
}

static void seeking_goes_on_where_it_was(void **state)
{
    (void)state;
    struct engine_options options = options_of(0, 1);
    expect_seekable(&options, 19, 0);
    options = options_of(1, 2);
    expect_seekable(&options, 9, 0);
    struct engine *e = open_engine(&options);
    assert_int_equal(engine_seek(e, &(struct cursor){.sequence = 2}), ERR_MISMATCH);
    assert_int_equal(engine_seek(e, &(struct cursor){.sequence = 5, .position = 1}), ERR_MISMATCH);
    assert_int_equal(engine_seek(e, &(struct cursor){.sequence = 99}), ERR_MISMATCH);
    engine_close(e);
}

static void bf16_is_read(void **state)
{
    (void)state;
    const char *path = write_tensor("d.safetensors", SAFETENSORS_BF16, 0, 2);
    struct engine_options options = options_of(0, 1);
    options.files = &path;
    options.files_count = 1;
    struct rows r = all_rows(&options);
    assert_int_equal(r.count, 2);
    assert_true(row_of(&r, 0)[5] == value(0, 5));
    free_rows(&r);
}

static void hooks_share_the_width(void **state)
{
    (void)state;
    static const char *const hooks[] = {"a", "b", "c", "d"};
    struct engine_options options = options_of(0, 1);
    options.hooks = hooks;
    options.hooks_count = 3;
    struct engine *e = open_engine(&options);
    assert_int_equal(engine_info(e)->hooks, 3);
    assert_int_equal(engine_info(e)->hook[2].width, 2);
    assert_string_equal(engine_info(e)->hook[2].name, "c");
    engine_close(e);
    options.hooks_count = 4;
    assert_int_equal(engine_open(&options, &e), ERR_USAGE);
}

static int open_one(const char *path, const char *tensor)
{
    struct engine_options options = options_of(0, 1);
    struct engine *e;
    options.files = &path;
    options.files_count = 1;
    options.tensor = tensor;
    return engine_open(&options, &e);
}

static uint64_t hash_of(const char *tokens, const char *sequences)
{
    const char *path = "tests/rows/stored.npz";
    struct engine_options o = {.kind = ENGINE_FILES,
                               .share_count = 1,
                               .files = &path,
                               .files_count = 1,
                               .tensor = "acts",
                               .tokens_tensor = tokens,
                               .sequences_tensor = sequences,
                               .file_sequence_rows = 5};
    struct engine *e = open_engine(&o);
    uint64_t hash = engine_info(e)->corpus_hash;
    engine_close(e);
    return hash;
}

/* Ids taken for tokens, and tokens for ids, are other rows. */
static void roles_are_part_of_the_fingerprint(void **state)
{
    (void)state;
    uint64_t none = hash_of(NULL, NULL), tokens = hash_of("sequences", NULL),
             ids = hash_of(NULL, "sequences");
    assert_int_equal(none, hash_of(NULL, NULL));
    assert_int_not_equal(none, tokens);
    assert_int_not_equal(none, ids);
    assert_int_not_equal(tokens, ids);
    assert_int_not_equal(hash_of("tokens", "sequences"), hash_of("sequences", "tokens"));
}

/* The length of the header, 123, is a '{'; ids of (2, 2) belong to four rows. */
static void a_header_may_begin_like_json(void **state)
{
    (void)state;
    static const char header[] =
        "{\"acts\":{\"dtype\":\"F32\",\"shape\":[4,2],\"data_offsets\":[0,32]},"
        "\"ids\":{\"dtype\":\"I64\",\"shape\":[2,2],\"data_offsets\":[32,64]}}";
    char file[8 + 123 + 64 + 1] = "{";
    sprintf(file + 8, "%-123s", header);
    memset(file + 8 + 123, 0, 64);
    for (int i = 0; i < 4; i++) file[8 + 123 + 32 + 8 * i] = (char)(i + 1);
    const char *path = write_file("brace.safetensors", file, 8 + 123 + 64);
    struct engine_options o = {.kind = ENGINE_FILES,
                               .share_count = 1,
                               .files = &path,
                               .files_count = 1,
                               .tensor = "acts",
                               .tokens_tensor = "ids",
                               .file_sequence_rows = 5};
    struct rows r = all_rows(&o);
    assert_int_equal(r.count, 4);
    for (size_t i = 0; i < 4; i++) assert_int_equal(r.ids[i].token, i + 1);
    free_rows(&r);
}

static void bad_files_are_told(void **state)
{
    (void)state;
    float zeros[12] = {0};
    struct safetensors_tensor two[2] = {
        {"one", SAFETENSORS_F32, 1, {6}, zeros, 24},
        {"two", SAFETENSORS_F32, 2, {1, 6}, zeros, 24},
    };
    const char *path = in_folder("two.safetensors");
    assert_int_equal(safetensors_write(path, two, 2, NULL, 0), ERR_OK);
    assert_int_equal(open_one(path, NULL), ERR_USAGE);
    assert_non_null(strstr(err_text(), "one, two"));
    assert_int_equal(open_one(path, "three"), ERR_USAGE);
    assert_int_equal(open_one(path, "one"), ERR_FORMAT);
    assert_int_equal(open_one(in_folder("missing.npy"), NULL), ERR_NOTFOUND);
    assert_int_equal(open_one(in_folder("missing.safetensors"), NULL), ERR_NOTFOUND);
    assert_int_equal(open_one(write_text("empty.npy", ""), NULL), ERR_FORMAT);
    assert_int_equal(open_one(write_text("text.npy", "this is no array"), NULL), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "text.npy"));
    struct engine_options options = options_of(0, 1);
    const char *uneven[] = {files[0], in_folder("wide.safetensors")};
    struct safetensors_tensor wide = {"w", SAFETENSORS_F32, 2, {1, 12}, zeros, 48};
    assert_int_equal(safetensors_write(uneven[1], &wide, 1, NULL, 0), ERR_OK);
    options.files = uneven;
    options.files_count = 2;
    struct engine *e;
    assert_int_equal(engine_open(&options, &e), ERR_MISMATCH);
    options.files_count = 0;
    assert_int_equal(engine_open(&options, &e), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_in_order_with_sequences_of_their_file),
        cmocka_unit_test(shares_split_the_sequences),
        cmocka_unit_test(seeking_goes_on_where_it_was),
        cmocka_unit_test(bf16_is_read),
        cmocka_unit_test(hooks_share_the_width),
        cmocka_unit_test(roles_are_part_of_the_fingerprint),
        cmocka_unit_test(a_header_may_begin_like_json),
        cmocka_unit_test(bad_files_are_told),
    };
    return cmocka_run_group_tests(tests, setup, remove_folder);
}
