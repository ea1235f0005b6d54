/* What the system refuses is told, with the limit's name. Each test has a process of its own, since
 * a limit once lowered stays. */
#include "base/limits.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* their shadow takes terabytes of address space */
#else
enum { SANITIZED = 0 };
#endif

/* With a limit of `more` bytes beyond what is taken; 0 where `test` returned 0. */
static int limited(int resource, unsigned long more, int (*test)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        unsigned long pages = 0, data = 0;
        FILE *in = fopen("/proc/self/statm", "r");
        if (!in || fscanf(in, "%lu %*u %*u %*u %*u %lu", &pages, &data) != 2) _exit(9);
        fclose(in);
        unsigned long taken = (resource == RLIMIT_AS ? pages : data) * 4096;
        if (resource == RLIMIT_NOFILE) taken = 0;
        struct rlimit limit = {taken + more, taken + more};
        if (setrlimit((__rlimit_resource_t)resource, &limit) != 0) _exit(9);
        _exit(test());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int failed(const char *what, int is_right)
{
    if (!is_right) fprintf(stderr, "%s: %s\n", what, err_text());
    return !is_right;
}

static int memory_is_refused(void)
{
    int wrong = failed("64 MiB", limits_memory(64 << 20, "a thing") == ERR_NOMEM);
    wrong |=
        failed("text", strstr(err_text(), "a thing (64 MiB)") && strstr(err_text(), "ulimit -"));
    wrong |= failed("hint", strstr(err_text(), "HINT: ") != NULL);
    wrong |= failed("8 MiB", limits_memory(8 << 20, "a thing") == ERR_OK);
    return wrong;
}

static int threads_are_refused(void)
{
    int wrong = failed("8 threads", limits_threads(8, "a thing") == ERR_NOMEM);
    wrong |= failed("text", strstr(err_text(), "8 more threads for a thing") &&
                                strstr(err_text(), "ulimit -v is"));
    wrong |= failed("1 thread", limits_threads(1, "a thing") == ERR_OK);
    return wrong;
}

static int files_are_refused(void)
{
    int wrong = failed("64 files", limits_files(64, "a thing") == ERR_USAGE);
    wrong |= failed("text", strstr(err_text(), "64 more files and sockets open for a thing") &&
                                strstr(err_text(), "ulimit -n is 32, of which"));
    wrong |= failed("1 file", limits_files(1, "a thing") == ERR_OK);
    while (dup(STDERR_FILENO) >= 0) continue;
    wrong |= failed("a file of none", limits_files(1, "a thing") == ERR_USAGE);
    wrong |= failed("text", strstr(err_text(), "is 32, of which 32 are taken") != NULL);
    return wrong;
}

static void a_refusal_names_the_limit(void **state)
{
    (void)state;
    if (SANITIZED) skip();
    assert_int_equal(limited(RLIMIT_AS, 32 << 20, memory_is_refused), 0);
    assert_int_equal(limited(RLIMIT_DATA, 32 << 20, memory_is_refused), 0);
    assert_int_equal(limited(RLIMIT_AS, 32 << 20, threads_are_refused), 0);
    assert_int_equal(limited(RLIMIT_NOFILE, 32, files_are_refused), 0);
}

static void nothing_is_refused_without_limits(void **state)
{
    (void)state;
    char text[256];
    struct rlimit limit;
    assert_int_equal(limits_memory(64 << 20, "a thing"), ERR_OK);
    assert_int_equal(limits_threads(4, "a thing"), ERR_OK);
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    limits_text(text, sizeof text);
    assert_int_equal(strstr(text, "ulimit -v") != NULL, limit.rlim_cur != RLIM_INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_names_the_limit),
        cmocka_unit_test(nothing_is_refused_without_limits),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
