/* The history: mode, what a resume cuts, a step that comes again, a disk that was full. */
#include "trainer/history.h"

#include "base/err.h"
#include "base/fileio.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The columns of an older build, and those behind them. */
#define OLD_HEADER  "step\trows\tseconds\tsae\tflops\tloss\tmse\tfve\tl0\tdead"
#define OLD_A(step) #step "\t" #step "00\t0.500\ta\t1e+12\t2\t1.5\t0.250000\t32.000\t7"
#define OLD_B(step) #step "\t" #step "00\t0.500\tb\t1e+12\t2\t-\t-\t32.000\t7"
#define HEADER      OLD_HEADER "\tlr\tbatch_rows\trate\tlambda\n"
#define A(step)     OLD_A(step) "\t0.002\t512\t0.0005\t-\n"
#define B(step)     OLD_B(step) "\t0.001\t512\t0.0002\t4.5\n"

static char dir[64], path[96];

static struct history *open_at(uint64_t steps)
{
    struct history *h;
    if (history_open(path, steps, &h) != ERR_OK) fail_msg("%s", err_text());
    return h;
}

static void add(struct history *h, uint64_t steps)
{
    struct history_point points[] = {{"a", 1e12, 2, 1.5, 0.25, 32, 7, 2e-3, 512, 5e-4, NAN},
                                     {"b", 1e12, 2, NAN, NAN, 32, 7, 1e-3, 512, 2e-4, 4.5}};
    assert_int_equal(history_add(h, steps, steps * 100, 0.5, points, 2), ERR_OK);
    assert_int_equal(history_steps(h), steps);
}

static void file_is(const char *text)
{
    char *data;
    size_t bytes;
    assert_int_equal(file_read(path, 1 << 20, &data, &bytes), ERR_OK);
    assert_string_equal(data, text);
    free(data);
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void lines_and_mode(void **state)
{
    (void)state;
    struct stat st;
    struct history *h = open_at(0);
    add(h, 1);
    file_is(HEADER A(1) B(1)); /* at once */
    add(h, 12);
    assert_int_equal(history_sync(h), ERR_OK);
    history_close(h);
    file_is(HEADER A(1) B(1) A(12) B(12));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void what_is_not_known_is_a_dash(void **state)
{
    (void)state;
    struct history_point one = {"c", NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    struct history *h = open_at(0);
    assert_int_equal(history_add(h, 3, 300, 0.5, &one, 1), ERR_OK);
    history_close(h);
    file_is(HEADER "3\t300\t0.500\tc\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\n");
}

static void a_step_that_comes_again_replaces_its_lines(void **state)
{
    (void)state;
    struct history *h = open_at(0);
    struct history_point one = {"c", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    add(h, 1);
    add(h, 2);
    assert_int_equal(history_add(h, 2, 200, 0.5, &one, 1), ERR_OK); /* shorter than before */
    file_is(HEADER A(1) B(1) "2\t200\t0.500\tc\t1\t1\t1\t1.000000\t1.000\t1\t1\t1\t1\t1\n");
    add(h, 2);
    add(h, 3);
    history_close(h);
    file_is(HEADER A(1) B(1) A(2) B(2) A(3) B(3));
    h = open_at(3);
    assert_int_equal(history_steps(h), 3);
    add(h, 3);
    history_close(h);
    file_is(HEADER A(1) B(1) A(2) B(2) A(3) B(3));
}

static void a_resume_cuts_what_its_checkpoint_does_not_cover(void **state)
{
    (void)state;
    write_file(HEADER A(1) B(1) A(5) B(5) A(9) B(9));
    history_close(open_at(9));
    file_is(HEADER A(1) B(1) A(5) B(5) A(9) B(9));
    struct history *h = open_at(7); /* between two of them */
    assert_int_equal(history_steps(h), 5);
    add(h, 8);
    history_close(h);
    file_is(HEADER A(1) B(1) A(5) B(5) A(8) B(8));
    h = open_at(0);
    assert_int_equal(history_sync(h), ERR_OK);
    history_close(h);
    file_is(HEADER);
}

static void what_is_torn_or_not_ours_is_cut(void **state)
{
    (void)state;
    static const char *const torn[] = {HEADER A(1) B(1) "5\t500\t0.5", HEADER A(1) B(1) "5",
                                       HEADER A(1) B(1) "x\n" A(5) B(5), HEADER A(1) B(1) "\n"};
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        write_file(torn[i]);
        struct history *h = open_at(6);
        add(h, 6);
        history_close(h);
        file_is(HEADER A(1) B(1) A(6) B(6));
    }
    static const char *const others[] = {"step\trow", "", "something\nelse\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        write_file(others[i]);
        struct history *h = open_at(6);
        add(h, 6);
        history_close(h);
        file_is(HEADER A(6) B(6));
    }
}

static void a_run_of_an_older_build_keeps_its_columns(void **state)
{
    (void)state;
    write_file(OLD_HEADER "\n" OLD_A(1) "\n" OLD_B(1) "\n" OLD_A(5) "\n" OLD_B(5) "\n");
    struct history *h = open_at(3);
    assert_int_equal(history_steps(h), 1);
    add(h, 4);
    history_close(h);
    file_is(OLD_HEADER "\n" OLD_A(1) "\n" OLD_B(1) "\n" OLD_A(4) "\n" OLD_B(4) "\n");
    history_close(open_at(0)); /* begun anew, it has them all */
    h = open_at(0);
    add(h, 1);
    history_close(h);
    file_is(HEADER A(1) B(1));
}

static void a_full_disk_is_told_and_tried_again(void **state)
{
    (void)state;
    struct rlimit before, low;
    struct history *h = open_at(0);
    add(h, 1);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    low = (struct rlimit){strlen(HEADER A(1) B(1)) + 10, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &low);
    add(h, 2);
    add(h, 3);
    assert_int_equal(history_sync(h), ERR_IO); /* of this limit: EFBIG */
    setrlimit(RLIMIT_FSIZE, &before);
    add(h, 3);
    add(h, 4);
    assert_int_equal(history_sync(h), ERR_OK);
    history_close(h);
    file_is(HEADER A(1) B(1) A(2) B(2) A(3) B(3) A(4) B(4));
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sluice-history-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/history.tsv", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_and_mode),
        TEST(what_is_not_known_is_a_dash),
        TEST(a_step_that_comes_again_replaces_its_lines),
        TEST(a_resume_cuts_what_its_checkpoint_does_not_cover),
        TEST(what_is_torn_or_not_ours_is_cut),
        TEST(a_run_of_an_older_build_keeps_its_columns),
        TEST(a_full_disk_is_told_and_tried_again),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
