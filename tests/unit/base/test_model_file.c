/* What tells a model's file from another's: its bytes, wherever it lies. */
#include "base/model_file.h"

#include "base/err.h"
#include "base/fileio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sluice-model-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(folder);
}

static const char *at(const char *name)
{
    static char out[2][128];
    static int turn;
    turn = !turn;
    snprintf(out[turn], sizeof out[turn], "%s/%s", folder, name);
    return out[turn];
}

static void put(const char *name, const void *data, size_t bytes)
{
    assert_int_equal(file_replace(at(name), data, bytes), ERR_OK);
}

static uint64_t key_of(const char *name)
{
    uint64_t key;
    if (model_file_key(at(name), &key) != ERR_OK) fail_msg("%s", err_text());
    assert_true(key != 0);
    return key;
}

static void the_bytes_count_and_not_the_place(void **state)
{
    char bytes[100000];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 2654435761u >> 13);
    put("a.gguf", bytes, sizeof bytes);
    put("b.gguf", bytes, sizeof bytes);
    assert_true(key_of("a.gguf") == key_of("b.gguf"));
    put("b.gguf", bytes, sizeof bytes - 1);
    assert_true(key_of("a.gguf") != key_of("b.gguf"));
    for (size_t i = 0; i < sizeof bytes; i += 9973) { /* all of a small one */
        bytes[i] ^= 1;
        put("b.gguf", bytes, sizeof bytes);
        assert_true(key_of("a.gguf") != key_of("b.gguf"));
        bytes[i] ^= 1;
    }
    put("none.gguf", "", 0);
    key_of("none.gguf");
}

/* Another matrix in the midst of one of 16 GiB, whose size is the same. */
static void each_layer_of_a_large_one_counts(void **state)
{
    const off_t whole = (off_t)16 << 30, layer = (off_t)2 << 20;
    static char block[1 << 20];
    (void)state;
    int fd = open(at("large.gguf"), O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, whole), 0);
    uint64_t before = key_of("large.gguf");
    memset(block, 1, sizeof block);
    for (off_t i = 0; i < layer; i += (off_t)sizeof block)
        assert_int_equal(file_put_at(fd, block, sizeof block, (uint64_t)(whole / 3 + i)), 0);
    uint64_t after = key_of("large.gguf");
    assert_true(after != before);
    assert_int_equal(file_put_at(fd, block, 1, (uint64_t)whole - 1), 0); /* the last byte, too */
    assert_true(key_of("large.gguf") != after);
    close(fd);
}

static void each_part_counts(void **state)
{
    (void)state;
    put("m-00001-of-00002.gguf", "one", 3);
    put("m-00002-of-00002.gguf", "two", 3);
    assert_int_equal(model_file_parts(at("m-00001-of-00002.gguf")), 2);
    assert_int_equal(model_file_parts(at("m-00002-of-00002.gguf")), 1);
    uint64_t before = key_of("m-00001-of-00002.gguf");
    put("m-00002-of-00002.gguf", "six", 3);
    assert_true(key_of("m-00001-of-00002.gguf") != before);
}

static void what_cannot_be_read_has_no_key(void **state)
{
    uint64_t key = 1;
    (void)state;
    assert_int_equal(model_file_key(at("nothing.gguf"), &key), ERR_IO);
    assert_true(key == 0);
    assert_non_null(strstr(err_text(), "nothing.gguf"));
    assert_int_equal(model_file_key(folder, &key), ERR_USAGE);
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(model_file_key(at("pipe"), &key), ERR_USAGE); /* and waits for nobody */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_bytes_count_and_not_the_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_layer_of_a_large_one_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_part_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_has_no_key, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
