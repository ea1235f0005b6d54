/*
 * Damage to a run's own files: the error names the file, says what is wrong with it and what to do
 * next; and what it says to do works.
 */
#include "base/err.h"
#include "proto/descriptor.h"
#include "sae/checkpoint.h"
#include "tests/e2e/harness.h"

#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 60, ROWS = 400000 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  synthetic: { features: 64, width: 64, l0: 4, rows: 400000, sequence_rows: 64 }\n"
    "sink: { size: 32MiB }\n"
    "trainer:\n"
    "  batch_rows: 512\n"
    "  eval_rows: 2000\n"
    "  checkpoint_seconds: 1\n"
    "  saes: [ { name: rows, arch: count } ]\n";

/* All checkpoints; globfree() the result. */
static size_t checkpoints_of(const struct run *run, glob_t *found)
{
    char pattern[HARNESS_PATH_BYTES + 64];
    snprintf(pattern, sizeof pattern, "%s/main/checkpoint-*.sluice", run->state);
    globfree(found);
    return glob(pattern, 0, NULL, found) == 0 ? found->gl_pathc : 0;
}

/* A run that was stopped on its way, with two checkpoints. Its small steps take so long that it is not
 * over before. */
static void stopped(struct run *run, glob_t *found)
{
    run_configure(run, "", pipeline);
    pid_t up =
        run_start(run, "up", "sluice", "up", run->config, "--set", "trainer.batch_rows=1", NULL);
    double until = harness_seconds() + 120;
    while (checkpoints_of(run, found) < 2 && harness_seconds() < until) harness_sleep(0.01);
    kill(up, SIGTERM);
    assert_int_equal(run_wait(up, SECONDS), 0);
    assert_int_equal(checkpoints_of(run, found), 2);
}

/* Told once, with an exit code that says that no second try helps. */
static void is_refused(struct run *run, int code)
{
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), code);
    if (strstr(run->err, "started again")) fail_msg("tried twice: %s", run->err);
    harness_has(run->err, "; HINT: ");
}

static void goes_on(struct run *run)
{
    if (run_command(run, SECONDS, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    assert_true(run_counts_are(run, "main", ROWS, 1));
}

static void damage(const char *path, long at)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite("damage", 1, 6, file), 6);
    assert_int_equal(fclose(file), 0);
}

static void both_checkpoints_damaged(void **state)
{
    struct run *run = *state;
    glob_t found = {0};
    stopped(run, &found);
    damage(found.gl_pathv[0], 200);
    damage(found.gl_pathv[1], 2);
    is_refused(run, 2);
    for (size_t i = 0; i < 2; i++) harness_has(run->err, strrchr(found.gl_pathv[i], '/') + 1);
    harness_has(run->err, "section 'trainer' is damaged");
    harness_has(run->err, "not a checkpoint");
    harness_has(run->err, "HINT: put a copy of one back");
    harness_has(run->err, "--fresh");
    for (size_t i = 0; i < 2; i++) assert_int_equal(unlink(found.gl_pathv[i]), 0);
    globfree(&found);
    goes_on(run); /* anew, and all of it */
}

/* ---- descriptors ---- */

/* It has a copy in the buffer: it is made again, and that is told. */
static void the_file_of_the_run(void **state)
{
    struct run *run = *state;
    glob_t found = {0};
    char path[HARNESS_PATH_BYTES + 64];
    stopped(run, &found);
    globfree(&found);
    snprintf(path, sizeof path, "%s/descriptor.json", run->state);
    damage(path, 20);
    goes_on(run);
    char *log = run_text(run, "log/sink.log", NULL);
    assert_non_null(log);
    harness_has(log, path);
    free(log);
    assert_int_equal(access(path, F_OK), 0);
}

/* Another number in all copies of the descriptor that lie in the buffer's pages. */
static void age_descriptor(const char *path)
{
    static const char version[] = "{\"version\":1,\"stream\":";
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    int c, changed = 0;
    for (size_t matched = 0; (c = fgetc(file)) != EOF;) {
        matched = c == version[matched] ? matched + 1 : c == version[0];
        if (version[matched]) continue;
        long end = ftell(file);
        assert_int_equal(fseek(file, end - 11, SEEK_SET), 0);
        assert_int_equal(fputc('7', file), '7');
        assert_int_equal(fseek(file, end, SEEK_SET), 0);
        changed++;
        matched = 0;
    }
    assert_int_equal(fclose(file), 0);
    assert_true(changed > 0);
}

/* The buffer is not what was written: it is set aside, and what is needed is made again. */
static void the_copy_in_the_buffer(void **state)
{
    struct run *run = *state;
    glob_t found = {0};
    char path[HARNESS_PATH_BYTES + 64];
    stopped(run, &found);
    globfree(&found);
    snprintf(path, sizeof path, "%s/buffer/data.mdb", run->state);
    age_descriptor(path);
    goes_on(run);
    snprintf(path, sizeof path, "%s/buffer.damaged-1", run->state);
    assert_int_equal(access(path, F_OK), 0);
}

/* The checkpoint once more, with another descriptor in it, and right checksums. */
static void write_again(const struct run *run, const char *path, const char *descriptor)
{
    char dir[HARNESS_PATH_BYTES + 64];
    struct checkpoint *c;
    struct checkpoint_writer *writer;
    snprintf(dir, sizeof dir, "%s/main", run->state);
    assert_int_equal(checkpoint_open(path, &c), ERR_OK);
    assert_int_equal(checkpoint_begin(dir, checkpoint_step(c), &writer), ERR_OK);
    for (size_t i = 0; i < checkpoint_sections(c); i++) {
        const char *name = checkpoint_section(c, i);
        const void *data;
        size_t bytes;
        assert_int_equal(checkpoint_find(c, name, &data, &bytes), ERR_OK);
        int is_it = strcmp(name, "descriptor") == 0;
        assert_int_equal(checkpoint_put(writer, name, is_it ? descriptor : data,
                                        is_it ? strlen(descriptor) : bytes),
                         ERR_OK);
    }
    assert_int_equal(checkpoint_commit(writer, 2), ERR_OK);
    checkpoint_close(c);
}

static void the_copy_in_a_checkpoint(void **state)
{
    struct run *run = *state;
    glob_t found = {0};
    char words[HARNESS_PATH_BYTES + 64];
    stopped(run, &found);
    write_again(run, found.gl_pathv[1], "{\"version\":7}");
    is_refused(run, 2);
    snprintf(words, sizeof words, "the descriptor in the checkpoint %s: ", found.gl_pathv[1]);
    harness_has(run->err, words);
    harness_has(run->err, "HINT: move it away to go on from the one before");
    assert_int_equal(unlink(found.gl_pathv[1]), 0);
    globfree(&found);
    goes_on(run);
}

#define DAMAGED(name) cmocka_unit_test_setup_teardown(name, run_set_up, run_tear_down)

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        DAMAGED(both_checkpoints_damaged),
        DAMAGED(the_file_of_the_run),
        DAMAGED(the_copy_in_the_buffer),
        DAMAGED(the_copy_in_a_checkpoint),
    };
    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
