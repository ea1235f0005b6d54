/* The wish that a live run ends, and what its trainers answer: written, read, refused, added up. */
#include "runtime/finish.h"

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

#include <cmocka.h>

static char dir[64];
static struct config *config;

static int set_up(void **state)
{
    (void)state;
    char text[256], path[96];
    snprintf(dir, sizeof dir, "/tmp/sluice-finish-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(
        text, sizeof text,
        "stream: {name: t, run_dir: %s}\ntrainer: {consumers: [a, b], saes: [{arch: count}]}\n",
        dir);
    snprintf(path, sizeof path, "%s/a", dir);
    if (mkdir(path, 0700) != 0) return -1;
    snprintf(path, sizeof path, "%s/b", dir);
    if (mkdir(path, 0700) != 0) return -1;
    return config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    config_free(config);
    return dir_remove(dir) == ERR_OK ? 0 : -1;
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(file_replace(path, text, strlen(text)), ERR_OK);
}

static void a_wish_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct finish_wish wish;
    assert_int_equal(finish_asked(config, &wish), ERR_NOTFOUND);
    for (int at_once = 0; at_once < 2; at_once++) {
        struct finish_wish mine = {.asked_seconds = 1795875031, .at_once = at_once};
        assert_int_equal(finish_ask(config, &mine), ERR_OK);
        assert_int_equal(finish_asked(config, &wish), ERR_OK);
        assert_int_equal(wish.asked_seconds, 1795875031);
        assert_int_equal(wish.at_once, at_once);
    }
}

static void an_answer_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct finish_answer mine = {UINT64_C(1) << 60, (UINT64_C(1) << 60) + 1, 1.0 / 3, 1}, read;
    assert_int_equal(finish_answer_read(config, "a", &read), ERR_NOTFOUND);
    assert_int_equal(finish_answer_write(config, "a", &mine), ERR_OK);
    assert_int_equal(finish_answer_read(config, "a", &read), ERR_OK);
    assert_true(read.from_rows == mine.from_rows && read.end_rows == mine.end_rows);
    assert_true(read.left == mine.left && read.has_enough == 1);
    assert_int_equal(finish_answer_read(config, "b", &read), ERR_NOTFOUND);
}

static void what_nobody_writes_is_refused(void **state)
{
    static const char *const answers[] = {
        "",
        "[]",
        "{\"from_rows\": 1}",
        "{\"from_rows\": -1, \"end_rows\": 5, \"left\": 1.0, \"has_enough\": true}",
        "{\"from_rows\": 6, \"end_rows\": 5, \"left\": 1.0, \"has_enough\": true}",
        "{\"from_rows\": 1, \"end_rows\": 5, \"left\": 2.0, \"has_enough\": true}",
        "{\"from_rows\": 1, \"end_rows\": 5, \"left\": 1.0, \"has_enough\": 1}",
    };
    (void)state;
    struct finish_answer answer;
    struct finish_wish wish;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        put("a/finish.json", answers[i]);
        assert_int_equal(finish_answer_read(config, "a", &answer), ERR_FORMAT);
        assert_non_null(strstr(err_text(), "a/finish.json does not say"));
        put("finish.json", answers[i]);
        assert_int_equal(finish_asked(config, &wish), ERR_FORMAT);
        assert_non_null(strstr(err_text(), "HINT: remove it"));
    }
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    char path[128], to[128];
    struct finish_wish wish;
    put("other", "{\"asked_seconds\": 1, \"at_once\": true}");
    snprintf(path, sizeof path, "%s/finish.json", dir);
    snprintf(to, sizeof to, "%s/other", dir);
    assert_int_equal(symlink(to, path), 0);
    assert_int_equal(finish_asked(config, &wish), ERR_USAGE);
}

static void answers(const char *consumer, int has_enough)
{
    struct finish_answer answer = {1, 2, 1, has_enough};
    assert_int_equal(finish_answer_write(config, consumer, &answer), ERR_OK);
}

static enum finish_need need(void)
{
    uint64_t heard;
    return finish_need(config, &heard);
}

/* One that needs rows keeps all captures at work, one that is silent those that wait for it. */
static void the_neediest_consumer_counts(void **state)
{
    (void)state;
    assert_int_equal(need(), FINISH_SILENT);
    answers("a", 1);
    assert_int_equal(need(), FINISH_SILENT);
    answers("a", 0);
    assert_int_equal(need(), FINISH_NEEDS_ROWS);
    answers("b", 1);
    assert_int_equal(need(), FINISH_NEEDS_ROWS);
    answers("a", 1);
    assert_int_equal(need(), FINISH_NEEDS_NONE);
    answers("a", 0);
    put("a/summary.json", "{}");
    assert_int_equal(need(), FINISH_NEEDS_NONE);
}

/* An answer as old as that. */
static void is_of(const char *consumer, time_t seconds)
{
    char path[128];
    struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    snprintf(path, sizeof path, "%s/%s/finish.json", dir, consumer);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void only_who_needs_rows_and_lives_is_heard(void **state)
{
    (void)state;
    uint64_t first, second;
    answers("a", 0);
    answers("b", 0);
    is_of("a", 1000);
    is_of("b", 5000000000); /* its host's clock is ahead */
    finish_need(config, &first);
    finish_need(config, &second);
    assert_true(first == second);
    finish_answer_renew(config, "a");
    finish_need(config, &second);
    assert_true(first != second);
    answers("a", 1);
    finish_need(config, &first);
    finish_answer_renew(config, "a");
    finish_need(config, &second);
    assert_true(first == second);
    assert_int_equal(need(), FINISH_NEEDS_ROWS);
}

static void who_has_not_answered_renews_nothing(void **state)
{
    (void)state;
    struct finish_answer answer;
    finish_answer_renew(config, "a");
    assert_int_equal(finish_answer_read(config, "a", &answer), ERR_NOTFOUND);
}

#define IN_A_RUN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        IN_A_RUN(a_wish_is_read_as_it_was_written),
        IN_A_RUN(an_answer_is_read_as_it_was_written),
        IN_A_RUN(what_nobody_writes_is_refused),
        IN_A_RUN(a_link_is_not_followed),
        IN_A_RUN(the_neediest_consumer_counts),
        IN_A_RUN(only_who_needs_rows_and_lives_is_heard),
        IN_A_RUN(who_has_not_answered_renews_nothing),
    };
    return cmocka_run_group_tests_name("finish", tests, NULL, NULL);
}
