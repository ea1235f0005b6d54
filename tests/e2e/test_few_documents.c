/*
 * Fewer sequences, documents or rows than producers: whoever has no share ends without a row, and
 * whoever has one measures, in whatever order they come.
 */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECONDS = 120, ROWS = 300, WIDTH = 16 };

static const char synthetic[] =
    "capture: { engine: synthetic, producers: 2,\n"
    "  synthetic: { features: 32, width: 16, rows: 300, sequence_rows: 512 } }\n"
    "sink: { size: 64MiB }\n"
    "trainer: { batch_rows: 64, eval_rows: 0, saes: [ { name: rows, arch: count } ] }\n";

static void trains_on(struct run *run, uint64_t rows, const char *a, const char *b)
{
    int code = run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, a, b, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    assert_true(run_counts_are(run, "main", rows, 1));
    assert_null(strstr(run->err, "started again"));
}

/* Which of the two asks first is chance. */
static void one_sequence_and_two_producers(void **state)
{
    struct run *run = *state;
    run_configure(run, "", synthetic);
    for (int i = 0; i < 20; i++) trains_on(run, ROWS, NULL, NULL);
}

static void one_sequence_and_many_producers(void **state)
{
    struct run *run = *state;
    run_configure(run, "", synthetic);
    trains_on(run, ROWS, "--set=capture.producers=12", NULL);
    trains_on(run, ROWS, "--set=capture.producers=12", "--set=stream.policy=shed");
}

static void fewer_rows_than_producers(void **state)
{
    struct run *run = *state;
    run_configure(run, "", synthetic);
    trains_on(run, 3, "--set=capture.rows=3", "--set=capture.synthetic.sequence_rows=8");
    trains_on(run, 1, "--set=capture.rows=1", "--set=capture.synthetic.sequence_rows=8");
}

/* A .npy of ROWS rows, which one sequence holds. */
static void write_rows(struct run *run, char *path)
{
    char header[128];
    int length =
        snprintf(header, sizeof header,
                 "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", ROWS, WIDTH);
    snprintf(path, 2 * HARNESS_PATH_BYTES, "%s/rows.npy", run->dir);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file);
    fprintf(file, "%s%*s\n", header, 117 - length, "");
    for (int i = 0; i < ROWS * WIDTH; i++) {
        float x = (float)(1 + i % 7 - i % 3);
        fwrite(&x, sizeof x, 1, file);
    }
    assert_int_equal(fclose(file), 0);
}

static void one_sequence_of_a_file(void **state)
{
    struct run *run = *state;
    char path[2 * HARNESS_PATH_BYTES], rest[4 * HARNESS_PATH_BYTES];
    write_rows(run, path);
    snprintf(rest, sizeof rest,
             "capture: { engine: files, files: [%s], producers: 3, file_sequence_rows: 512 }\n"
             "sink: { size: 64MiB }\n"
             "trainer: { batch_rows: 64, eval_rows: 0, saes: [ { name: rows, arch: count } ] }\n",
             path);
    run_configure(run, "", rest);
    for (int i = 0; i < 5; i++) trains_on(run, ROWS, NULL, NULL);
}

/* One sequence lies in one share, and the part of the other is not made: that is said. */
static void a_share_that_is_too_small_is_told(void **state)
{
    struct run *run = *state;
    static const char said[] = "WARNING: 100 of the 200 rows of capture.rows were made: the share "
                               "of capture-1 has no more; HINT: fewer producers\n";
    run_configure(run, "", synthetic);
    trains_on(run, 100, "--set=capture.rows=200", NULL);
    if (!strstr(run->out, said)) fail_msg("%s", run->out);
    char *text = run_text(run, "capture/capture-1.json", NULL);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"part_rows\": 100"));
    assert_non_null(strstr(text, "\"is_short\": true"));
    free(text);
    text = run_text(run, "log/capture-1.log", NULL);
    assert_non_null(strstr(text, "level=warn"));
    assert_non_null(strstr(text, "fewer rows than its part of capture.rows"));
    free(text);
    trains_on(run, 200, "--set=capture.rows=200", "--set=capture.producers=1");
    assert_null(strstr(run->out, "capture.rows"));
    trains_on(run, ROWS, "--set=capture.rows=5000", "--set=capture.producers=1");
    assert_non_null(strstr(run->out, "WARNING: 300 of the 5,000 rows of capture.rows were made: "
                                     "there are no more\n"));
    trains_on(run, 100, "--set=capture.rows=600", "--set=capture.producers=6");
    assert_non_null(strstr(run->out, "the shares of 5 producers, capture-1 the first, have no "
                                     "more; HINT: fewer producers\n"));
}

static void one_text(struct run *run, const char *text)
{
    char path[2 * HARNESS_PATH_BYTES], rest[4 * HARNESS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/corpus.txt", run->dir);
    run_write(run, "corpus.txt", text);
    snprintf(rest, sizeof rest,
             "capture: { corpus: [%s], producers: 2, context_tokens: 64, threads: 1 }\n"
             "sink: { size: 64MiB }\n"
             "trainer: { batch_rows: 16, eval_rows: 0, saes: [ { name: rows, arch: count } ] }\n",
             path);
    run_configure(run, "model: smollm2, hooks: [resid_post.2]", rest);
}

static void one_document_and_two_producers(void **state)
{
    struct run *run = *state;
    one_text(run, "Once upon a time there was a corpus of one short document.\n");
    if (run_command(run, SECONDS, "sluice", "check", run->config, NULL) != 0) {
        print_message("no model in the cache (%s)\n", run->err);
        skip();
    }
    for (int i = 0; i < 3; i++) {
        int code = run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, NULL);
        if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    }
    one_text(run, "a"); /* its only token is the first of its context: no row is kept */
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, NULL), 2);
    assert_non_null(strstr(run->err, "the corpus is empty"));
    assert_null(strstr(run->err, "started again"));
}

#define FEW(name) cmocka_unit_test_setup_teardown(name, run_set_up, run_tear_down)

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        FEW(one_sequence_and_two_producers),    FEW(one_sequence_and_many_producers),
        FEW(fewer_rows_than_producers),         FEW(one_sequence_of_a_file),
        FEW(a_share_that_is_too_small_is_told), FEW(one_document_and_two_producers),
    };
    return cmocka_run_group_tests_name("few documents", tests, NULL, NULL);
}
