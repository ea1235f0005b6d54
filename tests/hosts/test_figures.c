/* What benches of hosts tell: changes of pairs, processor seconds of another process, readers that are
 * stopped and killed. */
#include "base/err.h"
#include "tests/bench/pairs.h"
#include "tests/hosts/command.h"
#include "tests/hosts/processor.h"
#include "tests/hosts/prompts.h"
#include "tests/hosts/reader.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct pairs pairs;

static void a_change_lies_in_its_interval(void **state)
{
    struct pairs_change c, again;
    (void)state;
    pairs.count = 0;
    for (int i = 0; i < 31; i++)
        pairs_add(&pairs, 100 + i, (100 + i) * (1.05 + 0.001 * (i % 7 - 3)));
    pairs_compare(&pairs, 1, &c);
    assert_true(c.percent > 4.99 && c.percent < 5.01);
    assert_true(c.first == 115);
    assert_true(c.least < c.percent && c.percent < c.most);
    assert_true(c.least > 4.6 && c.most < 5.4);
    pairs_compare(&pairs, 1, &again);
    assert_memory_equal(&c, &again, sizeof c);
}

/* What other work did to one pair moves neither the median nor its interval by much. */
static void one_bad_pair_changes_little(void **state)
{
    struct pairs_change c;
    (void)state;
    pairs.count = 0;
    for (int i = 0; i < 30; i++) pairs_add(&pairs, 10, 10.1);
    pairs_add(&pairs, 10, 90);
    pairs_compare(&pairs, 1, &c);
    assert_true(c.percent > 0.99 && c.percent < 1.01 && c.most < 1.01);
}

static void no_figure_is_no_pair(void **state)
{
    struct pairs_change c;
    (void)state;
    pairs.count = 0;
    pairs_add(&pairs, 0, 1);
    pairs_add(&pairs, 1, 0);
    pairs_add(&pairs, 1, -1);
    pairs_compare(&pairs, 1, &c);
    assert_int_equal(pairs.count, 0);
    assert_true(c.percent == 0 && c.first == 0);
}

/* Works for some milliseconds of this thread's processor time. */
static void *work(void *name)
{
    struct timespec t = {0};
    if (name) prctl(PR_SET_NAME, name);
    while (t.tv_sec == 0 && t.tv_nsec < 60000000) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return NULL;
}

/* A child with a thread of its own that ends, and one of a tap's name that stays. */
static void be_a_host(int ready)
{
    pthread_t own, tap;
    pthread_create(&own, NULL, work, NULL);
    pthread_join(own, NULL);
    pthread_create(&tap, NULL, work, (void *)"sluice-tap");
    pthread_join(tap, NULL); /* its time is the process's, and it is gone */
    prctl(PR_SET_NAME, "sluice-tap");
    work(NULL);
    if (write(ready, "!", 1) != 1) _exit(1);
    pause();
    _exit(0);
}

static void threads_that_ended_count_and_the_taps_do_not(void **state)
{
    struct processor_seconds seconds;
    int ready[2];
    char byte;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) be_a_host(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(processor_seconds_of(child, &seconds), ERR_OK);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    assert_true(seconds.others >= 0.05); /* of the thread that is there, named as a tap's */
    assert_true(seconds.own >= 0.11);    /* of both that ended */
    assert_int_equal(processor_seconds_of(child, &seconds), ERR_NOTFOUND);
}

static char state_of(pid_t pid)
{
    char path[64], line[512] = "", state = '-';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file && fgets(line, sizeof line, file)) sscanf(strrchr(line, ')') + 1, " %c", &state);
    if (file) fclose(file);
    return state;
}

static void becomes(pid_t pid, const char *states)
{
    char last = 0;
    for (int i = 0; i < 6000; i++) {
        last = state_of(pid);
        if (strchr(states, last)) return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("process %d is in state %c, not %s", (int)pid, last, states);
}

/* With its children: a shell that waits is not the one that reads. */
static void a_reader_stops_as_a_whole(void **state)
{
    char path[] = "/tmp/sluice-reader-XXXXXX", command[256];
    int child = 0;
    (void)state;
    assert_true(mkstemp(path) >= 0);
    snprintf(command, sizeof command, "sleep 300 & echo $! >%s; wait", path);
    assert_int_equal(reader_begin(command, "stopped"), ERR_OK);
    FILE *file = fopen(path, "r");
    assert_int_equal(fscanf(file, "%d", &child), 1);
    fclose(file);
    becomes(child, "T");
    assert_int_equal(reader_change("running"), ERR_OK);
    becomes(child, "SR");
    assert_int_equal(reader_change("asleep"), ERR_USAGE);
    assert_int_equal(reader_change("killed"), ERR_OK);
    becomes(child, "-ZX");
    reader_end();
    unlink(path);
    assert_int_equal(reader_begin("exit 3", "running"), ERR_STATE);
}

enum { MANY = 200 }; /* among so many, some begin alike in the corpus */

static void prompts_are_the_same_and_begin_differently(void **state)
{
    struct prompts a, b, c;
    (void)state;
    assert_int_equal(prompts_read(command_corpus(), MANY, 20, 5, &a), ERR_OK);
    assert_int_equal(prompts_read(command_corpus(), MANY, 20, 5, &b), ERR_OK);
    assert_int_equal(prompts_read(command_corpus(), MANY, 20, 6, &c), ERR_OK);
    int other = 0;
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(a.texts[i], b.texts[i]);
        other += strcmp(a.texts[i], c.texts[i]) != 0;
        for (int k = 0; k < i; k++)
            assert_true(strncmp(a.texts[i], a.texts[k], strcspn(a.texts[i], " ") + 1) != 0);
    }
    assert_true(other > MANY / 2);
    prompts_free(&a);
    prompts_free(&b);
    prompts_free(&c);
    assert_int_equal(prompts_read("/nowhere", 1, 1, 1, &a), ERR_NOTFOUND);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_lies_in_its_interval),
        cmocka_unit_test(one_bad_pair_changes_little),
        cmocka_unit_test(no_figure_is_no_pair),
        cmocka_unit_test(threads_that_ended_count_and_the_taps_do_not),
        cmocka_unit_test(a_reader_stops_as_a_whole),
        cmocka_unit_test(prompts_are_the_same_and_begin_differently),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
