#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fileio.h"
#include "base/newfile.h"
#include "base/safetensors.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sluice-safetensors-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return dir_remove(folder);
}

/* A file in memory with this header text and this many data bytes; parse it. */
static int parse_text(const char *header, size_t data_bytes)
{
    size_t length = strlen(header);
    unsigned char *bytes = calloc(1, 8 + length + data_bytes + 1);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> 8 * i);
    memcpy(bytes + 8, header, length);
    struct safetensors *file = NULL;
    int code = safetensors_parse(bytes, 8 + length + data_bytes, &file);
    if (code == ERR_OK) safetensors_close(file);
    free(bytes);
    return code;
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    float a[6] = {1, 2, 3, 4, 5, 6};
    uint16_t b[3] = {0x3f80, 0xc000, 0x7f80};         /* bf16: 1, -2, inf */
    uint16_t c[4] = {0x3c00, 0xc000, 0x0001, 0xfc00}; /* f16: 1, -2, 2^-24, -inf */
    struct safetensors_tensor tensors[] = {
        {"a", SAFETENSORS_F32, 2, {2, 3}, a, sizeof a},
        {"b \"x\"", SAFETENSORS_BF16, 1, {3}, b, sizeof b},
        {"c", SAFETENSORS_F16, 1, {4}, c, sizeof c},
        {"empty", SAFETENSORS_F32, 2, {0, 7}, NULL, 0},
        {"scalar", SAFETENSORS_F32, 0, {0}, a, 4},
    };
    struct safetensors_pair metadata[] = {{"format", "pt"}, {"who", "x"}};
    char path[128];
    snprintf(path, sizeof path, "%s/round", folder);
    assert_int_equal(safetensors_write(path, tensors, 5, metadata, 2), ERR_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct safetensors *file;
    assert_int_equal(safetensors_open(path, &file), ERR_OK);
    assert_int_equal(safetensors_count(file), 5);
    const struct safetensors_tensor *t = safetensors_find(file, "a");
    assert_non_null(t);
    assert_int_equal(t->dims, 2);
    assert_int_equal(t->shape[1], 3);
    assert_int_equal((uintptr_t)t->data % 8, 0);
    float out[6];
    assert_int_equal(safetensors_to_f32(t, 2, 4, out), ERR_OK);
    assert_memory_equal(out, a + 2, 16);
    assert_int_equal(safetensors_to_f32(t, 3, 4, out), ERR_LIMIT);
    assert_int_equal(safetensors_to_f32(t, UINT64_MAX, 2, out), ERR_LIMIT);
    assert_int_equal(safetensors_to_f32(safetensors_find(file, "b \"x\""), 0, 3, out), ERR_OK);
    assert_true(out[0] == 1 && out[1] == -2 && isinf(out[2]));
    assert_int_equal(safetensors_to_f32(safetensors_find(file, "c"), 0, 4, out), ERR_OK);
    assert_true(out[0] == 1 && out[1] == -2 && out[2] == 0x1p-24f && isinf(out[3]) && out[3] < 0);
    assert_int_equal(safetensors_values(safetensors_find(file, "empty")), 0);
    assert_int_equal(safetensors_values(safetensors_find(file, "scalar")), 1);
    assert_string_equal(safetensors_metadata(file, "who"), "x");
    assert_null(safetensors_metadata(file, "nobody"));
    assert_null(safetensors_find(file, "nobody"));
    safetensors_close(file);
}

static void other_dtypes_are_listed_but_not_read(void **state)
{
    (void)state;
    unsigned char bytes[8 + 64 + 8] = {56};
    memcpy(bytes + 8, "{\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}  ", 56);
    struct safetensors *file;
    float out[1];
    assert_int_equal(safetensors_parse(bytes, 8 + 56 + 8, &file), ERR_OK);
    assert_int_equal(safetensors_tensor(file, 0)->dtype, SAFETENSORS_OTHER);
    assert_int_equal(safetensors_to_f32(safetensors_tensor(file, 0), 0, 1, out), ERR_VERSION);
    safetensors_close(file);
}

/* It must not matter to who wants another tensor. */
static void a_dtype_that_nobody_knows_is_listed(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":{\"dtype\":\"F31\",\"shape\":[9,7],\"data_offsets\":[0,3]},"
                               "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[3,7]}}";
    unsigned char bytes[8 + sizeof text - 1 + 7] = {sizeof text - 1};
    memcpy(bytes + 8, text, sizeof text - 1);
    struct safetensors *file;
    float out[1] = {1};
    assert_int_equal(safetensors_parse(bytes, sizeof bytes, &file), ERR_OK);
    const struct safetensors_tensor *a = safetensors_find(file, "a"), *b;
    assert_int_equal(a->dtype, SAFETENSORS_OTHER);
    assert_string_equal(safetensors_dtype(a), "F31");
    assert_int_equal(safetensors_to_f32(a, 0, 1, out), ERR_VERSION);
    b = safetensors_find(file, "b");
    assert_int_equal(safetensors_offset(file, b), 8 + sizeof text - 1 + 3);
    assert_int_equal(safetensors_to_f32(b, 0, 1, out), ERR_OK);
    assert_true(out[0] == 0);
    safetensors_close(file);
}

static void a_header_alone_can_be_read(void **state)
{
    (void)state;
    float a[3] = {1, 2, 3};
    struct safetensors_tensor tensor = {"a", SAFETENSORS_F32, 1, {3}, a, sizeof a};
    char path[128];
    snprintf(path, sizeof path, "%s/header", folder);
    assert_int_equal(safetensors_write(path, &tensor, 1, NULL, 0), ERR_OK);
    struct safetensors *file, *whole;
    assert_int_equal(safetensors_open_header(path, &file), ERR_OK);
    assert_int_equal(safetensors_open(path, &whole), ERR_OK);
    const struct safetensors_tensor *t = safetensors_find(file, "a");
    assert_int_equal(safetensors_offset(file, t),
                     safetensors_offset(whole, safetensors_find(whole, "a")));
    assert_null(t->data);
    assert_int_equal(safetensors_to_f32(t, 0, 3, a), ERR_STATE);
    safetensors_close(file);
    safetensors_close(whole);
    assert_int_equal(truncate(path, 90), 0);
    assert_int_equal(safetensors_open_header(path, &file), ERR_FORMAT);
    assert_non_null(strstr(err_text(), path));
    assert_int_equal(truncate(path, 7), 0);
    assert_int_equal(safetensors_open_header(path, &file), ERR_FORMAT);
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    size_t n = 100000;
    char *text = malloc(2 * n + 8);
    strcpy(text, "{\"a\":");
    memset(text + 5, '[', n);
    memset(text + 5 + n, ']', n);
    strcpy(text + 5 + 2 * n, "}");
    assert_int_equal(parse_text(text, 0), ERR_FORMAT);
    free(text);
}

static void malformed_headers_are_refused(void **state)
{
    (void)state;
#define T(name, dtype, shape, offsets)                                                             \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    assert_int_equal(parse_text("{" T("a", "F32", "[2]", "[0,8]") "}", 8), ERR_OK);
    assert_int_equal(parse_text("{}", 0), ERR_OK);
    static const struct {
        const char *header;
        size_t data_bytes;
        int code;
    } bad[] = {
        {"[]", 0, ERR_FORMAT},
        {" {}", 0, ERR_FORMAT},
        {"{", 0, ERR_FORMAT},
        {"{} x", 0, ERR_FORMAT},
        {"{\"a\":1}", 0, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[0,8]") "}", 7, ERR_FORMAT}, /* beyond the end */
        {"{" T("a", "F32", "[2]", "[0,8]") "}", 9, ERR_FORMAT}, /* a byte of nobody */
        {"{" T("a", "F32", "[2]", "[8,0]") "}", 8, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[-8,0]") "}", 8, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[0,8,8]") "}", 8, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[0.0,8.0]") "}", 8, ERR_FORMAT},
        {"{" T("a", "F32", "[3]", "[0,8]") "}", 8, ERR_FORMAT}, /* shape and data differ */
        {"{" T("a", "F32", "[-2]", "[0,8]") "}", 8, ERR_FORMAT},
        {"{" T("a", "F32", "[4611686018427387904,4]", "[0,0]") "}", 0, ERR_FORMAT}, /* 2^66 */
        {"{" T("a", "F32", "[2,1,1,1,1,1,1,1,1]", "[0,8]") "}", 8, ERR_FORMAT},
        {"{" T("a", "F31", "[2]", "[0,9]") "}", 8, ERR_FORMAT}, /* unknown, but held to the file */
        {"{" T("a", "F31", "[2]", "[1,8]") "}", 8, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F31", "[2]", "[4,12]") "}", 12, ERR_FORMAT},
        {"{" T("a", "F32", "[99999999999999999999]", "[0,8]") "}", 8, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[4,12]") "}", 12, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[1]", "[4,8]") "}", 8, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[1]", "[12,16]") "}", 16, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[0,8]") "," T("a", "F32", "[2]", "[8,16]") "}", 16, ERR_FORMAT},
        {"{" T("a", "F32", "[2]", "[0,8]") "," T("a", "F32", "[2]", "[0,8]") "}", 8, ERR_FORMAT},
        {"{\"__metadata__\":{\"a\":1}}", 0, ERR_FORMAT},
        {"{\"__metadata__\":[]}", 0, ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int code = parse_text(bad[i].header, bad[i].data_bytes);
        if (code != bad[i].code) fail_msg("%s: %s", bad[i].header, err_str(code));
    }
}

static void impossible_lengths_are_refused(void **state)
{
    (void)state;
    struct safetensors *file;
    unsigned char bytes[16] = {9, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    for (size_t n = 0; n < 8; n++) assert_int_equal(safetensors_parse(bytes, n, &file), ERR_FORMAT);
    assert_int_equal(safetensors_parse(bytes, 10, &file), ERR_FORMAT); /* 9 bytes of header in 2 */
    bytes[0] = 0;
    assert_int_equal(safetensors_parse(bytes, 10, &file), ERR_FORMAT);
    memset(bytes, 0xff, 8);
    assert_int_equal(safetensors_parse(bytes, 10, &file), ERR_LIMIT);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    float a[3] = {1, 2, 3};
    struct safetensors_tensor tensor = {"a", SAFETENSORS_F32, 1, {3}, a, sizeof a};
    char path[128], *data;
    size_t bytes;
    snprintf(path, sizeof path, "%s/cut", folder);
    assert_int_equal(safetensors_write(path, &tensor, 1, NULL, 0), ERR_OK);
    assert_int_equal(file_read(path, 1000, &data, &bytes), ERR_OK);
    for (size_t n = 0; n < bytes; n++) {
        unsigned char *copy = malloc(n + 1); /* of its own, so that a sanitizer sees an overrun */
        struct safetensors *file;
        memcpy(copy, data, n);
        assert_int_not_equal(safetensors_parse(copy, n, &file), ERR_OK);
        free(copy);
    }
    free(data);
}

/* The same with memory after the end that must not be touched: the JSON library's reads, too. */
static void nothing_is_read_past_the_end(void **state)
{
    (void)state;
    float a[3] = {1, 2, 3};
    struct safetensors_tensor tensor = {"a", SAFETENSORS_F32, 1, {3}, a, sizeof a};
    char path[128], *data;
    size_t bytes, page = (size_t)sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof path, "%s/edge", folder);
    assert_int_equal(safetensors_write(path, &tensor, 1, NULL, 0), ERR_OK);
    assert_int_equal(file_read(path, 1000, &data, &bytes), ERR_OK);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    for (size_t n = 0; n < bytes; n++) {
        struct safetensors *file;
        memcpy(pages + page - n, data, n);
        assert_int_not_equal(safetensors_parse(pages + page - n, n, &file), ERR_OK);
    }
    munmap(pages, 2 * page);
    free(data);
}

static void a_tensor_that_does_not_fit_is_not_written(void **state)
{
    (void)state;
    float a[3] = {1, 2, 3};
    char path[128];
    snprintf(path, sizeof path, "%s/never", folder);
    struct safetensors_tensor wrong = {"a", SAFETENSORS_F32, 1, {4}, a, sizeof a};
    assert_int_equal(safetensors_write(path, &wrong, 1, NULL, 0), ERR_FORMAT);
    struct safetensors_tensor twice[] = {{"a", SAFETENSORS_F32, 1, {3}, a, sizeof a},
                                         {"a", SAFETENSORS_F32, 1, {3}, a, sizeof a}};
    assert_int_equal(safetensors_write(path, twice, 2, NULL, 0), ERR_FORMAT);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_missing_or_empty_file_says_so(void **state)
{
    (void)state;
    struct safetensors *file;
    char path[128];
    snprintf(path, sizeof path, "%s/none", folder);
    assert_int_equal(safetensors_open(path, &file), ERR_NOTFOUND);
    assert_int_equal(file_replace(path, "", 0), ERR_OK);
    assert_int_equal(safetensors_open(path, &file), ERR_FORMAT);
    assert_non_null(strstr(err_text(), path));
    assert_int_equal(safetensors_open(folder, &file), ERR_USAGE);
}

static void an_aborted_new_file_leaves_the_old(void **state)
{
    (void)state;
    char path[128], *data;
    size_t bytes;
    snprintf(path, sizeof path, "%s/new", folder);
    assert_int_equal(file_replace(path, "old", 3), ERR_OK);
    struct newfile *file;
    assert_int_equal(newfile_begin(path, &file), ERR_OK);
    newfile_write(file, "new", 3);
    newfile_abort(file);
    assert_int_equal(file_read(path, 10, &data, &bytes), ERR_OK);
    assert_string_equal(data, "old");
    free(data);
    char *large = calloc(1, 300000);
    assert_int_equal(newfile_begin(path, &file), ERR_OK);
    newfile_write(file, "x", 1);
    newfile_write(file, large, 300000);
    newfile_write(file, "y", 1);
    assert_int_equal(newfile_bytes(file), 300002);
    assert_int_equal(newfile_commit(file), ERR_OK);
    assert_int_equal(file_read(path, 400000, &data, &bytes), ERR_OK);
    assert_int_equal(bytes, 300002);
    assert_true(data[0] == 'x' && data[1] == 0 && data[300001] == 'y');
    free(data);
    free(large);
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct newfile *file;
    char path[128];
    snprintf(path, sizeof path, "%s/missing/new", folder);
    assert_int_equal(newfile_begin(path, &file), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(other_dtypes_are_listed_but_not_read),
        cmocka_unit_test(a_dtype_that_nobody_knows_is_listed),
        cmocka_unit_test(a_header_alone_can_be_read),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(malformed_headers_are_refused),
        cmocka_unit_test(impossible_lengths_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(nothing_is_read_past_the_end),
        cmocka_unit_test(a_tensor_that_does_not_fit_is_not_written),
        cmocka_unit_test(a_missing_or_empty_file_says_so),
        cmocka_unit_test(an_aborted_new_file_leaves_the_old),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
