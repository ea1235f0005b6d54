/* What signals do to a loop: each in a child, which tells by how it ends. */
#include "runtime/loop.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>
/* cmocka wants the above first */
#include <cmocka.h>

enum { TURNS = 20, TOO_FEW_TURNS = 1 };

static int turns;

/* SIGHUP at the first turn, SIGTERM at the last. */
static void raise_both(uv_idle_t *idle)
{
    (void)idle;
    if (++turns == 1) raise(SIGHUP);
    if (turns == TURNS) raise(SIGTERM);
}

static void raise_at_once(uv_idle_t *idle)
{
    struct loop_signals signals;
    (void)idle;
    if (++turns > 1) return;
    loop_begin_long(&signals);
    raise(SIGTERM); /* nothing that follows is reached */
    loop_end_long(&signals);
}

static void raise_after(uv_idle_t *idle)
{
    struct loop_signals signals;
    (void)idle;
    loop_begin_long(&signals);
    loop_end_long(&signals);
    if (++turns == TURNS) raise(SIGTERM);
}

/* The status of a child whose loop does this at each turn. */
static int status_of(uv_idle_cb each, int ignores_hangup)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct uv_loop_s *loop;
        uv_idle_t idle;
        if (ignores_hangup) signal(SIGHUP, SIG_IGN);
        if (loop_open(&loop) != ERR_OK) _exit(9);
        uv_idle_init(loop, &idle);
        uv_idle_start(&idle, each);
        loop_run(loop);
        uv_close((uv_handle_t *)&idle, NULL);
        loop_close(loop);
        _exit(turns < TURNS ? TOO_FEW_TURNS : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_signal_ends_it(void **state)
{
    (void)state;
    int status = status_of(raise_both, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), TOO_FEW_TURNS);
}

static void one_that_is_ignored_does_not(void **state)
{
    (void)state;
    assert_int_equal(status_of(raise_both, 1), 0);
}

static void long_work_is_ended_at_once(void **state)
{
    (void)state;
    int status = status_of(raise_at_once, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void after_long_work_a_signal_ends_the_loop(void **state)
{
    (void)state;
    assert_int_equal(status_of(raise_after, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_ends_it),
        cmocka_unit_test(one_that_is_ignored_does_not),
        cmocka_unit_test(long_work_is_ended_at_once),
        cmocka_unit_test(after_long_work_a_signal_ends_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
