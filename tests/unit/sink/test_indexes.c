/* Which feature indexes go with their rows, and which are somebody else's. */
#include "sink/indexes.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/rows_from.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static const char *below(const char *path)
{
    static char out[2][256];
    static int turn;
    turn = !turn;
    snprintf(out[turn], sizeof out[turn], "%s/%s", dir, path);
    return out[turn];
}

static void put(const char *path)
{
    assert_int_equal(file_replace(below(path), "a context\n", 10), ERR_OK);
}

/* An index with something in its working folder; of rows from `seconds` on, 0: it does not say. */
static void make_index(const char *name, uint64_t seconds)
{
    char path[128];
    snprintf(path, sizeof path, "index/%s", name);
    assert_int_equal(dir_make(below(path), 0700), ERR_OK);
    if (seconds) assert_int_equal(rows_from_write(below(path), seconds), ERR_OK);
    snprintf(path, sizeof path, "index/%s/work", name);
    assert_int_equal(dir_make(below(path), 0700), ERR_OK);
    snprintf(path, sizeof path, "index/%s/work/rows", name);
    put(path);
    snprintf(path, sizeof path, "index/%s/features.data", name);
    put(path);
}

static int is_there(const char *path)
{
    return access(below(path), F_OK) == 0;
}

static void what_is_too_old_goes(void **state)
{
    (void)state;
    uint64_t removed = 0;
    make_index("old", 999);
    make_index(".hidden", 999);
    make_index("young", 1000);
    make_index("of-a-corpus", 0);
    make_index(".going-half", 5000); /* somebody died in removing it */
    put("index/old/labels.tsv");
    put("index/a-file");
    assert_int_equal(indexes_expire(dir, 1000, &removed), ERR_OK);
    assert_int_equal(removed, 2);
    assert_false(is_there("index/old") || is_there("index/.hidden") ||
                 is_there("index/.going-half"));
    assert_false(is_there("index/.going-old"));
    assert_true(is_there("index/old.labels.tsv"));
    assert_true(is_there("index/young/work/rows") && is_there("index/of-a-corpus/work/rows"));
    assert_true(is_there("index/a-file"));
    put("index/young/rows_from"); /* tells no time: it is one of those all the same */
    assert_int_equal(indexes_expire(dir, 1000, &removed), ERR_OK);
    assert_int_equal(removed, 3);
    assert_false(is_there("index/young"));
}

/* Of each index of that name: they are people's work. */
static void labels_of_an_earlier_one_stay(void **state)
{
    (void)state;
    uint64_t removed = 0;
    for (int i = 0; i < 3; i++) {
        make_index("same", 999);
        put("index/same/labels.tsv");
        assert_int_equal(indexes_expire(dir, 1000, &removed), ERR_OK);
    }
    assert_int_equal(removed, 3);
    assert_true(is_there("index/same.labels.tsv") && is_there("index/same.labels-2.tsv"));
    assert_true(is_there("index/same.labels-3.tsv"));
}

static void links_are_not_followed(void **state)
{
    (void)state;
    uint64_t removed = 0;
    assert_int_equal(dir_make(below("elsewhere"), 0700), ERR_OK);
    assert_int_equal(rows_from_write(below("elsewhere"), 1), ERR_OK);
    put("elsewhere/mine");
    assert_int_equal(symlink(below("elsewhere"), below("index/link")), 0);
    assert_int_equal(indexes_expire(dir, 1000, &removed), ERR_OK);
    assert_int_equal(removed, 0);
    assert_true(is_there("elsewhere/mine") && is_there("index/link"));
    assert_int_equal(dir_remove(below("index")), ERR_OK);
    assert_int_equal(symlink(below("elsewhere"), below("index")), 0);
    assert_int_equal(indexes_expire(dir, 1000, &removed), ERR_OK);
    assert_true(is_there("elsewhere/mine"));
    unlink(below("index"));
    assert_int_equal(indexes_expire(dir, 1000, &removed), ERR_OK); /* there is none */
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sluice-indexes-XXXXXX");
    return mkdtemp(dir) && dir_make(below("index"), 0700) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_too_old_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(labels_of_an_earlier_one_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_are_not_followed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
