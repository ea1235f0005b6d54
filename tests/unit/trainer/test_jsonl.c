/* Lines of points: mode, what a resume cuts, what a kill has torn, a step that comes again, a disk
 * that takes nothing. */
#include "trainer/jsonl.h"

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

#define A(step) "{\"step\":" #step ",\"rows\":7,\"sae\":\"a\",\"loss\":0.25}\n"
#define B(step) "{\"step\":" #step ",\"rows\":7,\"sae\":\"b\",\"loss\":null}\n"

static char dir[64], path[96];

static struct jsonl *open_at(uint64_t steps)
{
    struct jsonl *j;
    uint64_t cut;
    assert_int_equal(jsonl_new(path, steps, 2, &j), ERR_OK);
    if (jsonl_take_up(j, &cut) != ERR_OK) fail_msg("%s", err_text());
    return j;
}

static void line(struct jsonl *j, uint64_t steps, const char *sae, double loss)
{
    jsonl_begin(j, steps);
    jsonl_count(j, "rows", 7);
    jsonl_text(j, "sae", sae);
    jsonl_real(j, "loss", loss);
    jsonl_end(j);
}

static int add(struct jsonl *j, uint64_t steps)
{
    line(j, steps, "a", 0.25);
    line(j, steps, "b", INFINITY);
    return jsonl_write(j);
}

static void file_is(const char *text)
{
    char *data;
    size_t bytes;
    assert_int_equal(file_read(path, 1 << 20, &data, &bytes), ERR_OK);
    assert_string_equal(data, text);
    assert_int_equal(bytes, strlen(text));
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
    struct jsonl *j = open_at(0);
    assert_int_equal(add(j, 1), ERR_OK);
    file_is(A(1) B(1));
    assert_int_equal(add(j, 12), ERR_OK);
    assert_int_equal(jsonl_steps(j), 12);
    jsonl_free(j);
    file_is(A(1) B(1) A(12) B(12));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_resume_cuts_what_its_checkpoint_does_not_cover(void **state)
{
    (void)state;
    uint64_t cut;
    struct jsonl *j;
    write_file(A(1) B(1) A(5) B(5) A(9) B(9));
    jsonl_free(open_at(9));
    file_is(A(1) B(1) A(5) B(5) A(9) B(9));
    assert_int_equal(jsonl_new(path, 7, 2, &j), ERR_OK); /* between two of them */
    assert_int_equal(jsonl_take_up(j, &cut), ERR_OK);
    assert_int_equal(cut, strlen(A(9) B(9)));
    assert_int_equal(jsonl_steps(j), 5);
    assert_int_equal(add(j, 8), ERR_OK);
    jsonl_free(j);
    file_is(A(1) B(1) A(5) B(5) A(8) B(8));
    jsonl_free(open_at(0));
    file_is("");
}

static void what_is_torn_or_not_ours_is_cut(void **state)
{
    (void)state;
    char large[2 * JSONL_LINE_BYTES] = A(1) B(1);
    memset(large + strlen(large), 'x', sizeof large - strlen(large) - 1);
    const char *const torn[] = {
        A(1) B(1) "{\"step\":5,\"rows\":7,\"sae\":\"a\"",
        A(1) B(1) "{\"st",
        A(1) B(1) "{\"step\":5}\n" A(6),
        A(1) B(1) "{\"step\":5,\"rows\":7,\"sae\":\n" A(6),
        A(1) B(1) "\n" A(5),
        A(1) B(1) "{\"step\":0,\"rows\":7}\n", /* behind 1 */
        large,
    };
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        write_file(torn[i]);
        struct jsonl *j = open_at(6);
        assert_int_equal(jsonl_steps(j), 1);
        assert_int_equal(add(j, 6), ERR_OK);
        jsonl_free(j);
        file_is(A(1) B(1) A(6) B(6));
    }
}

static void a_step_that_comes_again_replaces_its_lines(void **state)
{
    (void)state;
    struct jsonl *j = open_at(0);
    assert_int_equal(add(j, 1), ERR_OK);
    assert_int_equal(add(j, 2), ERR_OK);
    line(j, 2, "b", NAN); /* shorter than before */
    assert_int_equal(jsonl_write(j), ERR_OK);
    file_is(A(1) B(1) B(2));
    assert_int_equal(add(j, 2), ERR_OK);
    assert_int_equal(add(j, 3), ERR_OK);
    jsonl_free(j);
    j = open_at(3);
    assert_int_equal(add(j, 3), ERR_OK);
    jsonl_free(j);
    file_is(A(1) B(1) A(2) B(2) A(3) B(3));
}

/* What did not fit is gone, not kept for later. */
static void a_full_disk_leaves_a_gap(void **state)
{
    (void)state;
    struct rlimit before, low;
    struct jsonl *j = open_at(0);
    assert_int_equal(add(j, 1), ERR_OK);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    low = (struct rlimit){strlen(A(1) B(1)) + 10, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &low);
    assert_int_equal(add(j, 2), ERR_IO); /* of this limit: EFBIG */
    file_is(A(1) B(1));
    assert_int_equal(add(j, 3), ERR_IO);
    file_is(A(1) B(1));
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(add(j, 4), ERR_OK);
    jsonl_free(j);
    file_is(A(1) B(1) A(4) B(4));
}

static void a_file_that_was_taken_away_begins_anew(void **state)
{
    (void)state;
    struct jsonl *j = open_at(0);
    assert_int_equal(add(j, 1), ERR_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(add(j, 2), ERR_OK);
    file_is(A(2) B(2));
    write_file(A(1));
    assert_int_equal(add(j, 3), ERR_OK);
    jsonl_free(j);
    file_is(A(1) A(3) B(3));
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sluice-jsonl-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
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
        TEST(a_resume_cuts_what_its_checkpoint_does_not_cover),
        TEST(what_is_torn_or_not_ours_is_cut),
        TEST(a_step_that_comes_again_replaces_its_lines),
        TEST(a_full_disk_leaves_a_gap),
        TEST(a_file_that_was_taken_away_begins_anew),
    };
    return cmocka_run_group_tests_name("jsonl", tests, NULL, NULL);
}
