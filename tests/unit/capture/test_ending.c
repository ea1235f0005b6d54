/* When a capture ends its share because a live run is to finish. */
#include "capture/ending.h"

#include "base/err.h"
#include "base/fileio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SECONDS UINT64_C(1000000000)

static char dir[64];
static struct config *config;

static int set_up(void **state)
{
    (void)state;
    char text[256], path[96];
    snprintf(dir, sizeof dir, "/tmp/sluice-ending-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(text, sizeof text,
             "stream: {name: t, run_dir: %s}\ntrainer: {saes: [{arch: count}]}\n", dir);
    snprintf(path, sizeof path, "%s/main", dir);
    if (mkdir(path, 0700) != 0) return -1;
    return config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    config_free(config);
    return dir_remove(dir) == ERR_OK ? 0 : -1;
}

static void ask(int at_once)
{
    struct finish_wish wish = {.asked_seconds = 1, .at_once = at_once};
    assert_int_equal(finish_ask(config, &wish), ERR_OK);
}

static void answer(int has_enough)
{
    struct finish_answer a = {1, 2, 1, has_enough};
    assert_int_equal(finish_answer_write(config, "main", &a), ERR_OK);
}

/* What the trainer does once a second: its answer is of another time then. */
static void renew(void)
{
    char path[96];
    static time_t seconds;
    struct timespec times[2] = {{++seconds, 0}, {seconds, 0}};
    snprintf(path, sizeof path, "%s/main/finish.json", dir);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Once a second, as captures look: not due in all that time. */
static void goes_on(struct ending *e, uint64_t from, uint64_t to)
{
    for (uint64_t s = from; s <= to; s++) assert_false(ending_is_due(e, config, s * SECONDS));
}

static void it_goes_on_until_trainers_have_enough(void **state)
{
    (void)state;
    struct ending e = {0};
    answer(1); /* of another time: nobody asks now */
    assert_false(ending_is_due(&e, config, 1 * SECONDS));
    answer(0);
    ask(0);
    for (uint64_t s = 2; s < 200; s += 20) {
        renew();
        goes_on(&e, s, s + 19);
    }
    answer(1);
    assert_true(ending_is_due(&e, config, 201 * SECONDS));
    answer(0);
    assert_true(ending_is_due(&e, config, 202 * SECONDS)); /* and stays so */
}

static void who_answered_and_is_gone_is_waited_for_half_a_minute(void **state)
{
    (void)state;
    struct ending e = {0};
    answer(0);
    ask(0);
    goes_on(&e, 100, 119);
    renew();
    goes_on(&e, 120, 149);
    assert_true(ending_is_due(&e, config, 150 * SECONDS));
}

static void who_is_silent_is_waited_for_half_a_minute(void **state)
{
    (void)state;
    struct ending e = {0};
    ask(0);
    goes_on(&e, 100, 129);
    assert_true(ending_is_due(&e, config, 130 * SECONDS));
}

/* A host that slept: the capture may look before the trainers have. */
static void a_pause_of_all_is_nobodys_silence(void **state)
{
    (void)state;
    for (int answers = 0; answers < 2; answers++) {
        struct ending e = {0};
        if (answers) answer(0);
        ask(0);
        goes_on(&e, 100, 110);
        goes_on(&e, 400, 418);
        assert_true(ending_is_due(&e, config, 420 * SECONDS));
    }
}

static void at_once_waits_for_nobody(void **state)
{
    (void)state;
    struct ending e = {0};
    answer(0);
    ask(0);
    assert_false(ending_is_due(&e, config, 1 * SECONDS));
    ask(1);
    assert_true(ending_is_due(&e, config, 2 * SECONDS));
}

static void a_file_of_others_ends_nothing(void **state)
{
    (void)state;
    struct ending e = {0};
    char path[96];
    snprintf(path, sizeof path, "%s/finish.json", dir);
    assert_int_equal(file_replace(path, "{}", 2), ERR_OK);
    assert_false(ending_is_due(&e, config, 1 * SECONDS));
    assert_true(e.told);
}

#define IN_A_RUN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        IN_A_RUN(it_goes_on_until_trainers_have_enough),
        IN_A_RUN(who_answered_and_is_gone_is_waited_for_half_a_minute),
        IN_A_RUN(who_is_silent_is_waited_for_half_a_minute),
        IN_A_RUN(a_pause_of_all_is_nobodys_silence),
        IN_A_RUN(at_once_waits_for_nobody),
        IN_A_RUN(a_file_of_others_ends_nothing),
    };
    return cmocka_run_group_tests_name("ending", tests, NULL, NULL);
}
