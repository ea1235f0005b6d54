/* Counts of rows over the lives of a producer: whoever goes back takes up what was counted
 * there. */
#include "capture/tally.h"

#include "base/err.h"
#include "base/fileio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FRAME_ROWS = 16, RUN = 42 };

static char dir[64], path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/sluice-tally-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/capture-0.tally", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

static struct cursor cursor_of(uint64_t number)
{
    return number == 1 ? (struct cursor){0}
                       : (struct cursor){.document = 3 * number, .position = (uint32_t)number};
}

/* What becomes of the i-th row, by a rule: a stretch in the middle is loud. */
static enum filter_verdict verdict_of(uint64_t i)
{
    if (i % 64 == 0) return FILTER_FIRST;
    if (i % 37 == 0) return FILTER_SPECIAL;
    if (i % 501 == 0) return FILTER_NOT_FINITE;
    if (i > 9000 && i < 9800 && i % 2) return FILTER_NORM;
    return FILTER_KEEP;
}

/* A producer that makes frames of 16 kept rows from where it is, and counts. */
struct maker {
    struct tally *tally;
    uint64_t row, number;
    int is_full; /* the disk: no record is taken */
};

static void begin(struct maker *m, uint64_t run)
{
    *m = (struct maker){.number = 1};
    assert_int_equal(tally_open(path, run, &m->tally), ERR_OK);
}

static void make_frames(struct maker *m, uint64_t until)
{
    while (m->number < until) {
        int kept = 0;
        while (kept < FRAME_ROWS) {
            enum filter_verdict verdict = verdict_of(m->row++);
            tally_add(m->tally, verdict);
            kept += verdict == FILTER_KEEP;
        }
        m->number++;
        struct cursor cursor = cursor_of(m->number);
        if (!m->is_full) assert_int_equal(tally_mark(m->tally, m->number, &cursor), ERR_OK);
    }
}

/* Rows before a frame, by walking from the beginning. */
static uint64_t row_of(uint64_t number)
{
    uint64_t row = 0;
    for (uint64_t kept = 0; kept < (number - 1) * FRAME_ROWS;)
        kept += verdict_of(row++) == FILTER_KEEP;
    return row;
}

static void go_to(struct maker *m, uint64_t number)
{
    struct cursor cursor = cursor_of(number);
    tally_seek(m->tally, number, &cursor);
    m->number = number;
    m->row = row_of(number);
}

static void counts_are_those_of(const struct maker *m, uint64_t rows)
{
    struct tally_counts want = {0}, have = *tally_counts(m->tally);
    for (uint64_t i = 0; i < rows; i++) {
        enum filter_verdict v = verdict_of(i);
        want.kept_rows += v == FILTER_KEEP;
        want.special_rows += v == FILTER_SPECIAL;
        want.first_rows += v == FILTER_FIRST;
        want.norm_rows += v == FILTER_NORM;
        want.rejected_rows += v == FILTER_NOT_FINITE;
    }
    assert_memory_equal(&have, &want, sizeof want);
}

static void rows_that_are_made_again_count_once(void **state)
{
    (void)state;
    struct maker m;
    begin(&m, RUN);
    go_to(&m, 1);
    make_frames(&m, 700);
    go_to(&m, 650); /* in the same life: the sink has lost some */
    counts_are_those_of(&m, m.row);
    make_frames(&m, 1500);
    tally_close(m.tally); /* a kill: nothing is said at the end */
    begin(&m, RUN);
    go_to(&m, 1480);
    counts_are_those_of(&m, m.row);
    make_frames(&m, 2500);
    assert_false(tally_is_partial(m.tally));
    counts_are_those_of(&m, m.row);
    go_to(&m, 20); /* long before those whose window is kept */
    counts_are_those_of(&m, m.row);
    go_to(&m, 1);
    counts_are_those_of(&m, 0);
    tally_close(m.tally);
}

/* The loud stretch is judged as if nobody had been killed amid it. */
static void a_window_goes_on_where_it_was(void **state)
{
    (void)state;
    struct maker whole, killed;
    begin(&whole, RUN);
    go_to(&whole, 1);
    make_frames(&whole, 700);
    struct judge_window want = *tally_window(whole.tally);
    tally_close(whole.tally);
    unlink(path);
    begin(&killed, RUN);
    go_to(&killed, 1);
    for (uint64_t at = 100; at <= 700; at += 20) {
        make_frames(&killed, at);
        tally_close(killed.tally);
        begin(&killed, RUN);
        go_to(&killed, at - 7);
    }
    make_frames(&killed, 700);
    assert_memory_equal(tally_window(killed.tally), &want, sizeof want);
    assert_true(want.left_out > 300);
    tally_close(killed.tally);
}

static void other_runs_and_damage_are_not_taken(void **state)
{
    (void)state;
    struct maker m;
    begin(&m, RUN);
    go_to(&m, 1);
    make_frames(&m, 100);
    tally_close(m.tally);
    begin(&m, RUN + 1);
    go_to(&m, 50);
    assert_true(tally_is_partial(m.tally));
    assert_int_equal(tally_counts(m.tally)->kept_rows, 0);
    make_frames(&m, 60);
    go_to(&m, 55); /* nothing was put down that is not the whole */
    assert_true(tally_is_partial(m.tally));
    tally_close(m.tally);
    begin(&m, RUN);
    go_to(&m, 50);
    assert_false(tally_is_partial(m.tally));
    struct cursor other = {.document = 9};
    tally_seek(m.tally, 50, &other);
    assert_true(tally_is_partial(m.tally));
    tally_close(m.tally);
    int fd = open(path, O_WRONLY);
    static const char zeros[4096];
    for (off_t at = 0; at < 3 << 20; at += sizeof zeros) /* all of it, but for the last records */
        if (lseek(fd, 0, SEEK_END) - at > (off_t)sizeof zeros)
            assert_int_equal(pwrite(fd, zeros, sizeof zeros, at), sizeof zeros);
    close(fd);
    begin(&m, RUN);
    go_to(&m, 2);
    assert_true(tally_is_partial(m.tally));
    go_to(&m, 1);
    assert_false(tally_is_partial(m.tally));
    tally_close(m.tally);
}

/* A full disk took no record of 500 to 509, and a kill came then. What is lost are the rows of that
 * gap, however often somebody is killed later. */
static void only_the_gap_is_lost(void **state)
{
    (void)state;
    struct maker m;
    begin(&m, RUN);
    go_to(&m, 1);
    make_frames(&m, 499);
    m.is_full = 1;
    make_frames(&m, 510);
    tally_close(m.tally);
    begin(&m, RUN);
    go_to(&m, 505);
    assert_true(tally_is_partial(m.tally));
    assert_int_equal(tally_counts(m.tally)->kept_rows, 498 * FRAME_ROWS);
    assert_true(tally_window(m.tally)->rows > 0);
    for (uint64_t at = 600; at <= 1200; at += 100) {
        make_frames(&m, at);
        tally_close(m.tally);
        begin(&m, RUN);
        go_to(&m, at - 7);
        assert_true(tally_is_partial(m.tally)); /* it goes on to say so */
        assert_int_equal(tally_counts(m.tally)->kept_rows, (at - 8 - 6) * FRAME_ROWS);
    }
    uint64_t candidates = 0;
    for (uint64_t i = 0; i < row_of(1193); i++)
        candidates += (i < row_of(499) || i >= row_of(505)) && verdict_of(i) != FILTER_FIRST &&
                      verdict_of(i) != FILTER_SPECIAL;
    assert_int_equal(tally_window(m.tally)->rows, candidates);
    tally_close(m.tally);
}

/* Who comes by a frame that was reached before knows all again, and spoils no record of it. */
static void what_is_known_farther_on_is_taken_up(void **state)
{
    (void)state;
    struct maker m;
    begin(&m, RUN);
    go_to(&m, 1);
    make_frames(&m, 300);
    m.is_full = 1;
    make_frames(&m, 310);
    m.is_full = 0;
    make_frames(&m, 400);
    go_to(&m, 305);
    assert_true(tally_is_partial(m.tally));
    make_frames(&m, 312);
    assert_false(tally_is_partial(m.tally));
    counts_are_those_of(&m, m.row);
    make_frames(&m, 400);
    go_to(&m, 350);
    assert_false(tally_is_partial(m.tally));
    counts_are_those_of(&m, m.row);
    tally_close(m.tally);
}

static void no_link_is_followed(void **state)
{
    (void)state;
    struct tally *t;
    struct cursor cursor = cursor_of(2);
    char other[96], *text;
    size_t bytes;
    snprintf(other, sizeof other, "%s/other", dir);
    assert_int_equal(file_replace(other, "mine", 4), ERR_OK);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(tally_open(path, RUN, &t), ERR_OK);
    tally_add(t, FILTER_KEEP);
    assert_int_equal(tally_mark(t, 2, &cursor), ERR_IO);
    tally_close(t);
    assert_int_equal(file_read(other, 64, &text, &bytes), ERR_OK);
    assert_int_equal(bytes, 4);
    free(text);
}

static void a_disk_that_takes_nothing_is_told(void **state)
{
    (void)state;
    struct tally *t;
    struct cursor cursor = cursor_of(2);
    assert_int_equal(tally_open("/dev/full", RUN, &t), ERR_OK);
    tally_add(t, FILTER_KEEP);
    assert_int_equal(tally_mark(t, 2, &cursor), ERR_NOSPC);
    assert_non_null(strstr(err_text(), "/dev/full"));
    assert_int_equal(tally_counts(t)->kept_rows, 1);
    tally_close(t);
}

int main(void)
{
#define TALLY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TALLY(rows_that_are_made_again_count_once),  TALLY(a_window_goes_on_where_it_was),
        TALLY(other_runs_and_damage_are_not_taken),  TALLY(only_the_gap_is_lost),
        TALLY(what_is_known_farther_on_is_taken_up), TALLY(no_link_is_followed),
        TALLY(a_disk_that_takes_nothing_is_told),
    };
    return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
