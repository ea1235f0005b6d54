/* What a dead process left is removed; what a living one writes, and what is anybody else's, stays. */
#include "base/leftover.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/newfile.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/sluice-leftover-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(folder);
}

static int open_folder(void)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    return fd;
}

static int is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static const char *last_part(const char *path)
{
    return strrchr(path, '/') + 1;
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(leftover_name("a.json.tmp.aB3dEf"), 6);
    static const char *const others[] = {
        "a.json",      "a.tmp.aB3dE", "a.tmp.aB3dEfg",  "a.tmp.aB3d-f",
        ".tmp.aB3dEf", "a.tmp",       "a.tmp.123456.x", ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(leftover_name(others[i]), 0);
}

static void one_that_is_written_stays(void **state)
{
    (void)state;
    char path[128], temporary[PATH_MAX];
    int fd, at = open_folder();
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(file_temporary(path, temporary, &fd), ERR_OK);
    assert_int_equal(leftover_remove(at, last_part(temporary)), 0);
    assert_true(is_there(temporary));
    close(fd);
    assert_int_equal(leftover_remove(at, last_part(temporary)), 1);
    assert_false(is_there(temporary));
    close(at);
}

static void of_a_process_that_was_killed(void **state)
{
    (void)state;
    char path[128], temporary[PATH_MAX];
    int pipes[2], at = open_folder();
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd;
        if (file_temporary(path, temporary, &fd) != ERR_OK) _exit(1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (write(pipes[1], temporary, sizeof temporary) != sizeof temporary) _exit(1);
        pause();
    }
    assert_int_equal(read(pipes[0], temporary, sizeof temporary), sizeof temporary);
    assert_int_equal(leftover_remove(at, last_part(temporary)), 0);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(leftover_remove(at, last_part(temporary)), 1);
    close(at);
}

static void sweep_for_ever(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        DIR *dir = opendir(folder);
        for (struct dirent *entry; dir && (entry = readdir(dir));)
            leftover_remove(dirfd(dir), entry->d_name);
        if (dir) closedir(dir);
    }
}

/* While another looks for leftovers all the time, whoever writes gets through. */
static void a_writer_is_not_disturbed(void **state)
{
    (void)state;
    char path[128], *text;
    size_t bytes;
    struct newfile *file;
    snprintf(path, sizeof path, "%s/file", folder);
    pid_t child = fork();
    if (child == 0) sweep_for_ever();
    for (int i = 0; i < 300; i++) {
        assert_int_equal(file_replace(path, "text", 4), ERR_OK);
        assert_int_equal(newfile_begin(path, &file), ERR_OK);
        assert_int_equal(newfile_write(file, "more", 4), ERR_OK);
        assert_int_equal(newfile_commit(file), ERR_OK);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(file_read(path, 10, &text, &bytes), ERR_OK);
    assert_string_equal(text, "more");
    free(text);
}

static void links_folders_and_other_names_stay(void **state)
{
    (void)state;
    char path[128], target[128];
    int at = open_folder();
    snprintf(target, sizeof target, "%s/target", folder);
    assert_int_equal(file_replace(target, "x", 1), ERR_OK);
    snprintf(path, sizeof path, "%s/a.tmp.aaaaaa", folder);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(leftover_remove(at, "a.tmp.aaaaaa"), 0);
    assert_true(is_there(path));
    snprintf(path, sizeof path, "%s/b.tmp.aaaaaa", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(leftover_remove(at, "b.tmp.aaaaaa"), 0);
    assert_true(is_there(path));
    snprintf(path, sizeof path, "%s/c.tmp.aaaaaa", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(leftover_remove(at, "c.tmp.aaaaaa"), 0);
    assert_true(is_there(path));
    assert_int_equal(leftover_remove(at, "target"), 0);
    assert_true(is_there(target));
    close(at);
}

static void what_is_there_is_not_replaced(void **state)
{
    (void)state;
    char path[128], *text;
    size_t bytes;
    snprintf(path, sizeof path, "%s/marker", folder);
    assert_int_equal(file_create(path, "one", 3), ERR_OK);
    assert_int_equal(file_create(path, "two", 3), ERR_EXISTS);
    assert_int_equal(file_read(path, 10, &text, &bytes), ERR_OK);
    assert_string_equal(text, "one");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(one_that_is_written_stays),
        cmocka_unit_test(of_a_process_that_was_killed),
        cmocka_unit_test(a_writer_is_not_disturbed),
        cmocka_unit_test(links_folders_and_other_names_stay),
        cmocka_unit_test(what_is_there_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
