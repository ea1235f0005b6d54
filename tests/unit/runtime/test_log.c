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

static int saved, saved_out, pipe_fd[2];
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

/* Lines of a file. */
static unsigned lines_of(const char *path)
{
    unsigned n = 0;
    int c;
    FILE *in = fopen(path, "r");
    if (!in) return 0;
    while ((c = fgetc(in)) != EOF) n += c == '\n';
    fclose(in);
    return n;
}

static char folder[] = "/tmp/sluice-log-XXXXXX", path[64], old[72];

/* stderr goes to a file, as `sluice up` has it. */
static void into_a_file(void)
{
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.log", folder);
    snprintf(old, sizeof old, "%s.old", path);
    setenv("SLUICE_LOG_FILE", path, 1);
    fflush(stdout);
    saved = dup(STDERR_FILENO);
    saved_out = dup(STDOUT_FILENO); /* a new file is both */
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDERR_FILENO);
    close(fd);
    log_open("x", LOG_INFO);
}

static void out_of_it(void)
{
    dup2(saved, STDERR_FILENO);
    dup2(saved_out, STDOUT_FILENO);
    close(saved);
    close(saved_out);
    unsetenv("SLUICE_LOG_FILE");
    log_open("x", LOG_INFO);
}

static void remove_files(void)
{
    unlink(path);
    unlink(old);
    rmdir(folder);
}

/* Whatever happens a thousand times a second, the log has some hundred lines, and says so. */
static void test_lines_are_limited(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    into_a_file();
    sleep(1); /* what the tests before wrote has been forgiven in part */
    for (int i = 0; i < 100000; i++) log_info("line %d", i);
    sleep(1);
    log_info("the last");
    out_of_it();
    unsigned lines = lines_of(path);
    assert_int_equal(file_read(path, 64 << 20, &text, &bytes), ERR_OK);
    int has_last = strstr(text, "the last") != NULL;
    unsigned long left_out = 0, told = 0;
    for (char *p = text; (p = strstr(p, " lines=")); p++, told++)
        left_out += strtoul(p + strlen(" lines="), NULL, 10);
    free(text);
    remove_files();
    assert_in_range(lines, LOG_LINES_A_SECOND, LOG_LINES_AT_ONCE + 20 * LOG_LINES_A_SECOND);
    assert_true(has_last);
    assert_int_equal(left_out + lines - told, 100001); /* each is there or counted */
}

/* A file that has grown is kept under another name; one more begins. */
static void test_files_begin_anew(void **state)
{
    (void)state;
    struct stat st;
    into_a_file();
    assert_int_equal(truncate(path, LOG_FILE_BYTES - 10), 0);
    sleep(1);
    log_info("fills it");
    log_info("begins another");
    out_of_it();
    int is_kept = stat(old, &st) == 0 && st.st_size >= LOG_FILE_BYTES;
    unsigned lines = lines_of(path);
    int mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0;
    remove_files();
    assert_true(is_kept);
    assert_int_equal(lines, 1);
    assert_int_equal(mode, 0600);
}

/* Only the file that stderr goes to is renamed. */
static void test_another_file_stays(void **state)
{
    (void)state;
    struct stat st;
    into_a_file();
    char other[80];
    snprintf(other, sizeof other, "%s/other", folder);
    setenv("SLUICE_LOG_FILE", other, 1);
    FILE *file = fopen(other, "w");
    fputs("mine", file);
    fclose(file);
    assert_int_equal(truncate(path, LOG_FILE_BYTES + 10), 0);
    log_open("x", LOG_INFO);
    log_info("a line");
    out_of_it();
    int is_there = stat(other, &st) == 0 && st.st_size == 4;
    unlink(other);
    remove_files();
    assert_true(is_there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_lines_are_limited),
        cmocka_unit_test(test_files_begin_anew),
        cmocka_unit_test(test_another_file_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
