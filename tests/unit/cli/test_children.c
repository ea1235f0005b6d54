/* Children of `sluice up`: when they are started again, after how long, and when not. */
#include "cli/children.h"

#include "base/err.h"
#include "base/fileio.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], log_file[96];
static struct children children; /* large */

static void rest(void)
{
    nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static uint64_t answers; /* the broker tells how far all is, each time it is asked */

static struct child *add(enum process_kind role, const char *script)
{
    const char *arguments[] = {"/bin/sh", "-c", script, NULL};
    assert_int_equal(children_add(&children, role, "one", arguments, log_file, 0), ERR_OK);
    return &children.child[children.count - 1];
}

/* Tend at a made-up time until the child has left the phase; the result of the last call. */
static int tend_while(struct child *child, enum child_phase phase, int64_t now_ms,
                      uint64_t progress)
{
    int result = ERR_OK;
    for (int i = 0; i < 30000 && child->phase == phase && result == ERR_OK; i++) {
        result = children_tend(&children, now_ms, &(struct child_progress){progress, ++answers});
        rest();
    }
    assert_int_not_equal(child->phase, phase);
    return result;
}

static void pauses_grow_and_the_fifth_death_is_the_last(void **state)
{
    (void)state;
    int64_t now_ms = 1000;
    struct child *child = add(PROCESS_SINK, "exit 1");
    for (int death = 1; death < CHILD_DEATHS; death++) {
        assert_int_equal(tend_while(child, CHILD_WAITING, now_ms, 7), ERR_OK);
        assert_int_equal(tend_while(child, CHILD_RUNNING, now_ms, 7), ERR_OK);
        assert_int_equal(child->phase, CHILD_WAITING);
        assert_int_equal(child->start_ms - now_ms, CHILD_BACK_OFF_MS << (death - 1));
        assert_int_equal(
            children_tend(&children, child->start_ms - 1, &(struct child_progress){7, ++answers}),
            ERR_OK);
        assert_int_equal(child->phase, CHILD_WAITING); /* not before its time */
        now_ms = child->start_ms;
    }
    assert_int_equal(tend_while(child, CHILD_WAITING, now_ms, 7), ERR_OK);
    assert_int_equal(tend_while(child, CHILD_RUNNING, now_ms, 7), ERR_STATE);
    assert_int_equal(child->phase, CHILD_GIVEN_UP);
    assert_non_null(strstr(err_text(), "exit code 1"));
}

/* While the broker doesn't answer, nobody knows that nothing moved; of the broker itself all do. */
static void without_an_answer_nobody_is_given_up(void **state)
{
    (void)state;
    const struct child_progress silence = {7, 3};
    struct child *sink = add(PROCESS_SINK, "exit 1"), *broker = add(PROCESS_BROKER, "exit 1");
    int result = ERR_OK;
    int64_t now_ms = 1000;
    for (int i = 0; i < 20000 && result == ERR_OK; i++) {
        result = children_tend(&children, now_ms, &silence);
        now_ms += 5;
        rest();
    }
    assert_int_equal(result, ERR_STATE);
    assert_int_equal(broker->phase, CHILD_GIVEN_UP);
    assert_true(sink->restarts >= CHILD_DEATHS - 1);
    for (int i = 0; i < 200 && sink->restarts < 2 * CHILD_DEATHS; i++) {
        children_tend(&children, now_ms += CHILD_BACK_OFF_MAX_MS / 8, &silence);
        rest();
    }
    assert_int_not_equal(sink->phase, CHILD_GIVEN_UP);
}

static void progress_forgives(void **state)
{
    (void)state;
    struct child *child = add(PROCESS_BROKER, "kill -9 $$");
    for (uint64_t death = 1; death <= 3 * CHILD_DEATHS; death++) {
        assert_int_equal(tend_while(child, CHILD_WAITING, (int64_t)death * 300, death), ERR_OK);
        assert_int_equal(tend_while(child, CHILD_RUNNING, (int64_t)death * 300, death), ERR_OK);
        assert_int_equal(child->back_off_ms, 2 * CHILD_BACK_OFF_MS); /* begins anew */
    }
    char how[64];
    child_death(child, how, sizeof how);
    assert_string_equal(how, "signal 9 (Killed)");
}

static void rare_deaths_are_forgiven_too_and_pauses_have_an_end(void **state)
{
    (void)state;
    struct child *child = add(PROCESS_SINK, "exit 1");
    for (int64_t death = 1; death <= 2 * CHILD_DEATHS; death++) {
        int64_t now_ms = death * CHILD_DEATHS_MS / 3;
        assert_int_equal(tend_while(child, CHILD_WAITING, now_ms, 1), ERR_OK);
        assert_int_equal(tend_while(child, CHILD_RUNNING, now_ms, 1), ERR_OK);
    }
    assert_int_equal(child->back_off_ms, CHILD_BACK_OFF_MAX_MS);
}

static void bad_usage_is_never_tried_again(void **state)
{
    (void)state;
    struct child *child = add(PROCESS_CAPTURE, "exit 2");
    assert_int_equal(tend_while(child, CHILD_WAITING, 0, 0), ERR_OK);
    assert_int_equal(tend_while(child, CHILD_RUNNING, 0, 0), ERR_USAGE);
    assert_int_equal(child->phase, CHILD_GIVEN_UP);
}

/* What can pass is tried again; a file that is wrong stays wrong. */
static void what_no_second_try_mends_is_tried_once(void **state)
{
    (void)state;
    struct child *child = add(PROCESS_CAPTURE, "exit 3");
    assert_int_equal(tend_while(child, CHILD_WAITING, 0, 0), ERR_OK);
    int result = tend_while(child, CHILD_RUNNING, 0, 0);
    assert_int_equal(err_exit_code(result), 1);
    assert_int_equal(child->phase, CHILD_GIVEN_UP);
    assert_non_null(strstr(err_text(), "one ended with exit code 1; no second try"));
}

static void a_signal_is_tried_again_and_told(void **state)
{
    (void)state;
    static const struct {
        const char *script, *how;
    } deaths[] = {{"kill -ABRT $$", "signal 6 (Aborted)"},
                  {"kill -SEGV $$", "signal 11 (Segmentation fault)"},
                  {"kill -FPE $$", "signal 8 (Floating point exception)"},
                  {"kill -ILL $$", "signal 4 (Illegal instruction)"},
                  {"kill -BUS $$", "signal 7 (Bus error)"}};
    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++) {
        char how[64];
        struct child *child = add(PROCESS_CAPTURE, deaths[i].script);
        int64_t now_ms = 0;
        for (int death = 1; death <= CHILD_DEATHS; death++, now_ms = child->start_ms) {
            assert_int_equal(tend_while(child, CHILD_WAITING, now_ms, 0), ERR_OK);
            int result = tend_while(child, CHILD_RUNNING, now_ms, 0);
            assert_int_equal(result, death < CHILD_DEATHS ? ERR_OK : ERR_STATE);
            child_death(child, how, sizeof how);
            assert_string_equal(how, deaths[i].how);
        }
        assert_non_null(strstr(err_text(), deaths[i].how));
    }
}

static void who_ends_well_is_done_until_revived(void **state)
{
    (void)state;
    struct child *capture = add(PROCESS_CAPTURE, "exit 0");
    assert_int_equal(children_left(&children, PROCESS_CAPTURE), 1);
    tend_while(capture, CHILD_WAITING, 0, 0);
    assert_int_equal(tend_while(capture, CHILD_RUNNING, 0, 0), ERR_OK);
    assert_int_equal(capture->phase, CHILD_DONE);
    assert_int_equal(children_left(&children, PROCESS_CAPTURE), 0);
    children_revive(&children, PROCESS_TRAINER, 5000); /* another role */
    assert_int_equal(capture->phase, CHILD_DONE);
    children_revive(&children, PROCESS_CAPTURE, 5000);
    children_tend(&children, 5000 + CHILD_REVIVE_MS - 1, &(struct child_progress){0});
    assert_int_equal(capture->phase, CHILD_WAITING);
    tend_while(capture, CHILD_WAITING, 5000 + CHILD_REVIVE_MS, 0);
    tend_while(capture, CHILD_RUNNING, 5000 + CHILD_REVIVE_MS, 0);
    assert_int_equal(capture->phase, CHILD_DONE);
}

static void while_stopping_nothing_is_started(void **state)
{
    (void)state;
    struct child *sink = add(PROCESS_SINK, "exit 1");
    tend_while(sink, CHILD_WAITING, 0, 0);
    tend_while(sink, CHILD_RUNNING, 0, 0);
    assert_int_equal(sink->phase, CHILD_WAITING);
    children.stopping = 1;
    children_tend(&children, 1000000, &(struct child_progress){0});
    assert_int_equal(sink->phase, CHILD_DONE);
}

static void without_restart_the_first_death_ends_it(void **state)
{
    (void)state;
    children.restart = 0;
    struct child *child = add(PROCESS_SINK, "exit 1");
    tend_while(child, CHILD_WAITING, 0, 0);
    assert_int_equal(tend_while(child, CHILD_RUNNING, 0, 0), ERR_STATE);
    assert_non_null(strstr(err_text(), "up.restart"));
}

static void a_child_lives_in_a_group_of_its_own_and_knows_the_pipe(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    /* A read from the pipe ends when its write end, ours, is closed. */
    struct child *child =
        add(PROCESS_SINK, "echo started >&2; eval \"read x <&$SLUICE_PARENT_FD\"; echo gone >&2");
    tend_while(child, CHILD_WAITING, 0, 0);
    pid_t pid = child->pid;
    assert_int_equal(getpgid(pid), pid);
    for (int i = 0; i < 1000; i++, rest())
        if (file_read(log_file, 1024, &text, &bytes) == ERR_OK) {
            int started = strstr(text, "started") != NULL;
            free(text);
            if (started) break;
        }
    close(children.parent_write);
    children.parent_write = -1;
    tend_while(child, CHILD_RUNNING, 0, 0);
    assert_int_equal(file_read(log_file, 1024, &text, &bytes), ERR_OK);
    assert_string_equal(text, "started\ngone\n");
    free(text);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sluice-children-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(log_file, sizeof log_file, "%s/one.log", dir);
    return children_init(&children, 1);
}

static int tear_down(void **state)
{
    (void)state;
    children_fini(&children);
    return dir_remove(dir);
}

#define CHILD(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHILD(pauses_grow_and_the_fifth_death_is_the_last),
        CHILD(without_an_answer_nobody_is_given_up),
        CHILD(progress_forgives),
        CHILD(rare_deaths_are_forgiven_too_and_pauses_have_an_end),
        CHILD(bad_usage_is_never_tried_again),
        CHILD(what_no_second_try_mends_is_tried_once),
        CHILD(a_signal_is_tried_again_and_told),
        CHILD(who_ends_well_is_done_until_revived),
        CHILD(while_stopping_nothing_is_started),
        CHILD(without_restart_the_first_death_ends_it),
        CHILD(a_child_lives_in_a_group_of_its_own_and_knows_the_pipe),
    };
    return cmocka_run_group_tests_name("children", tests, NULL, NULL);
}
