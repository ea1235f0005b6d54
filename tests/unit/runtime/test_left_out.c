/* What a run left out: written by each capture, read and added up, said in words. */
#include "runtime/left_out.h"

#include "base/err.h"
#include "base/fileio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct config *config;

static int set_up(void **state)
{
    (void)state;
    char text[160];
    snprintf(dir, sizeof dir, "/tmp/sluice-left-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(text, sizeof text, "stream: {name: t, run_dir: %s}\ncapture: {producers: 3}\n", dir);
    return config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    config_free(config);
    return dir_remove(dir) == ERR_OK ? 0 : -1;
}

static const struct left_out example = {
    .has_corpus = 1,
    .documents = 1500,
    .skipped = {2, 0, 38, 0},
    .replaced = 7,
    .first_skipped = "a.jsonl, line 3: no text",
    .kept_rows = 12000,
    .special_rows = 5,
    .first_rows = 20,
    .norm_rows = 600,
    .rejected_rows = 4,
};

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct left_out l;
    assert_int_equal(left_out_read_all(config, &l), ERR_NOTFOUND);
    assert_int_equal(left_out_write(config, 1, &example), ERR_OK);
    assert_int_equal(left_out_read(config, 0, &l), ERR_NOTFOUND);
    assert_int_equal(left_out_read(config, 1, &l), ERR_OK);
    struct left_out want = example;
    want.producers = 1;
    assert_memory_equal(&l, &want, sizeof want);
}

/* Rows are each producer's own; of documents each producer counts all shares. */
static void producers_add_up(void **state)
{
    (void)state;
    struct left_out sum, behind = example;
    behind.documents = 900;
    behind.skipped[0] = 1;
    behind.kept_rows = 1;
    behind.is_partial = 1;
    assert_int_equal(left_out_write(config, 0, &behind), ERR_OK);
    assert_int_equal(left_out_write(config, 2, &example), ERR_OK);
    assert_int_equal(left_out_read_all(config, &sum), ERR_OK);
    assert_int_equal(sum.documents, 1500);
    assert_int_equal(left_out_skipped(&sum), 40);
    assert_int_equal(sum.kept_rows, 12001);
    assert_int_equal(left_out_filtered(&sum), 1250);
    assert_int_equal(left_out_rows(&sum), 12001 + 1250 + 8);
    assert_int_equal(sum.producers, 2);
    assert_true(sum.is_partial);
}

static void words_say_only_what_is_not_zero(void **state)
{
    (void)state;
    char text[LEFT_OUT_TEXT_BYTES];
    struct left_out l = example, none = {.documents = 80, .kept_rows = 1000};
    left_out_documents_text(&l, text, sizeof text);
    assert_string_equal(text, "1,500 read, 40 skipped (2 not UTF-8, 38 without the text's field; "
                              "the first: a.jsonl, line 3: no text), 7 with a lone surrogate, now "
                              "U+FFFD");
    left_out_rows_text(&l, text, sizeof text);
    assert_string_equal(text, "12,629 made, 625 filtered (5 special tokens, 20 at position 0, 600 "
                              "over the norm limit), 4 rejected as not finite");
    left_out_documents_text(&none, text, sizeof text);
    assert_string_equal(text, "80 read");
    left_out_rows_text(&none, text, sizeof text);
    assert_string_equal(text, "1,000 made, 0 filtered (0 special tokens, 0 at position 0, 0 over "
                              "the norm limit)");
    none.is_partial = 1;
    none.shed_rows = 3;
    left_out_rows_text(&none, text, sizeof text);
    assert_non_null(strstr(text, "3 shed; at least"));
    none.gaps = 2;
    left_out_rows_text(&none, text, sizeof text);
    assert_non_null(strstr(text, "; what was under way when a process died is lost, 2 times ("));
    left_out_rows_text(&l, text, 8); /* cut, not overrun */
    assert_string_equal(text, "12,629 ");
}

static void files_of_any_content_are_read_or_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "[1]", "{\"stream\": 3}", "{\"stream\": \"other\"}",
                                      "\xff\xfe"};
    char path[128];
    struct left_out l;
    snprintf(path, sizeof path, "%s/capture", dir);
    assert_int_equal(dir_make(path, 0700), ERR_OK);
    snprintf(path, sizeof path, "%s/capture/capture-0.json", dir);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(file_replace(path, bad[i], strlen(bad[i])), ERR_OK);
        assert_int_equal(left_out_read(config, 0, &l), ERR_FORMAT);
    }
    static const char odd[] = "{\"stream\": \"t\", \"kept_rows\": -5, \"skipped\": [], "
                              "\"norm_rows\": \"many\", \"special_rows\": 1e300}";
    assert_int_equal(file_replace(path, odd, strlen(odd)), ERR_OK);
    assert_int_equal(left_out_read(config, 0, &l), ERR_OK);
    assert_int_equal(left_out_rows(&l), 0);
}

/* What somebody keeps beside the file stays, and no link leads a write elsewhere. */
static void other_files_stay(void **state)
{
    (void)state;
    static const char *const names[] = {"capture-0.json.tmp", "elsewhere"};
    char path[2][128], link[128], *text;
    size_t bytes;
    struct left_out l;
    snprintf(link, sizeof link, "%s/capture", dir);
    assert_int_equal(dir_make(link, 0700), ERR_OK);
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/capture/%s", dir, names[i]);
        assert_int_equal(file_replace(path[i], "mine", 4), ERR_OK);
    }
    snprintf(link, sizeof link, "%s/capture/capture-1.json", dir);
    assert_int_equal(symlink(path[1], link), 0);
    snprintf(link, sizeof link, "%s/capture/capture-1.json.tmp", dir);
    assert_int_equal(symlink(path[1], link), 0);
    for (uint32_t p = 0; p < 2; p++) {
        assert_int_equal(left_out_write(config, p, &example), ERR_OK);
        assert_int_equal(left_out_read(config, p, &l), ERR_OK);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(file_read(path[i], 64, &text, &bytes), ERR_OK);
        assert_string_equal(text, "mine");
        free(text);
    }
}

/* Names of files may hold what no terminal should see. */
static void a_place_is_text(void **state)
{
    (void)state;
    struct left_out l = example;
    snprintf(l.first_skipped, sizeof l.first_skipped, "a\033[2J\xff.txt, line 1");
    assert_int_equal(left_out_write(config, 0, &l), ERR_OK);
    assert_int_equal(left_out_read(config, 0, &l), ERR_OK);
    assert_string_equal(l.first_skipped, "a?[2J?.txt, line 1");
}

int main(void)
{
#define LEFT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LEFT(what_is_written_is_read),
        LEFT(producers_add_up),
        LEFT(words_say_only_what_is_not_zero),
        LEFT(files_of_any_content_are_read_or_refused),
        LEFT(other_files_stay),
        LEFT(a_place_is_text),
    };
    return cmocka_run_group_tests_name("left out", tests, NULL, NULL);
}
