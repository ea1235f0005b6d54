#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* What a disk refuses for good or for now has a next step; other reasons are for the caller. */
static void errors_of_the_disk_say_what_next(void **state)
{
    (void)state;
    static const struct {
        int error, code;
        const char *says, *hint;
    } all[] = {{ENOSPC, ERR_NOSPC, "No space left on device (", "; HINT: make room on that disk"},
               {EDQUOT, ERR_NOSPC, " bytes are free there)", "; HINT: make room on that disk"},
               {EROFS, ERR_IO, "Read-only", "; HINT: choose a place that can be written"},
               {EACCES, ERR_IO, "Permission denied", "; HINT: give this user the right"},
               {EIO, ERR_IO, "Input/output error", ""}};
    char path[128];
    snprintf(path, sizeof path, "%s/file", folder);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        errno = all[i].error;
        assert_int_equal(file_error("cannot write", path), all[i].code);
        assert_non_null(strstr(err_text(), path));
        assert_non_null(strstr(err_text(), all[i].says));
        assert_non_null(strstr(err_text(), all[i].hint));
        if (!all[i].hint[0]) assert_null(strstr(err_text(), "HINT"));
    }
    errno = ENOSPC; /* no folder in the name, and none that is there */
    assert_int_equal(file_error("cannot write", "file"), ERR_NOSPC);
    assert_non_null(strstr(err_text(), "bytes are free"));
    errno = ENOSPC;
    assert_int_equal(file_error("cannot write", "/nonexistent/file"), ERR_NOSPC);
    assert_non_null(strstr(err_text(), "device; HINT"));
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

/* A view of the file system that is this process's own, in which it may mount. */
static int own_view(void)
{
    char map[64];
    snprintf(map, sizeof map, "0 %u 1", (unsigned)geteuid());
    if (geteuid() == 0) {
        if (unshare(CLONE_NEWNS) != 0) return 0;
    } else {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 0;
        int fd = open("/proc/self/uid_map", O_WRONLY);
        if (write(fd, map, strlen(map)) < 0) return 0;
        close(fd);
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* A small disk, which a file fills, in a child's own view of the file system. */
static int lock_on_a_full_disk(const char *disk)
{
    char path[160], page[4096] = {0};
    int lock, other, pages = 0;
    if (!own_view()) return 2;
    if (mount("tmpfs", disk, "tmpfs", 0, "size=16384") != 0) return 3;
    snprintf(path, sizeof path, "%s/all", disk);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (write(fd, page, sizeof page) > 0) pages++;
    if (errno != ENOSPC || pages == 0) return 4;
    snprintf(path, sizeof path, "%s/lock", disk);
    if (file_lock(path, &lock) != ERR_OK) return 5;
    return file_lock(path, &other) == ERR_EXISTS ? 0 : 6;
}

static void a_full_disk_keeps_nobody_from_a_lock(void **state)
{
    (void)state;
    char disk[128];
    int status;
    snprintf(disk, sizeof disk, "%s/disk", folder);
    assert_int_equal(dir_make(disk, 0700), ERR_OK);
    pid_t child = fork();
    if (child == 0) _exit(lock_on_a_full_disk(disk));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void write_text(const char *name, const char *text, char *path)
{
    snprintf(path, 128, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void holds(const char *path, const char *text)
{
    char *data;
    size_t size;
    assert_int_equal(file_read(path, 4096, &data, &size), ERR_OK);
    assert_string_equal(data, text);
    free(data);
}

/* Other programs call their files lock, too. */
static void a_file_that_is_no_lock_is_left_as_it_is(void **state)
{
    (void)state;
    static const char *const texts[] = {"my notes\n", "12 apples\n",
                                        "12",         "\n",
                                        "12\n13\n",   "123456789012345678901234567890123456789\n"};
    char path[128], link[128];
    int fd;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_text("foreign", texts[i], path);
        assert_int_equal(file_lock(path, &fd), ERR_USAGE);
        assert_non_null(strstr(err_text(), "HINT"));
        holds(path, texts[i]);
    }
    write_text("foreign", "", path);
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(file_lock(link, &fd), ERR_IO); /* what it points to is not written to */
    holds(path, "");
    assert_int_equal(file_lock(path, &fd), ERR_OK);
    close(fd);
    write_text("foreign", "4711\n", path); /* of a process that is gone */
    assert_int_equal(file_lock(path, &fd), ERR_OK);
    close(fd);
}

static void a_temporary_file_is_none_that_was_there(void **state)
{
    (void)state;
    char path[128], foreign[128], name[PATH_MAX];
    int fd;
    snprintf(name, sizeof name, "new.tmp.%ld", (long)getpid());
    write_text(name, "mine\n", foreign);
    snprintf(path, sizeof path, "%s/new", folder);
    assert_int_equal(file_temporary(path, name, &fd), ERR_OK);
    assert_string_not_equal(name, foreign);
    close(fd);
    assert_int_equal(file_replace(path, "x", 1), ERR_OK);
    holds(foreign, "mine\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_is_no_lock_is_left_as_it_is),
        cmocka_unit_test(a_temporary_file_is_none_that_was_there),
        cmocka_unit_test(replaced_file_has_the_new_bytes_and_is_private),
        cmocka_unit_test(failed_replacement_keeps_the_old_file),
        cmocka_unit_test(errors_of_the_disk_say_what_next),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(folders_are_made_with_parents_and_removed_whole),
        cmocka_unit_test(a_held_lock_names_its_holder),
        cmocka_unit_test(a_full_disk_keeps_nobody_from_a_lock),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
