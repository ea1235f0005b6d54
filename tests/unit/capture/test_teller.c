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

enum { RUN = 42, OTHER_RUN = 43, SHED_ROWS = 5 };

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
    teller_tell(t, SHED_ROWS, 1);
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
    assert_int_equal(l.gaps, 2);
    l = live(OTHER_RUN);
    assert_int_equal(l.shed_rows, SHED_ROWS);
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
    teller_tell(t, 0, 1);
    assert_false(teller_left_out(t).is_partial);
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
        TELLER(only_a_full_disk_is_told_as_one),
    };
    return cmocka_run_group_tests_name("teller", tests, NULL, NULL);
}
