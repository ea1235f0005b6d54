#include "tests/unit/engine/support.h"

#include "engine/npy.h"

/* A .npy with this dictionary and this many bytes of data behind it; parse it, and expect
 * floats. */
static int parse(int version, const char *dictionary, size_t data_bytes, struct array *array)
{
    size_t length = strlen(dictionary), start = version == 1 ? 10 : 12;
    unsigned char *bytes = calloc(1, start + length + data_bytes);
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (unsigned char)version;
    for (size_t i = 0; i < start - 8; i++) bytes[8 + i] = (unsigned char)(length >> 8 * i);
    memcpy(bytes + start, dictionary, length);
    int result =
        npy_parse(bytes, start + length + data_bytes, start + length + data_bytes, 0, array);
    free(bytes);
    if (result == ERR_OK && !array_is_float(array->dtype)) return npy_refuse(array, 1);
    return result;
}

static void headers_that_numpy_writes(void **state)
{
    (void)state;
    struct array npy;
    assert_int_equal(
        parse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), }      \n", 60, &npy),
        ERR_OK);
    assert_int_equal(npy.dtype, ARRAY_F32);
    assert_int_equal(npy.dims, 2);
    assert_int_equal(npy.shape[0], 3);
    assert_int_equal(npy.shape[1], 5);
    assert_int_equal(array_value_bytes(npy.dtype), 4);
    assert_int_equal(npy.offset, 10 + 66);
    assert_int_equal(
        parse(2, "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 5), }\n", 30, &npy),
        ERR_OK);
    assert_int_equal(array_value_bytes(npy.dtype), 2);
    assert_int_equal(
        parse(3, "{\"shape\":(3,5,),\"fortran_order\":False,\"descr\":\"<f4\"}", 60, &npy), ERR_OK);
}

static void what_we_cannot_read_is_named(void **state)
{
    (void)state;
    struct array npy;
    static const struct {
        const char *dictionary;
        int error;
    } bad[] = {
        {"{'descr': '>f16', 'fortran_order': False, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '<V2', 'fortran_order': False, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '<f1', 'fortran_order': False, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '!f4', 'fortran_order': False, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '<f4x', 'fortran_order': False, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': 4, 'fortran_order': False, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '<f4', 'fortran_order': Perhaps, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (16,), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5, 2), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3 5), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), 'shape': (1, 5)}", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), } + x", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ((3, 5), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 5), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 5), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905, 4), }",
         ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4), }",
         ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5", ERR_FORMAT},
        {"{'descr': '<f4', 'shape': (3, 5), }", ERR_VERSION},
        {"{'fortran_order': False, 'shape': (3, 5), }", ERR_FORMAT},
        {"{'descr':", ERR_VERSION},
        {"", ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse(1, bad[i].dictionary, 60, &npy), bad[i].error);
    assert_int_equal(parse(4, bad[0].dictionary, 60, &npy), ERR_VERSION);
}

static void every_order_and_kind_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *descr;
        int dtype, big_endian, is_bf16;
    } kinds[] = {{"<f2", ARRAY_F16, 0, 0},  {">f2", ARRAY_F16, 1, 0},  {"=f4", ARRAY_F32, 0, 0},
                 {"|f4", ARRAY_F32, 0, 0},  {"f8", ARRAY_F64, 0, 0},   {">f8", ARRAY_F64, 1, 0},
                 {"<V2", ARRAY_BF16, 0, 1}, {"|V2", ARRAY_BF16, 0, 1}, {">i8", ARRAY_I64, 1, 0},
                 {"|u1", ARRAY_U8, 0, 1}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char header[200];
        struct array a;
        int n =
            sprintf(header + 10,
                    "{'descr': '%s', 'fortran_order': True, 'shape': (2, 3L), 'more': [1, (2)]}",
                    kinds[i].descr);
        memcpy(header, "\x93NUMPY\x01\0", 8);
        header[8] = (char)n;
        header[9] = 0;
        size_t size = 10 + (size_t)n;
        assert_int_equal(npy_parse(header, size, size + 48, kinds[i].is_bf16, &a), ERR_OK);
        assert_int_equal(a.dtype, kinds[i].dtype);
        assert_int_equal(a.big_endian, kinds[i].big_endian);
        assert_int_equal(a.fortran, 1);
        assert_int_equal(npy_parse(header, size, size + 5, kinds[i].is_bf16, &a), ERR_FORMAT);
    }
}

static void a_dtype_is_told_whole(void **state)
{
    (void)state;
    struct array a;
    const char *records = "[('a_rather_long_field_name_0', '<f4'), ('shape', '<f8', (3, 4))]";
    char header[1200];
    sprintf(header, "{'descr': %s, 'fortran_order': False, 'shape': (3, 5), }", records);
    assert_int_equal(parse(1, header, 60, &a), ERR_VERSION);
    assert_non_null(strstr(err_text(), records));
    assert_non_null(strstr(err_text(), "HINT"));
    memset(header, 0, sizeof header);
    memcpy(header, "{'descr': '", 11);
    memset(header + 11, 'y', 900);
    header[20] = '\n';
    strcpy(header + 911, "', 'fortran_order': False, 'shape': (3, 5), }");
    assert_int_equal(parse(1, header, 60, &a), ERR_VERSION);
    assert_non_null(strstr(err_text(), "yyy... is not"));
    assert_null(strchr(err_text(), '\n'));
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    const char *dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n";
    size_t size = 10 + strlen(dictionary) + 8;
    unsigned char whole[200] = "\x93NUMPY\x01";
    whole[8] = (unsigned char)strlen(dictionary);
    memcpy(whole + 10, dictionary, strlen(dictionary));
    struct array npy;
    assert_int_equal(npy_parse(whole, size, size, 0, &npy), ERR_OK);
    for (size_t n = 0; n < size; n++) {
        unsigned char *cut = malloc(n ? n : 1); /* of its own, so that a read beyond is seen */
        memcpy(cut, whole, n);
        assert_int_not_equal(npy_parse(cut, n, n, 0, &npy), ERR_OK);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_numpy_writes),
        cmocka_unit_test(what_we_cannot_read_is_named),
        cmocka_unit_test(every_order_and_kind_is_known),
        cmocka_unit_test(a_dtype_is_told_whole),
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
