#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fileio.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sluice-fileio-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return dir_remove(folder);
}

static void replaced_file_has_the_new_bytes_and_is_private(void **state)
{
    (void)state;
    char path[128], *data;
    size_t size;
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(file_replace(path, "first, longer", 13), ERR_OK);
    assert_int_equal(file_replace(path, "second", 6), ERR_OK);
    assert_int_equal(file_read(path, 100, &data, &size), ERR_OK);
    assert_int_equal(size, 6);
    assert_string_equal(data, "second");
    free(data);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void failed_replacement_keeps_the_old_file(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/missing/file", folder);
    assert_int_equal(file_replace(path, "x", 1), ERR_IO);
    assert_non_null(strstr(err_text(), path));
}

static void a_file_over_the_limit_is_refused(void **state)
{
    (void)state;
    char path[128], *data;
    size_t size;
    snprintf(path, sizeof path, "%s/large", folder);
    assert_int_equal(file_replace(path, "0123456789", 10), ERR_OK);
    assert_int_equal(file_read(path, 9, &data, &size), ERR_LIMIT);
    assert_int_equal(file_read("/nonexistent", 9, &data, &size), ERR_NOTFOUND);
}

static void folders_are_made_with_parents_and_removed_whole(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/a/b/c", folder);
    assert_int_equal(dir_make(path, 0700), ERR_OK);
    assert_int_equal(dir_make(path, 0700), ERR_OK);
    snprintf(path, sizeof path, "%s/a", folder);
    assert_int_equal(dir_remove(path), ERR_OK);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_held_lock_names_its_holder(void **state)
{
    (void)state;
    char path[128], pid[32];
    int first, second;
    snprintf(path, sizeof path, "%s/lock", folder);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_int_equal(file_lock(path, &first), ERR_OK);
    assert_int_equal(file_lock(path, &second), ERR_EXISTS);
    assert_non_null(strstr(err_text(), pid));
    close(first);
    assert_int_equal(file_lock(path, &second), ERR_OK);
    close(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_file_has_the_new_bytes_and_is_private),
        cmocka_unit_test(failed_replacement_keeps_the_old_file),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(folders_are_made_with_parents_and_removed_whole),
        cmocka_unit_test(a_held_lock_names_its_holder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
