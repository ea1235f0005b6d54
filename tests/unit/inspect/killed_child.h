/* A survey in a child that is killed at random moments, and begun again until it comes to its end. */
#ifndef SLUICE_TESTS_UNIT_INSPECT_KILLED_CHILD_H
#define SLUICE_TESTS_UNIT_INSPECT_KILLED_CHILD_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"

enum { KILLED_LIVES_MOST = 400 };

/* Each life has at most `most_micros` at first, and that much more after each `lives` of them. How many
 * were killed; the last one ended well. */
static int killed_child(struct rng *rng, double most_micros, int lives,
                        int (*survey)(const char *folder), const char *folder)
{
    int kills = 0, status = 1;
    for (int i = 0; i < KILLED_LIVES_MOST; i++) {
        pid_t child = fork();
        if (child == 0) _exit(survey(folder) != 0);
        long micros = (long)(rng_unit(rng) * most_micros * (1 + i / lives));
        nanosleep(&(struct timespec){micros / 1000000, micros % 1000000 * 1000}, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status)) break;
        kills++;
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return kills;
}

#endif
