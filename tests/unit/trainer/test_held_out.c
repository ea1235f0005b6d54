/* The held-out file: order, mode, scale, cut on resume, and a disk that was full for a while. */
#include "trainer/held_out.h"

#include "base/err.h"
#include "base/fileio.h"

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

enum { WIDTH = 3, LIMIT = 5000 };

static const float scale[WIDTH] = {2, 0.5f, 1};
static char dir[64], path[96];

static void row_of(unsigned i, float *row)
{
    for (int d = 0; d < WIDTH; d++) row[d] = (float)(i * 10 + (unsigned)d);
}

static void add(struct held_out *h, unsigned from, unsigned to)
{
    float row[WIDTH];
    for (unsigned i = from; i < to; i++) {
        row_of(i, row);
        assert_int_equal(held_out_add(h, 0, row), ERR_OK);
    }
}

static struct held_out *open_with(uint64_t rows)
{
    struct held_out *h;
    assert_int_equal(held_out_open(path, WIDTH, scale, LIMIT, rows, 0, &h), ERR_OK);
    assert_int_equal(held_out_rows(h), rows);
    return h;
}

static void memory_is(const struct held_out *h, unsigned rows)
{
    const float *values = held_out_values(h);
    float row[WIDTH];
    assert_int_equal(held_out_rows(h), rows);
    for (unsigned i = 0; i < rows; i++) {
        row_of(i, row);
        for (int d = 0; d < WIDTH; d++)
            assert_true(values[i * WIDTH + (unsigned)d] == row[d] * scale[d]);
    }
}

static void file_is(unsigned rows)
{
    char *data;
    size_t bytes;
    float row[WIDTH];
    assert_int_equal(file_read(path, 1 << 20, &data, &bytes), ERR_OK);
    assert_int_equal(bytes, rows * sizeof row);
    for (unsigned i = 0; i < rows; i++) {
        row_of(i, row);
        assert_memory_equal(data + i * sizeof row, row, sizeof row);
    }
    free(data);
}

static void rows_are_kept_in_order(void **state)
{
    (void)state;
    struct stat st;
    struct held_out *h = open_with(0);
    add(h, 0, 200);
    memory_is(h, 200);
    assert_int_equal(held_out_sync(h), ERR_OK);
    file_is(200);
    held_out_close(h);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_resume_cuts_what_no_checkpoint_covers(void **state)
{
    (void)state;
    struct held_out *h = open_with(150);
    memory_is(h, 150);
    assert_int_equal(held_out_sync(h), ERR_OK);
    file_is(150);
    add(h, 150, 300);
    assert_int_equal(held_out_sync(h), ERR_OK);
    memory_is(h, 300);
    file_is(300);
    held_out_close(h);
}

static void a_file_that_is_too_short_is_damage(void **state)
{
    (void)state;
    struct held_out *h;
    assert_int_equal(held_out_open(path, WIDTH, scale, LIMIT, 301, 0, &h), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "--fresh"));
    file_is(300);
}

static void flip(long at, unsigned char bits)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int c = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(c ^ bits, file);
    assert_int_equal(fclose(file), 0);
}

/* Refused, and not cut off: whoever has the right file can put it back. */
static void a_file_that_was_changed_is_damage(void **state)
{
    (void)state;
    struct held_out *h = open_with(300), *again;
    uint64_t hash = held_out_hash(h);
    held_out_close(h);
    assert_int_equal(held_out_open(path, WIDTH, scale, LIMIT, 300, hash, &again), ERR_OK);
    assert_true(held_out_hash(again) == hash);
    held_out_close(again);
    flip(1001, 1);
    assert_int_equal(held_out_open(path, WIDTH, scale, LIMIT, 300, hash, &again), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), path));
    flip(1001, 1);
    file_is(300);
    FILE *file = fopen(path, "r+b");
    float nan = NAN; /* no checksum is known: damage all the same */
    assert_non_null(file);
    fseek(file, 4 * WIDTH, SEEK_SET);
    fwrite(&nan, 4, 1, file);
    fclose(file);
    assert_int_equal(held_out_open(path, WIDTH, scale, LIMIT, 300, 0, &again), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "not finite"));
    static const uint64_t counts[] = {UINT64_MAX, UINT64_C(1) << 62, UINT64_MAX / (4 * WIDTH) + 1};
    for (int i = 0; i < 3; i++) /* whose bytes overflow to a few */
        assert_int_equal(held_out_open(path, WIDTH, scale, LIMIT, counts[i], 0, &again),
                         ERR_CORRUPT);
    h = open_with(0);
    add(h, 0, 300);
    assert_true(held_out_hash(h) == hash);
    assert_int_equal(held_out_sync(h), ERR_OK);
    held_out_close(h);
}

/* Its dtype may be f32, and a scale above 1. */
static void a_row_that_is_infinite_once_scaled_is_sound(void **state)
{
    (void)state;
    struct held_out *h = open_with(0), *again;
    float row[WIDTH] = {3e38f, 1, 2};
    assert_int_equal(held_out_add(h, 0, row), ERR_OK);
    assert_int_equal(held_out_sync(h), ERR_OK);
    uint64_t hash = held_out_hash(h);
    held_out_close(h);
    if (held_out_open(path, WIDTH, scale, LIMIT, 1, hash, &again) != ERR_OK)
        fail_msg("%s", err_text());
    assert_int_equal(held_out_rows(again), 1);
    held_out_close(again);
}

/* ---- rows that go by age ---- */

static struct held_out *open_aged(uint64_t taken, uint64_t oldest_ns, uint64_t expect_lost)
{
    struct held_out *h;
    uint64_t lost = 99;
    assert_int_equal(held_out_open_aged(path, WIDTH, scale, 500, taken, oldest_ns, &lost, &h),
                     ERR_OK);
    assert_int_equal(lost, expect_lost);
    return h;
}

static void add_aged(struct held_out *h, unsigned from, unsigned to, uint64_t captured_ns)
{
    float row[WIDTH];
    for (unsigned i = from; i < to; i++) {
        row_of(i, row);
        assert_int_equal(held_out_add(h, captured_ns, row), ERR_OK);
    }
}

static int is_in_file(unsigned i)
{
    char *data;
    size_t bytes;
    float row[WIDTH];
    row_of(i, row);
    assert_int_equal(file_read(path, 1 << 20, &data, &bytes), ERR_OK);
    int found = memmem(data, bytes, row, sizeof row) != NULL;
    free(data);
    return found;
}

/* Rows [from, to) are those in memory and in the file, of all those below `end`. */
static void aged_are(const struct held_out *h, unsigned from, unsigned to, unsigned end)
{
    assert_int_equal(held_out_rows(h), to - from);
    for (unsigned i = 0; i < end; i++) {
        float row[WIDTH];
        int found = 0;
        row_of(i, row);
        for (int d = 0; d < WIDTH; d++) row[d] *= scale[d];
        for (uint64_t r = 0; r < held_out_rows(h); r++)
            found += memcmp(held_out_values(h) + r * WIDTH, row, sizeof row) == 0;
        assert_int_equal(found, i >= from && i < to);
        assert_int_equal(is_in_file(i), i >= from && i < to);
    }
}

static void rows_that_are_too_old_go(void **state)
{
    (void)state;
    uint64_t expired;
    unlink(path);
    struct held_out *h = open_aged(0, 0, 0);
    add_aged(h, 0, 100, 1000);
    add_aged(h, 100, 300, 2000);
    assert_int_equal(held_out_expire(h, 1000, &expired), ERR_OK);
    assert_int_equal(expired, 0);
    aged_are(h, 0, 300, 300);
    assert_int_equal(held_out_expire(h, 1001, &expired), ERR_OK);
    assert_int_equal(expired, 100);
    aged_are(h, 100, 300, 300);
    add_aged(h, 300, 350, 3000); /* into their places */
    aged_are(h, 100, 350, 350);
    assert_int_equal(held_out_taken(h), 350);
    assert_int_equal(held_out_sync(h), ERR_OK);
    held_out_close(h);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 300 * (24 + 4 * WIDTH)); /* no larger than it ever had to be */
    h = open_aged(320, 2500, 0); /* the last 30 come again, as no checkpoint knew them */
    aged_are(h, 300, 320, 350);
    assert_int_equal(held_out_taken(h), 320);
    assert_int_equal(held_out_expire(h, UINT64_MAX, &expired), ERR_OK);
    aged_are(h, 0, 0, 350);
    held_out_close(h);
}

static void an_aged_row_that_was_changed_is_left_out(void **state)
{
    (void)state;
    unlink(path);
    struct held_out *h = open_aged(0, 0, 0);
    add_aged(h, 0, 20, 1000);
    held_out_close(h);
    flip(5 * (24 + 4 * WIDTH) + 26, 1);
    h = open_aged(20, 0, 1);
    assert_int_equal(held_out_rows(h), 19);
    assert_int_equal(is_in_file(5), 0);
    held_out_close(h);
    assert_int_equal(truncate(path, 30), 0); /* half a row */
    h = open_aged(20, 0, 1);
    assert_int_equal(held_out_rows(h), 0);
    held_out_close(h);
}

static void no_more_than_the_limit_is_kept(void **state)
{
    (void)state;
    struct held_out *h = open_with(0);
    add(h, 0, LIMIT + 100);
    assert_int_equal(held_out_sync(h), ERR_OK);
    memory_is(h, LIMIT);
    file_is(LIMIT);
    held_out_close(h);
}

static void what_a_full_disk_refused_is_written_later(void **state)
{
    (void)state;
    struct rlimit before, small;
    struct held_out *h = open_with(0);
    add(h, 0, 30);
    assert_int_equal(held_out_sync(h), ERR_OK);
    add(h, 30, 60);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 40 * WIDTH * sizeof(float) + 5; /* in the middle of a row */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(held_out_sync(h), ERR_IO);
    add(h, 60, 1000);
    assert_int_equal(held_out_sync(h), ERR_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(held_out_sync(h), ERR_OK);
    memory_is(h, 1000);
    file_is(1000);
    add(h, 1000, 1100);
    assert_int_equal(held_out_sync(h), ERR_OK);
    file_is(1100);
    held_out_close(h);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sluice-held-out-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/held_out.rows", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_kept_in_order),
        cmocka_unit_test(a_resume_cuts_what_no_checkpoint_covers),
        cmocka_unit_test(a_file_that_is_too_short_is_damage),
        cmocka_unit_test(a_file_that_was_changed_is_damage),
        cmocka_unit_test(a_row_that_is_infinite_once_scaled_is_sound),
        cmocka_unit_test(rows_that_are_too_old_go),
        cmocka_unit_test(an_aged_row_that_was_changed_is_left_out),
        cmocka_unit_test(no_more_than_the_limit_is_kept),
        cmocka_unit_test(what_a_full_disk_refused_is_written_later),
    };
    return cmocka_run_group_tests_name("held-out rows", tests, set_up, tear_down);
}
