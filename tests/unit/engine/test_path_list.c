/* Files of rows that cannot be read are never left out in silence. */
#include "tests/unit/engine/support.h"

#include "engine/path_list.h"

#include <sys/stat.h>

static const char *const endings[] = {".npy", NULL};

static int find(const char *text, size_t *count)
{
    struct path_list list = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, text);
    int result = path_list_add(&list, path, endings, "capture.files");
    *count = list.count;
    path_list_free(&list);
    return result;
}

static void expect(const char *text, size_t expected)
{
    size_t count;
    int result = find(text, &count);
    if (result != ERR_OK) print_error("%s: %s\n", text, err_text());
    assert_int_equal(result, ERR_OK);
    assert_int_equal(count, expected);
}

static void expect_error(const char *text, int code, const char *says)
{
    size_t count;
    int result = find(text, &count);
    if (result != code) print_error("%s gave %d and %zu files\n", text, result, count);
    assert_int_equal(result, code);
    if (!strstr(err_text(), says)) print_error("'%s' is not in: %s\n", says, err_text());
    assert_non_null(strstr(err_text(), says));
    assert_non_null(strstr(err_text(), "capture.files"));
}

static void links_to_nothing_are_errors(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("rows"), 0755), 0);
    write_text("rows/a.npy", "a");
    assert_int_equal(symlink("nothing", in_folder("rows/other.txt")), 0);
    expect("rows", 1);
    expect("rows/*.npy", 1);
    expect("**/*.npy", 1);
    assert_int_equal(symlink("nothing", in_folder("rows/b.npy")), 0);
    expect_error("rows", ERR_NOTFOUND, "rows/b.npy");
    expect_error("rows/*.npy", ERR_NOTFOUND, "rows/b.npy");
    expect_error("**/*.npy", ERR_NOTFOUND, "rows/b.npy");
    expect_error("{rows,none}/**", ERR_NOTFOUND, "rows/");
    expect("rows/a*", 1);
    unlink(in_folder("rows/b.npy"));
}

/* Root reads everything: the test is somebody else where it can be. */
static void folders_without_permission_are_errors(void **state)
{
    (void)state;
    chmod(folder, 0755);
    assert_int_equal(mkdir(in_folder("rows/locked"), 0), 0);
    int was_root = geteuid() == 0 && seteuid(65534) == 0;
    expect_error("rows/*/*.npy", ERR_USAGE, "rows/locked");
    expect_error("rows/**/*.npy", ERR_USAGE, "rows/locked");
    expect_error("*/locked/**/*.npy", ERR_USAGE, "rows/locked");
    if (was_root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(rmdir(in_folder("rows/locked")), 0);
}

static void folders_too_deep_are_an_error(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/deep", folder);
    for (int i = 0; i < 70; i++) {
        assert_int_equal(mkdir(path, 0755), 0);
        strcat(path, "/d");
    }
    expect("rows/**/*.npy", 1);
    expect_error("**/*.npy", ERR_LIMIT, "more than 64 folders deep");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_to_nothing_are_errors),
        cmocka_unit_test(folders_without_permission_are_errors),
        cmocka_unit_test(folders_too_deep_are_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
