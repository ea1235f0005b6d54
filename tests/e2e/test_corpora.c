/*
 * Corpora from the command line on: what a folder leaves out is told, what is no text ends `up` at
 * its first try with exit code 2, and an array of JSON is trained on to its end.
 */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { SECONDS = 120 };

static void configure(struct run *run, const char *corpus)
{
    char rest[HARNESS_PATH_BYTES + 512];
    snprintf(rest, sizeof rest,
             "capture: { corpus: [\"%s/%s\"], context_tokens: 32, exact_model: true }\n"
             "sink: { size: 16MiB }\n"
             "trainer: { batch_rows: 64, saes: [ { name: rows, arch: count } ] }\n",
             run->dir, corpus);
    run_configure(run, "model: smollm2, hooks: [resid_post.0]", rest);
}

static void make_data(const struct run *run)
{
    char path[HARNESS_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/data", run->dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/data/sub", run->dir);
    mkdir(path, 0700);
    run_write(run, "data/README.md", "# A card\n");
    run_write(run, "data/a.jsonl", "{\"text\": \"One text, of some words.\"}\n");
    run_write(run, "data/sub/b.json", "[{\"id\": 14205389432042271719, \"text\": \"Another.\"}]");
}

static void check_tells_what_a_folder_leaves_out(void **state)
{
    struct run *run = *state;
    make_data(run);
    configure(run, "data");
    int code = run_command(run, SECONDS, "sluice", "check", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    harness_has(run->out, "corpus, files                      2\n");
    harness_has(run->out, "data: 2 files taken; left out: README.md");
    configure(run, "data/**/*.json*");
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 0);
    harness_has(run->out, "corpus, files                      2\n");
}

static void what_is_no_text_is_tried_once(void **state)
{
    struct run *run = *state;
    run_write(run, "page.txt", "<!DOCTYPE html>\n<html><body>404</body></html>\n");
    configure(run, "page.txt");
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 2);
    harness_has(run->err, "page.txt looks like a saved web page");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 2);
    harness_has(run->err, "page.txt looks like a saved web page");
    harness_has(run->err, "capture-0 ended with exit code 2");
    if (strstr(run->err, "five times")) fail_msg("%s", run->err);
}

static void a_folder_is_trained_on(void **state)
{
    struct run *run = *state;
    make_data(run);
    configure(run, "data");
    int code = run_command(run, SECONDS, "sluice", "up", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    char *log = run_text(run, "log/capture-0.log", NULL);
    assert_non_null(log);
    harness_has(log, "left out: README.md");
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(check_tells_what_a_folder_leaves_out, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_text_is_tried_once, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_folder_is_trained_on, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("corpora", tests, NULL, NULL);
}
