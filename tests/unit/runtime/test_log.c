/* Logs: logfmt that parses back, one write a line, levels, limits. */
#include "runtime/log.h"

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
/* cmocka wants the above first */
#include <cmocka.h>

static int saved, pipe_fd[2];
static char line[8192];

static void capture(void)
{
    fflush(stderr);
    saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipe_fd), 0);
    dup2(pipe_fd[1], STDERR_FILENO);
}

static void captured(void)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipe_fd[1]);
    ssize_t n = read(pipe_fd[0], line, sizeof line - 1);
    line[n > 0 ? n : 0] = '\0';
    close(pipe_fd[0]);
}

static void test_fields(void **state)
{
    (void)state;
    log_open("sink", LOG_INFO);
    capture();
    log_event(LOG_WARN, "frame refused", LOG_U("producer", 1), LOG_I("delta", -2),
              LOG_D("share", 0.25), LOG_S("plain", "a/b.c"), LOG_S("quoted", "a \"b\"\n\x01=c"),
              LOG_S("empty", ""));
    captured();
    assert_int_equal(strncmp(line, "time=2", 6), 0);
    assert_non_null(strstr(line,
                           "Z level=warn process=sink msg=\"frame refused\" producer=1 delta=-2 "
                           "share=0.25 plain=a/b.c quoted=\"a \\\"b\\\"\\n\\x01=c\" "
                           "empty=\"\"\n"));
    assert_null(strchr(line, '\033')); /* no terminal, no colour */
}

static void test_levels(void **state)
{
    (void)state;
    enum log_level level;
    log_open("x", LOG_WARN);
    capture();
    log_info("hidden");
    log_error("shown %d", 7);
    captured();
    assert_null(strstr(line, "hidden"));
    assert_non_null(strstr(line, "level=error process=x msg=\"shown 7\"\n"));
    assert_int_equal(log_level_parse("debug", &level), ERR_OK);
    assert_int_equal(level, LOG_DEBUG);
    assert_int_equal(log_level_parse("Debug", &level), ERR_USAGE);
}

/* A line too long is cut, but it stays one line with its quotes closed. */
static void test_long_lines(void **state)
{
    (void)state;
    char text[6000];
    memset(text, '"', sizeof text);
    text[sizeof text - 1] = '\0';
    log_open("x", LOG_INFO);
    capture();
    log_event(LOG_INFO, text, LOG_S("a", text), LOG_U("n", 1), LOG_S("b", text));
    captured();
    assert_true(strlen(line) <= 2048);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_null(strchr(strchr(line, '\n') + 1, '\n'));
    assert_null(strstr(line, " n=1")); /* there is no room left for it */
}

static void test_limit(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    assert_true(log_allowed(&limit));
    for (int i = 0; i < 100; i++) assert_false(log_allowed(&limit));
    limit.last_ns -= 2000000000u;
    assert_true(log_allowed(&limit));
    assert_int_equal(limit.suppressed, 100);
}

/* ---- its file ---- */

static char folder[64], file[96], old[128];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sluice-log-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(file, sizeof file, "%s/x.log", folder);
    snprintf(old, sizeof old, "%s.old", file);
    return setenv("SLUICE_LOG_FILE", file, 1);
}

static int tear_down(void **state)
{
    (void)state;
    unsetenv("SLUICE_LOG_FILE");
    return dir_remove(folder);
}

/* stderr goes to the file, which has so many bytes already. */
static void log_to_file(off_t bytes)
{
    fflush(stderr);
    saved = dup(STDERR_FILENO);
    pipe_fd[0] = dup(STDOUT_FILENO);
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, bytes), 0);
    dup2(fd, STDERR_FILENO);
    close(fd);
    log_open("x", LOG_INFO);
}

static void end_file(void)
{
    dup2(saved, STDERR_FILENO);
    dup2(pipe_fd[0], STDOUT_FILENO);
    close(saved);
    close(pipe_fd[0]);
}

static off_t bytes_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_size : -1;
}

static void test_a_new_file(void **state)
{
    (void)state;
    struct stat st;
    fflush(stdout);
    log_to_file(LOG_FILE_BYTES - 1);
    log_info("one"); /* there is room for it */
    off_t before = bytes_of(old);
    log_info("two");
    end_file();
    assert_int_equal(before, -1);
    assert_true(bytes_of(old) > LOG_FILE_BYTES);
    assert_in_range(bytes_of(file), 20, 200);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* What lies there now is another's: it is left alone. */
    log_to_file(LOG_FILE_BYTES);
    assert_int_equal(unlink(old), 0);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(symlink("/nowhere", file), 0);
    log_info("three");
    end_file();
    assert_int_equal(bytes_of(old), -1);
}

static void test_a_flood_of_lines(void **state)
{
    (void)state;
    char *text;
    size_t bytes, lines = 0;
    fflush(stdout);
    log_to_file(0);
    for (int i = 0; i < 5000; i++) log_warn("flood");
    usleep(100000);
    log_warn("after it");
    end_file();
    assert_int_equal(file_read(file, 1 << 20, &text, &bytes), ERR_OK);
    for (const char *p = text; (p = strchr(p, '\n')); p++) lines++;
    assert_in_range(lines, LOG_LINES_AT_ONCE - 100, LOG_LINES_AT_ONCE + 100);
    assert_non_null(strstr(text, "lines were left out"));
    assert_non_null(strstr(text, "after it"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_limit),
        cmocka_unit_test_setup_teardown(test_a_new_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_of_lines, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
