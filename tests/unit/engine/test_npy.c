#include "tests/unit/engine/support.h"

#include "engine/npy.h"

/* A .npy with this dictionary and this many bytes of data behind it; parse it. */
static int parse(int version, const char *dictionary, size_t data_bytes, struct npy *npy)
{
    size_t length = strlen(dictionary), start = version == 1 ? 10 : 12;
    unsigned char *bytes = calloc(1, start + length + data_bytes);
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (unsigned char)version;
    for (size_t i = 0; i < start - 8; i++) bytes[8 + i] = (unsigned char)(length >> 8 * i);
    memcpy(bytes + start, dictionary, length);
    int result = npy_parse(bytes, start + length + data_bytes, npy);
    free(bytes);
    return result;
}

static void headers_that_numpy_writes(void **state)
{
    (void)state;
    struct npy npy;
    assert_int_equal(
        parse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), }      \n", 60, &npy),
        ERR_OK);
    assert_int_equal(npy.rows, 3);
    assert_int_equal(npy.width, 5);
    assert_int_equal(npy.value_bytes, 4);
    assert_int_equal(npy.data, 10 + 66);
    assert_int_equal(
        parse(2, "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 5), }\n", 30, &npy),
        ERR_OK);
    assert_int_equal(npy.value_bytes, 2);
    assert_int_equal(
        parse(3, "{\"shape\":(3,5,),\"fortran_order\":False,\"descr\":\"<f4\"}", 60, &npy), ERR_OK);
}

static void what_we_cannot_read_is_named(void **state)
{
    (void)state;
    struct npy npy;
    static const struct {
        const char *dictionary;
        int error;
    } bad[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (3, 5), }", ERR_VERSION},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (15,), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5, 1), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 5), }", ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0), }", ERR_FORMAT},
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

static void every_truncation_is_refused(void **state)
{
    (void)state;
    const char *dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n";
    size_t size = 10 + strlen(dictionary) + 8;
    unsigned char whole[200] = "\x93NUMPY\x01";
    whole[8] = (unsigned char)strlen(dictionary);
    memcpy(whole + 10, dictionary, strlen(dictionary));
    struct npy npy;
    assert_int_equal(npy_parse(whole, size, &npy), ERR_OK);
    for (size_t n = 0; n < size; n++) {
        unsigned char *cut = malloc(n ? n : 1); /* of its own, so that a read beyond is seen */
        memcpy(cut, whole, n);
        assert_int_not_equal(npy_parse(cut, n, &npy), ERR_OK);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_numpy_writes),
        cmocka_unit_test(what_we_cannot_read_is_named),
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
