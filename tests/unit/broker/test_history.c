/* What happened: at three resolutions, in a file that a killed broker goes on with, and when asked. */
#include "base/err.h"
#include "base/fileio.h"
#include "broker/curves.h"
#include "broker/history.h"
#include "broker/history_file.h"
#include "broker/history_query.h"
#include "runtime/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t second = 1000000000;
static const uint64_t start = 1800000000; /* a multiple of 300 */
static char folder[64], path[80];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sluice-history-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/history", folder);
    log_open("test", LOG_ERROR);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(folder);
}

static struct history *opened(const char *file)
{
    struct history *h;
    assert_int_equal(history_open(file, "s", &h), ERR_OK);
    return h;
}

/* The value i of series "a" in each second i of [from, to). */
static void feed(struct history *h, uint64_t from, uint64_t to)
{
    for (uint64_t t = from; t < to; t++) {
        history_set(h, "a", (double)(t - start), t * second);
        history_tick(h, t, t * second);
    }
}

static double at(const struct history *h, int resolution, uint64_t from, uint64_t to)
{
    return history_mean(h, (uint32_t)history_find(h, "a"), resolution, from, to);
}

/* cmocka takes NaN for near to everything. */
static void near(double x, double y, int line)
{
    if (!(fabs(x - y) <= 1e-3 * fabs(y) + 1e-6)) fail_msg("line %d: %g, not %g", line, x, y);
}
#define NEAR(x, y) near(x, y, __LINE__)

static void three_resolutions(void **state)
{
    (void)state;
    struct history *h = opened(NULL);
    feed(h, start, start + 4000);
    NEAR(at(h, 0, start + 3999, start + 4000), 3999);
    NEAR(at(h, 0, start + 400, start + 401), 400);
    assert_true(isnan(at(h, 0, start + 399, start + 400))); /* an hour ago */
    NEAR(at(h, 0, start + 3500, start + 3700), 3599.5);     /* where records begin anew */
    NEAR(at(h, 1, start, start + 10), 4.5);
    NEAR(at(h, 1, start + 3990, start + 4000), 3994.5);
    NEAR(at(h, 2, start + 300, start + 600), 449.5);
    NEAR(at(h, 2, start + 3900, start + 4200), 3949.5); /* what there is of it so far */
    assert_true(isnan(at(h, 2, start + 4200, start + 4500)));
    history_close(h);
}

/* Seconds without a value are no values; one that the clock went over is none of them. */
static void gaps_stay_gaps(void **state)
{
    (void)state;
    struct history *h = opened(NULL);
    feed(h, start, start + 20);
    feed(h, start + 21, start + 30);
    feed(h, start + 60, start + 65);
    NEAR(at(h, 0, start + 20, start + 21), 21); /* a timer was late */
    assert_true(isnan(at(h, 0, start + 40, start + 41)));
    assert_true(isnan(at(h, 1, start + 30, start + 60)));
    NEAR(at(h, 1, start + 60, start + 70), 62);
    for (uint64_t t = start + 65; t < start + 75; t++) history_tick(h, t, t * second);
    NEAR(at(h, 0, start + 64 + HISTORY_HOLDS_SECONDS, start + 65 + HISTORY_HOLDS_SECONDS), 64);
    assert_true(isnan(at(h, 0, start + 65 + HISTORY_HOLDS_SECONDS, start + 75)));
    history_set(h, "a", NAN, (start + 75) * second);
    history_tick(h, start + 75, (start + 75) * second);
    assert_true(isnan(at(h, 0, start + 75, start + 76)));
    history_close(h);
}

static void a_clock_that_is_set(void **state)
{
    (void)state;
    struct history *h = opened(NULL);
    feed(h, start + 7200, start + 7300);
    feed(h, start + 1000, start + 1100); /* back by two hours */
    NEAR(at(h, 0, start + 1050, start + 1051), 1050);
    assert_true(isnan(at(h, 0, start + 999, start + 1000)));
    assert_true(isnan(at(h, 0, start + 3600 + 1050, start + 3600 + 1051)));
    feed(h, start + 100000000, start + 100000010); /* three years on */
    NEAR(at(h, 0, start + 100000005, start + 100000006), 100000005);
    feed(h, start + 1100, start + 1110); /* and back */
    NEAR(at(h, 0, start + 1050, start + 1051), 1050);
    history_close(h);
}

static void a_killed_broker_goes_on(void **state)
{
    (void)state;
    struct stat st;
    struct history *h = opened(path);
    feed(h, start, start + 100);
    lives_note(history_lives(h), "sink", 5);
    lives_note(history_lives(h), "sink", 6);
    history_keep_lives(h);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    char command[200]; /* as it lies there while the broker lives, and so when it is killed */
    snprintf(command, sizeof command, "cp %s %s.copy", path, path);
    assert_int_equal(system(command), 0);
    history_close(h);
    snprintf(command, sizeof command, "%s.copy", path);
    h = opened(command);
    feed(h, start + 110, start + 120);
    NEAR(at(h, 0, start + 99, start + 100), 99);
    NEAR(at(h, 1, start + 50, start + 60), 54.5);
    assert_true(isnan(at(h, 0, start + 100, start + 110)));
    NEAR(at(h, 2, start, start + 300), (49.5 * 10 + 114.5) / 11);
    assert_int_equal(history_lives(h)->life[0].restarts, 1);
    assert_int_equal(history_count(h), 1);
    history_close(h);
}

static void series_are_bounded(void **state)
{
    (void)state;
    struct history *h = opened(path);
    char name[64];
    struct stat st;
    for (int i = 0; i < HISTORY_FILE_SERIES + 10; i++) {
        snprintf(name, sizeof name, "sae/main/s-%d/loss", i);
        history_set(h, name, i, start * second);
        history_set(h, name, i, start * second);
    }
    history_tick(h, start, start * second);
    history_tick(h, start + 3000000, start * second);
    history_set(h, "never", NAN, start * second); /* of what has no value no series begins */
    assert_int_equal(history_count(h), HISTORY_FILE_SERIES);
    assert_int_equal(history_left_out(h), 10);
    assert_int_equal(history_find(h, name), -1);
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 1, 32 << 20);
    history_close(h);
    h = opened(path);
    assert_int_equal(history_count(h), HISTORY_FILE_SERIES);
    int last = history_find(h, "sae/main/s-371/loss");
    assert_int_equal(last, HISTORY_FILE_SERIES - 1);
    NEAR(history_mean(h, (uint32_t)last, 0, start, start + 1), 371);
    history_close(h);
}

/* After a month without a value a series makes room, in another life, and leaves nothing behind. */
static void old_series_make_room(void **state)
{
    (void)state;
    struct history *h = opened(path);
    char name[64];
    for (int i = 0; i < HISTORY_FILE_SERIES; i++) {
        snprintf(name, sizeof name, "sae/main/s-%d/loss", i);
        history_set(h, name, i, start * second);
    }
    history_tick(h, start, start * second);
    history_close(h);
    h = opened(path);
    uint64_t later = start + 20 * 86400;
    history_tick(h, later, later * second);
    history_set(h, "a", 5, later * second);
    assert_int_equal(history_find(h, "a"), -1); /* the month is not over */
    later = start + 40 * 86400;
    history_tick(h, later, later * second);
    history_set(h, "a", 5, later * second);
    assert_int_equal(history_find(h, "a"), 0);
    history_tick(h, later + 1, later * second);
    NEAR(at(h, 0, later + 1, later + 2), 5);
    assert_true(isnan(at(h, 2, later - 30 * 86400, later - 300)));
    history_close(h);
    h = opened(path);
    assert_int_equal(history_find(h, "a"), 0);
    assert_int_equal(history_find(h, "sae/main/s-0/loss"), -1);
    history_close(h);
}

static void names_are_checked(void **state)
{
    (void)state;
    struct history *h = opened(NULL);
    char name[HISTORY_FILE_NAME_BYTES + 1];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    history_set(h, name, 1, second);
    history_set(h, "a\"b", 1, second);
    history_set(h, "a,b", 1, second);
    history_set(h, "", 1, second);
    history_set(h, "\xc3\xa4", 1, second);
    assert_int_equal(history_count(h), 0);
    history_set(h, name + 1, 1, second);
    assert_int_equal(history_count(h), 1);
    history_close(h);
}

static void change(off_t offset, const char *bytes, size_t count)
{
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, bytes, count, offset), count);
    close(fd);
}

static int is_set_aside(void)
{
    char aside[128];
    snprintf(aside, sizeof aside, "%s.damaged", path);
    int there = access(aside, F_OK) == 0;
    unlink(aside);
    return there;
}

static void make_file(void)
{
    unlink(path);
    struct history *h = opened(path);
    history_set(h, "b", 1, second);
    feed(h, start, start + 5);
    lives_note(history_lives(h), "sink", 5);
    history_keep_lives(h);
    history_close(h);
}

/* Whatever the file holds, the broker starts; what is no history of this stream is set aside. */
static void damaged_files_are_set_aside(void **state)
{
    (void)state;
    static const struct {
        off_t at;
        const char *bytes;
    } damage[] = {{0, "X"},    {8, "\7"},    {20, "\7"},  {40, "x"},    {100, "x"},
                  {4096, "c"}, {4255, "\7"}, {4256, "b"}, {65536, "/"}, {86016, "\7"}};
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        make_file();
        change(damage[i].at, damage[i].bytes, strlen(damage[i].bytes));
        struct history *h = opened(path);
        if (history_count(h) != 0 || !is_set_aside()) fail_msg("damage at %ld", (long)damage[i].at);
        feed(h, start, start + 5);
        NEAR(at(h, 0, start + 4, start + 5), 4);
        history_close(h);
        h = opened(path);
        assert_int_equal(history_count(h), 1);
        history_close(h);
        assert_false(is_set_aside());
    }
    make_file();
    assert_int_equal(truncate(path, (32 << 20) + 1), 0);
    history_close(opened(path));
    assert_true(is_set_aside());
    struct history *h;
    assert_int_equal(history_open(path, "another", &h), ERR_OK);
    history_close(h);
    assert_true(is_set_aside());
}

/* A file that ends early is one of a disk that was full. */
static void a_file_that_was_cut(void **state)
{
    (void)state;
    make_file();
    assert_int_equal(truncate(path, HISTORY_FILE_GRIDS_AT + 100), 0);
    struct history *h = opened(path);
    assert_int_equal(history_count(h), 2);
    assert_true(isnan(at(h, 0, start + 4, start + 5)));
    history_close(h);
    assert_false(is_set_aside());
}

static void no_link_is_followed(void **state)
{
    (void)state;
    char other[100];
    snprintf(other, sizeof other, "%s/other", folder);
    make_file();
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    struct history *h = opened(path);
    assert_int_equal(history_count(h), 0);
    feed(h, start, start + 3);
    NEAR(at(h, 0, start + 2, start + 3), 2); /* in memory */
    history_close(h);
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void one_broker_writes(void **state)
{
    (void)state;
    struct history *first = opened(path);
    feed(first, start, start + 5);
    struct history *second_one = opened(path);
    assert_int_equal(history_count(second_one), 0);
    feed(second_one, start, start + 3);
    NEAR(at(second_one, 0, start + 2, start + 3), 2);
    history_set(second_one, "another", 1, start * second);
    history_close(second_one);
    history_close(first);
    first = opened(path);
    NEAR(at(first, 0, start + 4, start + 5), 4);
    assert_int_equal(history_count(first), 1);
    history_close(first);
}

static off_t file_bytes(void)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* Where the file cannot grow the history goes on, and is whole in the file when it can again. That is
 * tried once a minute and not each second. */
static void a_disk_that_is_full(void **state)
{
    (void)state;
    struct rlimit full, were;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &were);
    full = were;
    full.rlim_cur = 8192;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    struct history *h = opened(path);
    feed(h, start, start + 50);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &were), 0);
    NEAR(at(h, 0, start + 20, start + 21), 20);
    feed(h, start + 50, start + 55);
    assert_in_range(file_bytes(), 0, 8192);
    feed(h, start + 55, start + 120);
    assert_in_range(file_bytes(), HISTORY_FILE_GRIDS_AT, HISTORY_FILE_MOST_BYTES);
    history_close(h);
    h = opened(path);
    NEAR(at(h, 0, start + 20, start + 21), 20);
    NEAR(at(h, 1, start + 10, start + 20), 14.5);
    NEAR(at(h, 0, start + 119, start + 120), 119);
    history_close(h);
}

/* A file that could not be opened is opened later; it keeps what it held. */
static void a_lock_that_is_let_go(void **state)
{
    (void)state;
    struct history *dying = opened(path);
    history_set(dying, "b", 5, start * second);
    feed(dying, start, start + 5);
    lives_note(history_lives(dying), "sink", 5);
    lives_note(history_lives(dying), "sink", 6);
    history_keep_lives(dying);
    struct history *h = opened(path);
    feed(h, start + 10, start + 20);
    lives_note(history_lives(h), "sink", 6);
    lives_note(history_lives(h), "sink", 7);
    assert_int_equal(history_count(h), 1);
    history_close(dying);
    feed(h, start + 20, start + 40);
    assert_int_equal(history_count(h), 1); /* the minute is not over */
    feed(h, start + 40, start + 100);
    assert_int_equal(history_count(h), 2);
    history_close(h);
    h = opened(path);
    assert_false(is_set_aside());
    assert_int_equal(history_count(h), 2);
    NEAR(history_mean(h, (uint32_t)history_find(h, "b"), 0, start + 1, start + 2), 5);
    NEAR(at(h, 0, start + 4, start + 5), 4);
    assert_true(isnan(at(h, 0, start + 5, start + 10)));
    NEAR(at(h, 0, start + 12, start + 13), 12);
    NEAR(at(h, 1, start + 10, start + 20), 14.5);
    NEAR(at(h, 0, start + 99, start + 100), 99);
    assert_int_equal(history_lives(h)->life[0].restarts, 2);
    history_close(h);
}

/* ---- questions ---- */

static json_t *asked(const struct history *h, const char *series, const char *from, const char *to,
                     const char *points, uint64_t now)
{
    struct history_query q;
    char *text;
    size_t bytes;
    if (history_query_parse(h, series, from, to, points, now, &q) != ERR_OK) return NULL;
    FILE *out = open_memstream(&text, &bytes);
    history_query_write(h, &q, out);
    fclose(out);
    json_t *json = json_loadb(text, bytes, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static const json_t *points_of(const json_t *answer, const char *name)
{
    return json_object_get(json_object_get(answer, "series"), name);
}

static json_int_t number(const json_t *answer, const char *key)
{
    return json_integer_value(json_object_get(answer, key));
}

static void answers_are_means_on_a_grid(void **state)
{
    (void)state;
    struct history *h = opened(NULL);
    history_set(h, "b", 7, start * second);
    feed(h, start, start + 2000);
    char from[32];
    snprintf(from, sizeof from, "%llu", (unsigned long long)start + 1003);
    json_t *answer = asked(h, "a", from, NULL, "10", start + 2000);
    assert_int_equal(number(answer, "step_seconds") % 1, 0);
    uint64_t t = (uint64_t)number(answer, "from"), step = (uint64_t)number(answer, "step_seconds");
    assert_int_equal(t % step, 0);
    assert_true(t <= start + 1003 && t + step > start + 1003);
    const json_t *list = points_of(answer, "a");
    assert_in_range(json_array_size(list), 5, 10);
    assert_true(t + step * json_array_size(list) >= start + 2000);
    NEAR(json_number_value(json_array_get(list, 2)),
         (double)(t + 2 * step - start) + (double)(step - 1) / 2);
    json_decref(answer);
    /* a later question has its points at the same places */
    answer = asked(h, "a", "-997", NULL, "10", start + 2003);
    assert_int_equal(number(answer, "from") % number(answer, "step_seconds"), 0);
    json_decref(answer);
    answer = asked(h, "b,a", "-100", "-50", NULL, start + 2000);
    assert_int_equal(number(answer, "step_seconds"), 1);
    assert_int_equal(json_array_size(points_of(answer, "a")), 50);
    assert_true(json_is_null(json_array_get(points_of(answer, "b"), 0)));
    json_decref(answer);
    answer = asked(h, NULL, NULL, NULL, NULL, start + 2000); /* all of the last hour */
    assert_int_equal(json_object_size(json_object_get(answer, "series")), 2);
    assert_in_range(json_array_size(points_of(answer, "a")), 300, 600);
    json_decref(answer);
    history_close(h);
}

/* Whatever is asked, the answer is within its bounds and covers what was asked for. */
static void answers_are_bounded(void **state)
{
    (void)state;
    struct history *h = opened(NULL);
    static const char *const froms[] = {"-1",          "-61",    "-3599",     "-3600",
                                        "-3601",       "-86400", "-86401",    "-2678400",
                                        "-4294967295", "0",      "1799999999"};
    static const char *const points[] = {"1", "2", "7", "600", "1999", "2000"};
    feed(h, start, start + 100);
    for (size_t f = 0; f < sizeof froms / sizeof *froms; f++)
        for (size_t p = 0; p < sizeof points / sizeof *points; p++) {
            uint64_t now = start + 77;
            json_t *answer = asked(h, "a", froms[f], NULL, points[p], now);
            assert_non_null(answer);
            size_t n = json_array_size(points_of(answer, "a"));
            uint64_t t = (uint64_t)number(answer, "from");
            assert_in_range(n, 1, (size_t)atoi(points[p]));
            assert_true(t + n * (uint64_t)number(answer, "step_seconds") >= now);
            json_decref(answer);
        }
    history_close(h);
}

static void questions_are_checked(void **state)
{
    (void)state;
    static const char *const bad[][4] = {
        {"nope", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
        {"a,", NULL, NULL, NULL},
        {",a", NULL, NULL, NULL},
        {"a,a", NULL, NULL, NULL},
        {"a b", NULL, NULL, NULL},
        {NULL, "", NULL, NULL},
        {NULL, "x", NULL, NULL},
        {NULL, "1e3", NULL, NULL},
        {NULL, " 5", NULL, NULL},
        {NULL, "+5", NULL, NULL},
        {NULL, "--5", NULL, NULL},
        {NULL, "-", NULL, NULL},
        {NULL, "4294967296", NULL, NULL},
        {NULL, "99999999999999999999999999", NULL, NULL},
        {NULL, "5", "5", NULL},
        {NULL, "6", "5", NULL},
        {NULL, NULL, "5.5", NULL},
        {NULL, NULL, NULL, "0"},
        {NULL, NULL, NULL, "-1"},
        {NULL, NULL, NULL, "2001"},
        {NULL, NULL, NULL, "ten"},
    };
    struct history *h = opened(NULL);
    struct history_query q;
    feed(h, start, start + 5);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int result =
            history_query_parse(h, bad[i][0], bad[i][1], bad[i][2], bad[i][3], start + 5, &q);
        if (result != ERR_USAGE || !err_text()[0]) fail_msg("question %zu is taken", i);
    }
    char *much = malloc(HISTORY_QUERY_TEXT_BYTES + 1);
    memset(much, 'a', HISTORY_QUERY_TEXT_BYTES);
    much[HISTORY_QUERY_TEXT_BYTES] = '\0';
    assert_int_equal(history_query_parse(h, much, NULL, NULL, NULL, start, &q), ERR_USAGE);
    free(much);
    char name[32];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "s-%d", i);
        history_set(h, name, 1, second);
    }
    assert_int_equal(history_query_parse(h, NULL, NULL, NULL, "2000", start, &q), ERR_USAGE);
    assert_non_null(strstr(err_text(), "HINT"));
    json_t *answer = asked(h, NULL, NULL, NULL, NULL, start + 5); /* as many as are allowed */
    size_t n = json_array_size(points_of(answer, "a"));
    assert_in_range(n * 201, 1, HISTORY_QUERY_MOST_VALUES);
    json_decref(answer);
    history_close(h);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void tell_report(struct history *h, enum process_kind kind, const char *name,
                        const char *text)
{
    json_t *report = json_loads(text, 0, NULL);
    struct status_news news = {.name = name, .kind = (int)kind, .report = report, .seconds = 1};
    assert_non_null(report);
    curves_of_report(h, &news, start * second);
    json_decref(report);
}

/* As many captures as there may be, all of them heard of before the trainer. */
static void captures_leave_room_for_autoencoders(void **state)
{
    (void)state;
    struct history *h = opened(NULL);
    char name[64], text[4096] = "{\"sluice_trainer_features\": {", losses[2048] = "";
    struct overview o;
    for (int i = 0; i < OVERVIEW_IDS; i++) o.value[i] = 1;
    curves_of_overview(h, &o, start * second);
    for (int i = 0; i < 256; i++) {
        snprintf(name, sizeof name, "capture-%d", i);
        tell_report(h, PROCESS_CAPTURE, name, "{\"sluice_process_memory_bytes\": 1}");
    }
    for (int i = 0; i < CONFIG_MAX_SAES; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"%d\": 8", i ? "," : "", i);
        snprintf(losses + strlen(losses), sizeof losses - strlen(losses), "%s\"%d\": 1",
                 i ? "," : "", i);
    }
    char report[16384];
    snprintf(report, sizeof report,
             "%s}, \"sluice_trainer_loss\": {%s}, \"sluice_trainer_fve_ratio\": {%s},"
             " \"sluice_trainer_l0\": {%s}, \"sluice_trainer_dead_features\": {%s}}",
             text, losses, losses, losses, losses);
    tell_report(h, PROCESS_TRAINER, "trainer-main", report);
    assert_int_equal(history_left_out(h), 0);
    assert_true(history_find(h, "sae/main/63/dead_ratio") >= 0);
    assert_true(history_find(h, "process/capture-0/memory_bytes") >= 0);
    history_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(three_resolutions),
        TEST(gaps_stay_gaps),
        TEST(a_clock_that_is_set),
        TEST(a_killed_broker_goes_on),
        TEST(series_are_bounded),
        TEST(old_series_make_room),
        TEST(names_are_checked),
        TEST(damaged_files_are_set_aside),
        TEST(a_file_that_was_cut),
        TEST(no_link_is_followed),
        TEST(one_broker_writes),
        TEST(a_disk_that_is_full),
        TEST(a_lock_that_is_let_go),
        TEST(answers_are_means_on_a_grid),
        TEST(answers_are_bounded),
        TEST(questions_are_checked),
        TEST(captures_leave_room_for_autoencoders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
