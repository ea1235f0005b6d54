/* Folders and files of this user alone: links, other users, others who may write. */
#include "base/own.h"

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

static char folder[] = "/tmp/sluice-own-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(folder);
}

static const char *at(const char *name)
{
    static char path[4][128];
    static int turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static void says(const char *part)
{
    if (!strstr(err_text(), part)) fail_msg("no '%s' in: %s", part, err_text());
}

static void no_link_is_opened(void **state)
{
    (void)state;
    FILE *stream;
    char *text;
    size_t bytes;
    int fd;
    assert_int_equal(file_replace(at("foreign"), "foreign", 7), ERR_OK);
    assert_int_equal(symlink(at("foreign"), at("link")), 0);
    assert_int_equal(own_open(at("link"), O_RDWR | O_CREAT | O_TRUNC, &fd), ERR_USAGE);
    says("/link is a symbolic link");
    assert_int_equal(own_read(at("link"), 100, &text, &bytes), ERR_USAGE);
    assert_int_equal(own_stream(at("link"), &stream), ERR_USAGE);
    assert_int_equal(symlink(at("new"), at("dangling")), 0);
    assert_int_equal(own_open(at("dangling"), O_RDWR | O_CREAT, &fd), ERR_USAGE);
    assert_int_equal(access(at("new"), F_OK), -1);
    assert_int_equal(own_read(at("foreign"), 100, &text, &bytes), ERR_OK);
    assert_string_equal(text, "foreign");
    free(text);
    assert_int_equal(own_read(at("missing"), 100, &text, &bytes), ERR_NOTFOUND);
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    alarm(10); /* nothing waits for a writer */
    assert_int_equal(own_read(at("pipe"), 100, &text, &bytes), ERR_IO);
    alarm(0);
}

static void folders(void **state)
{
    (void)state;
    assert_int_equal(own_folder(at("a"), 0), ERR_NOTFOUND);
    assert_int_equal(own_make(at("a"), 0), ERR_OK);
    assert_int_equal(own_make(at("a"), 0), ERR_OK);
    assert_int_equal(own_make(at("b/c"), 0), ERR_IO); /* no parents are made */
    assert_int_equal(symlink(at("a"), at("link")), 0);
    assert_int_equal(own_make(at("link"), 0), ERR_USAGE);
    assert_int_equal(own_make(at("link"), 1), ERR_OK);
    assert_int_equal(chmod(at("a"), 0770), 0);
    assert_int_equal(own_make(at("link"), 1), ERR_USAGE);
    says("(its mode is 0770)");
    assert_int_equal(chmod(at("a"), 0755), 0); /* others may look */
    assert_int_equal(own_folder(at("a"), 0), ERR_OK);
    assert_int_equal(file_replace(at("file"), "x", 1), ERR_OK);
    assert_int_equal(own_folder(at("file"), 1), ERR_USAGE);
    if (geteuid() != 0) return;
    assert_int_equal(chown(at("a"), 65534, (gid_t)-1), 0);
    assert_int_equal(own_folder(at("a"), 0), ERR_USAGE);
    says("belongs to user 65534");
}

static void those_above(void **state)
{
    (void)state;
    char warning[256];
    assert_int_equal(own_make(at("a"), 0), ERR_OK);
    assert_int_equal(own_parents(at("a/run"), warning, sizeof warning), ERR_OK);
    assert_string_equal(warning, "");
    assert_int_equal(chmod(at("a"), 0770), 0);
    assert_int_equal(own_parents(at("a/run"), warning, sizeof warning), ERR_OK);
    assert_non_null(strstr(warning, "group "));
    assert_int_equal(chmod(at("a"), 0777), 0);
    assert_int_equal(own_parents(at("a/run"), warning, sizeof warning), ERR_USAGE);
    says("everybody may write the folder");
    /* Also where a link leads. */
    assert_int_equal(mkdir(at("a/run"), 0700), 0);
    assert_int_equal(symlink(at("a/run"), at("link")), 0);
    assert_int_equal(own_parents(at("link"), NULL, 0), ERR_USAGE);
    assert_int_equal(chmod(at("a"), 01777), 0); /* as /tmp */
    assert_int_equal(own_parents(at("link"), NULL, 0), ERR_OK);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(no_link_is_opened),
        T(folders),
        T(those_above),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
