/* Which folders are marked with the age of their rows, so that they are removed for it. */
#include "inspect/index_age.h"

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
    static char out[128];
    snprintf(out, sizeof out, "%s/%s", dir, path);
    return out;
}

static void a_new_one_is_marked_and_keeps_its_mark(void **state)
{
    (void)state;
    uint64_t from = 0;
    assert_int_equal(index_age_mark(below("new"), 10000, 600, &from), ERR_OK);
    assert_int_equal(from, 9700);
    assert_int_equal(file_replace(below("new/index.json"), "{}", 2), ERR_OK);
    assert_int_equal(index_age_mark(below("new"), 10100, 600, &from), ERR_OK);
    assert_int_equal(from, 9700);
}

/* An index of a corpus, or anything else: marked, it would be removed when its age is over. */
static void what_was_made_of_something_else_is_not_marked(void **state)
{
    (void)state;
    uint64_t from;
    assert_int_equal(dir_make(below("other"), 0700), ERR_OK);
    assert_int_equal(file_replace(below("other/index.json"), "{}", 2), ERR_OK);
    assert_int_equal(index_age_mark(below("other"), 10000, 600, &from), ERR_USAGE);
    assert_int_equal(rows_from_read(below("other"), &from), ERR_NOTFOUND);
    assert_int_equal(unlink(below("other/index.json")), 0);
    assert_int_equal(index_age_mark(below("other"), 10000, 600, &from), ERR_OK);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sluice-index-age-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_one_is_marked_and_keeps_its_mark, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_made_of_something_else_is_not_marked, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
