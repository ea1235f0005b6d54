/* Logs: logfmt that parses back, one write a line, levels, limits. */
#include "runtime/log.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
