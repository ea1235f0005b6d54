/* What a capture tells of its rows: its own run's, over its lives, and nothing of another. */
#include "capture/teller.h"

#include "base/err.h"
#include "base/fileio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RUN = 42, OTHER_RUN = 43, EXPIRED_ROWS = 11, SHED_ROWS = 5 };

static char dir[64];
static struct config *config;
static struct room room;

static int set_up(void **state)
{
    (void)state;
    char text[160];
    snprintf(dir, sizeof dir, "/tmp/sluice-teller-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(text, sizeof text, "stream: {name: t, run_dir: %s}\n", dir);
    room_init(&room);
    return config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    room_fini(&room);
    config_free(config);
    return dir_remove(dir) == ERR_OK ? 0 : -1;
}

/* One life, from frame 1: what it says before it has told anything, with what it sheds itself. */
static struct left_out live(uint64_t run)
{
    static const struct cursor beginning;
    struct teller *t;
    assert_int_equal(teller_new(config, 0, &room, &t), ERR_OK);
    assert_int_equal(teller_seek(t, run, 1, &beginning), ERR_OK);
    teller_gap(t);
    assert_int_equal(teller_row(t, FILTER_KEEP), ERR_OK);
    teller_mark(t, 2, &beginning);
    teller_tell(t, SHED_ROWS, EXPIRED_ROWS, 1);
    struct left_out l = teller_left_out(t);
    teller_free(t);
    return l;
}

static void another_run_begins_from_nothing(void **state)
{
    (void)state;
    struct left_out l = live(RUN), kept;
    assert_int_equal(l.shed_rows, SHED_ROWS);
    l = live(RUN);
    assert_int_equal(l.shed_rows, 2 * SHED_ROWS);
    assert_int_equal(l.expired_rows, 2 * EXPIRED_ROWS);
    assert_int_equal(l.gaps, 2);
    l = live(OTHER_RUN);
    assert_int_equal(l.shed_rows, SHED_ROWS);
    assert_int_equal(l.expired_rows, EXPIRED_ROWS);
    assert_int_equal(l.gaps, 1);
    assert_int_equal(left_out_read(config, 0, &kept), ERR_OK);
    assert_int_equal(kept.run, OTHER_RUN);
}

/* In one life of the process: the sink has another buffer. */
static void another_run_may_come_in_one_life(void **state)
{
    (void)state;
    static const struct cursor beginning;
    struct teller *t;
    assert_int_equal(teller_new(config, 0, &room, &t), ERR_OK);
    for (uint64_t run = RUN; run <= OTHER_RUN; run++) {
        assert_int_equal(teller_seek(t, run, 1, &beginning), ERR_OK);
        teller_gap(t);
        assert_int_equal(teller_row(t, FILTER_KEEP), ERR_OK);
        teller_mark(t, 2, &beginning);
        assert_int_equal(teller_left_out(t).gaps, 1);
    }
    assert_int_equal(teller_seek(t, OTHER_RUN, 2, &beginning), ERR_OK);
    assert_int_equal(teller_kept_rows(t), 1);
    teller_tell(t, 0, 0, 1);
    assert_false(teller_left_out(t).is_partial);
    teller_free(t);
}

/* ---- what is told never falls ---- */

static void make(struct teller *t, int rows)
{
    for (int i = 0; i < rows; i++) assert_int_equal(teller_row(t, FILTER_KEEP), ERR_OK);
}

static struct cursor cursor_of(uint64_t number)
{
    return (struct cursor){.document = number};
}

static struct teller *begin_at(uint64_t number)
{
    struct cursor cursor = cursor_of(number);
    struct teller *t;
    assert_int_equal(teller_new(config, 0, &room, &t), ERR_OK);
    assert_int_equal(teller_seek(t, RUN, number, &cursor), ERR_OK);
    return t;
}

static void make_frame(struct teller *t, uint64_t number)
{
    struct cursor next = cursor_of(number + 1);
    make(t, 10);
    teller_mark(t, number + 1, &next);
    teller_tell(t, 0, 0, number == 1);
}

/* Killed with three frames under way, which are made again: they count once, and are not forgotten
 * meanwhile. The file is older than what was marked. */
static void rows_that_are_made_again_are_told_all_the_while(void **state)
{
    (void)state;
    struct teller *t = begin_at(1);
    for (uint64_t n = 1; n <= 4; n++) make_frame(t, n);
    make(t, 7);
    teller_tell(t, 0, 0, 0);
    assert_int_equal(teller_left_out(t).kept_rows, 40); /* a frame that is not cut may be lost */
    teller_free(t);
    assert_int_equal(teller_new(config, 0, &room, &t), ERR_OK);
    assert_int_equal(teller_left_out(t).kept_rows, 40);
    struct cursor cursor = cursor_of(2);
    assert_int_equal(teller_seek(t, RUN, 2, &cursor), ERR_OK);
    assert_int_equal(teller_kept_rows(t), 10);
    for (uint64_t n = 2; n <= 4; n++) {
        make_frame(t, n);
        assert_int_equal(teller_left_out(t).kept_rows, 40);
    }
    make_frame(t, 5);
    assert_int_equal(teller_left_out(t).kept_rows, 50);
    cursor = cursor_of(3); /* and in one life */
    assert_int_equal(teller_seek(t, RUN, 3, &cursor), ERR_OK);
    make_frame(t, 3);
    assert_int_equal(teller_left_out(t).kept_rows, 50);
    assert_int_equal(teller_kept_rows(t), 30);
    teller_free(t);
}

/* A live row is made once: lives add up, wherever the sink has the next one begin. What the sender
 * did not take was not captured. */
static void live_rows_add_up(void **state)
{
    (void)state;
    config->stream.policy = CONFIG_SHED;
    struct teller *t = begin_at(1);
    for (uint64_t n = 1; n <= 4; n++) make_frame(t, n);
    make(t, 7);
    struct cursor cursor = cursor_of(9);
    teller_mark(t, 5, &cursor);
    teller_take_back(t);
    teller_tell(t, 0, 0, 1);
    assert_int_equal(teller_left_out(t).kept_rows, 40);
    teller_free(t);
    t = begin_at(2);
    assert_int_equal(teller_left_out(t).kept_rows, 40);
    assert_int_equal(teller_kept_rows(t), 40);
    make_frame(t, 2);
    assert_false(teller_left_out(t).is_partial);
    assert_int_equal(teller_left_out(t).kept_rows, 50);
    teller_free(t);
    t = begin_at(1000);
    assert_int_equal(teller_kept_rows(t), 50);
    teller_free(t);
}

/* A file that cannot be written for another reason: nobody waits for room. */
static void only_a_full_disk_is_told_as_one(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/capture/capture-0.json", dir);
    assert_int_equal(dir_make(path, 0700), ERR_OK);
    snprintf(path, sizeof path, "%s/capture/capture-0.tally", dir);
    assert_int_equal(dir_make(path, 0700), ERR_OK);
    live(RUN);
    assert_int_equal(room_health(&room), ERR_OK);
}

int main(void)
{
#define TELLER(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TELLER(another_run_begins_from_nothing),
        TELLER(another_run_may_come_in_one_life),
        TELLER(rows_that_are_made_again_are_told_all_the_while),
        TELLER(live_rows_add_up),
        TELLER(only_a_full_disk_is_told_as_one),
    };
    return cmocka_run_group_tests_name("teller", tests, NULL, NULL);
}
