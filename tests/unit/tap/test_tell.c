/* What the tap says may cost the program nothing. */
#include "tap/tell.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A child says it into this stderr: how the child ends, as waitpid() has it. */
static int told_into(int fd)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        int once = 0;
        dup2(fd, STDERR_FILENO);
        alarm(20); /* it waits */
        tell_once(&once, "a sentence");
        tell_once(&once, "another one");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_sentence_is_told_once(void **state)
{
    char text[100] = "";
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(told_into(ends[1]), 0);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    assert_string_equal(text, "sluice: a sentence\n");
    close(ends[0]);
}

static void a_pipe_that_nobody_reads_ends_no_program(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    assert_int_equal(told_into(ends[1]), 0);
    close(ends[1]);
}

static void a_pipe_that_is_full_stops_no_program(void **state)
{
    static const char much[4096];
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], much, sizeof much) > 0) continue;
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    assert_int_equal(told_into(ends[1]), 0);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentence_is_told_once),
        cmocka_unit_test(a_pipe_that_nobody_reads_ends_no_program),
        cmocka_unit_test(a_pipe_that_is_full_stops_no_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
