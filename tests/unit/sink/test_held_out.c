/* Held-out rows whose trainers are away: which are overwritten, and whose are left. */
#include "sink/held_out.h"

#include "base/err.h"
#include "base/fileio.h"
#include "buffer/aged.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { WIDTH = 4, ROWS = 6 };

static char dir[64];
static struct config *config;

static const char *below(const char *path)
{
    static char out[2][256];
    static int turn;
    turn = !turn;
    snprintf(out[turn], sizeof out[turn], "%s/run/%s", dir, path);
    return out[turn];
}

/* Rows that were captured at 1, 2, ... ROWS nanoseconds. */
static void make_file(const char *consumer)
{
    struct aged *aged;
    float values[WIDTH] = {1, 2, 3, 4};
    assert_int_equal(dir_make(below(consumer), 0700), ERR_OK);
    char path[96];
    snprintf(path, sizeof path, "%s/held_out.aged", consumer);
    assert_int_equal(aged_open(below(path), WIDTH, &aged), ERR_OK);
    for (uint64_t i = 0; i < ROWS; i++) {
        struct aged_row row = {.number = i, .captured_ns = i + 1};
        assert_int_equal(aged_put(aged, &row, values), ERR_OK);
    }
    aged_close(aged);
}

/* How many values of rows are in a consumer's file, whatever its slots say. */
static unsigned values_in(const char *consumer)
{
    char path[96], *data;
    size_t bytes;
    const float last = WIDTH;
    unsigned found = 0;
    snprintf(path, sizeof path, "%s/held_out.aged", consumer);
    assert_int_equal(file_read(below(path), 1 << 20, &data, &bytes), ERR_OK);
    for (size_t at = 0; at + sizeof last <= bytes; at += sizeof last)
        found += memcmp(data + at, &last, sizeof last) == 0;
    free(data);
    return found;
}

static struct held_out_sweep sweep(uint64_t oldest_ns, int is_end)
{
    struct held_out_sweep s = {
        .config = config, .width = WIDTH, .oldest_ns = oldest_ns, .is_end = is_end};
    assert_int_equal(held_out_sweep(&s), ERR_OK);
    return s;
}

static void what_is_too_old_is_overwritten(void **state)
{
    (void)state;
    make_file("main");
    make_file("forgotten"); /* not declared any more */
    assert_int_equal(sweep(4, 0).rows, 2 * 3);
    assert_int_equal(values_in("main"), 3);
    assert_int_equal(values_in("forgotten"), 3);
    assert_int_equal(sweep(4, 0).rows, 0);
}

/* A kill, or a loss of power, left a slot's head overwritten and its values there. */
static void a_wipe_that_was_cut_off_is_resumed(void **state)
{
    static const char zeros[24];
    (void)state;
    make_file("main");
    char *data;
    size_t bytes;
    assert_int_equal(file_read(below("main/held_out.aged"), 1 << 20, &data, &bytes), ERR_OK);
    memcpy(data + bytes / ROWS * 2, zeros, sizeof zeros);
    assert_int_equal(file_replace(below("main/held_out.aged"), data, bytes), ERR_OK);
    free(data);
    assert_int_equal(values_in("main"), ROWS);
    assert_int_equal(sweep(1, 0).rows, 1);
    assert_int_equal(values_in("main"), ROWS - 1);
    assert_int_equal(sweep(1, 0).rows, 0);
}

/* What is there under the file's name and cannot be opened. */
static void make_socket(const char *consumer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_int_equal(dir_make(below(consumer), 0700), ERR_OK);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/run/%s/held_out.aged", dir, consumer);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

/* It is told, and holds up none of the others, whichever the disk gives first. */
static void one_that_fails_holds_nothing_up(void **state)
{
    static const char *const bad[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    (void)state;
    make_file("main");
    make_file("other");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) make_socket(bad[i]);
    struct held_out_sweep s = {.config = config, .width = WIDTH, .oldest_ns = 4};
    assert_int_not_equal(held_out_sweep(&s), ERR_OK);
    assert_non_null(strstr(err_text(), "held_out.aged"));
    assert_int_equal(s.rows, 2 * 3);
    assert_int_equal(values_in("main"), 3);
    assert_int_equal(values_in("other"), 3);
}

static void at_the_end_who_still_measures_keeps_them(void **state)
{
    (void)state;
    make_file("main");
    make_file("other");
    make_file("forgotten");
    assert_int_equal(file_replace(below("other/summary.json"), "{}", 2), ERR_OK);
    assert_int_equal(sweep(1, 1).rows, 2 * ROWS);
    assert_int_equal(values_in("main"), ROWS);
    assert_int_equal(values_in("other"), 0);
    assert_int_equal(values_in("forgotten"), 0);
}

/* They are of a time without a retention: nobody knows how old they are. */
static void rows_without_ages_are_removed(void **state)
{
    (void)state;
    assert_int_equal(dir_make(below("main"), 0700), ERR_OK);
    assert_int_equal(file_replace(below("main/held_out.rows"), "row", 3), ERR_OK);
    assert_int_equal(sweep(4, 0).files, 1);
    assert_int_equal(access(below("main/held_out.rows"), F_OK), -1);
}

static int set_up(void **state)
{
    (void)state;
    char text[256];
    strcpy(dir, "/tmp/sluice-held-out-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    int n = snprintf(text, sizeof text,
                     "stream: { name: s, run_dir: %s/run, policy: shed }\n"
                     "capture: { engine: synthetic }\n"
                     "trainer: { consumers: [main, other] }\n",
                     dir);
    if (config_parse(text, (size_t)n, "test", NULL, 0, &config)) return -1;
    return dir_make(below("."), 0700) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    config_free(config);
    return dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_too_old_is_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wipe_that_was_cut_off_is_resumed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_fails_holds_nothing_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_the_end_who_still_measures_keeps_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(rows_without_ages_are_removed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
