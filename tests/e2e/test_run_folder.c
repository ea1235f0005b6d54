/*
 * Files that are not a run's own: nothing of them is removed, moved or written over, whatever
 * stream.run_dir, the names of consumers and the paths of outputs say.
 */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 60 };

static const char pipeline[] =
    "capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 8000 } }\n"
    "sink: { size: 16MiB }\n"
    "trainer: { batch_rows: 256, saes: [ { arch: topk, features: 32, k: 4 } ] }\n";

/* Paths are below the test's folder. */
static char *at(const struct run *run, const char *path)
{
    static char whole[4][2 * HARNESS_PATH_BYTES];
    static int turn;
    char *out = whole[turn++ % 4];
    snprintf(out, sizeof whole[0], "%s/%s", run->dir, path);
    return out;
}

static void put(const struct run *run, const char *path, const char *text)
{
    char whole[2 * HARNESS_PATH_BYTES];
    snprintf(whole, sizeof whole, "%s", at(run, path));
    for (char *p = whole + strlen(run->dir) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        mkdir(whole, 0700);
    }
    FILE *file = fopen(whole, "w");
    if (!file) fail_msg("cannot write %s", whole);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void holds(const struct run *run, const char *path, const char *text)
{
    char below[HARNESS_PATH_BYTES + 8];
    snprintf(below, sizeof below, "../%s", path);
    char *found = run_text(run, below, NULL);
    if (!found) fail_msg("%s is gone", path);
    if (strcmp(found, text) != 0) fail_msg("%s was changed: %s", path, found);
    free(found);
}

static int is_there(const struct run *run, const char *path)
{
    struct stat st;
    return lstat(at(run, path), &st) == 0;
}

static int up(struct run *run, const char *a, const char *b)
{
    return run_command(run, SECONDS, "sluice", "up", run->config, a, b, NULL);
}

static void good(struct run *run, const char *a, const char *b)
{
    int code = up(run, a, b);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

/* A project's own folder, with names that a run uses. */
static const char *const mine[] = {"lock",
                                   "log/notes",
                                   "log/broker.log",
                                   "main/paper.tex",
                                   "main/summary.json",
                                   "buffer/data.mdb",
                                   "descriptor.json",
                                   "http/broker",
                                   "buffer.damaged-1/data.mdb"};
enum { MINE = sizeof mine / sizeof mine[0] };

static void below_run(const char *path, char *out)
{
    snprintf(out, HARNESS_PATH_BYTES, "run/%s", path);
}

static void a_folder_of_somebody_else_is_refused(void **state)
{
    struct run *run = *state;
    static const char *const programs[] = {"sluice-broker", "sluice-sink", "sluice-capture",
                                           "sluice-trainer"};
    char path[HARNESS_PATH_BYTES];
    run_configure(run, "", pipeline);
    for (int i = 0; i < MINE; i++) {
        below_run(mine[i], path);
        put(run, path, "mine\n");
        assert_int_equal(up(run, "--fresh", NULL), 2);
        harness_has(run->err, "holds files that no run of this stream made");
        harness_has(run->err, "HINT: choose another stream.run_dir");
        assert_int_equal(up(run, NULL, NULL), 2);
        assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 2);
        harness_has(run->err, "holds files that no run of this stream made");
        for (size_t p = 0; p < sizeof programs / sizeof programs[0]; p++) {
            assert_int_equal(run_command(run, SECONDS, programs[p], run->config, NULL), 2);
            harness_has(run->err, "holds files that no run of this stream made");
        }
        holds(run, path, "mine\n");
        assert_false(is_there(run, "run/sluice.run"));
        assert_int_equal(remove(at(run, path)), 0);
    }
}

/* Without a server of metrics a process still writes what it counts. */
static void a_folder_of_somebody_else_is_refused_without_http(void **state)
{
    struct run *run = *state;
    static const char *const programs[][2] = {{"sluice-broker", "--set=broker.http=off"},
                                              {"sluice-sink", "--set=sink.http=off"},
                                              {"sluice-capture", "--set=capture.http=off"},
                                              {"sluice-trainer", "--set=trainer.http=off"}};
    run_configure(run, "", pipeline);
    put(run, "run/capture/capture-0.json", "mine\n");
    for (size_t p = 0; p < sizeof programs / sizeof programs[0]; p++) {
        int code = run_command(run, SECONDS, programs[p][0], run->config, programs[p][1], NULL);
        if (code != 2) fail_msg("%s came to %d: %s", programs[p][0], code, run->err);
        harness_has(run->err, "holds files that no run of this stream made");
        holds(run, "run/capture/capture-0.json", "mine\n");
        assert_false(is_there(run, "run/sluice.run"));
    }
}

static void fresh_removes_what_the_run_made(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    good(run, NULL, NULL);
    assert_true(is_there(run, "run/sluice.run"));
    assert_true(is_there(run, "run/main/sluice.run"));
    put(run, "run/log/notes", "mine\n");
    put(run, "run/main/paper.tex", "mine\n");
    put(run, "run/main/export/readme/notes", "mine\n");
    put(run, "run/buffer/other.mdb", "mine\n");
    put(run, "run/data/rows", "mine\n");
    put(run, "elsewhere/keep", "mine\n");
    assert_int_equal(symlink(at(run, "elsewhere"), at(run, "run/buffer/CONSUMERS/notes")), 0);
    assert_int_equal(symlink(at(run, "elsewhere/keep"), at(run, "run/log/sink.old")), 0);
    put(run, "run/buffer.damaged-1/data.mdb", "damaged\n");
    put(run, "run/buffer.damaged-1/damage", "why\n");
    put(run, "run/main/checkpoint-0000000000000001.sluice.tmp.abcdef", "torn\n");
    good(run, "--fresh", NULL);
    harness_has(run->err, "--fresh left alone in");
    harness_has(run->err, "log/notes");
    holds(run, "run/log/notes", "mine\n");
    holds(run, "run/main/paper.tex", "mine\n");
    holds(run, "run/main/export/readme/notes", "mine\n");
    holds(run, "run/buffer/other.mdb", "mine\n");
    holds(run, "run/data/rows", "mine\n");
    holds(run, "elsewhere/keep", "mine\n");
    assert_true(is_there(run, "run/log/sink.old"));
    assert_false(is_there(run, "run/buffer.damaged-1"));
    assert_false(is_there(run, "run/main/checkpoint-0000000000000001.sluice.tmp.abcdef"));
}

/* Whose names are nearly those that a run gives; and the run's own, torn or of another count. */
static void names_like_those_of_a_run_stay(void **state)
{
    struct run *run = *state;
    static const char *const kept[] = {"main/words.counts",
                                       "main/counts.counts",
                                       "main/rows.counts.bak",
                                       "main/checkpoint-notes-of-mine-1.sluice",
                                       "capture/capture-0-notes.json",
                                       "capture/capture-00.json",
                                       "capture/capture-1x.tally",
                                       "capture/capture-0.json.tmp",
                                       "capture/capture-0.json.tmp.notes-of-mine",
                                       "log/trainer-what I did.log",
                                       "log/capture-0-notes.log",
                                       "http/capture-0-notes",
                                       "http/trainer-what I did",
                                       "buffer.damaged-1-notes/data.mdb"};
    static const char *const removed[] = {
        "capture/capture-0.json.tmp.aB3dEf", "capture/capture-7.json", "capture/capture-10.tally",
        "log/trainer-was.here.log.old",      "http/trainer-other",     "buffer.damaged-2/data.mdb"};
    char path[HARNESS_PATH_BYTES];
    run_configure(run, "", pipeline);
    const char *count = "--set=trainer.saes=[{name: rows, arch: count}]";
    good(run, count, NULL);
    assert_true(is_there(run, "run/main/rows.counts"));
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        below_run(kept[i], path);
        put(run, path, "mine\n");
    }
    for (size_t i = 0; i < sizeof removed / sizeof removed[0]; i++) {
        below_run(removed[i], path);
        put(run, path, "{}\n");
    }
    good(run, "--fresh", count);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        below_run(kept[i], path);
        holds(run, path, "mine\n");
    }
    for (size_t i = 0; i < sizeof removed / sizeof removed[0]; i++) {
        below_run(removed[i], path);
        if (is_there(run, path)) fail_msg("%s is still there", path);
    }
}

/* A folder that a consumer would take is somebody else's. */
static void a_consumer_takes_no_folder_of_others(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    good(run, NULL, NULL);
    put(run, "run/thesis/summary.json", "mine\n");
    put(run, "run/thesis/held_out.rows", "mine\n");
    assert_int_equal(up(run, "--fresh", "--set=trainer.consumers=[main, thesis]"), 2);
    harness_has(run->err, "run/thesis holds files that no consumer's trainer made");
    holds(run, "run/thesis/summary.json", "mine\n");
    assert_true(is_there(run, "run/main/summary.json")); /* nothing at all was removed */
    int code = run_command(run, SECONDS, "sluice-trainer", run->config, "--replay",
                           at(run, "run/buffer"), "--consumer", "thesis", NULL);
    assert_int_equal(code, 2);
    holds(run, "run/thesis/summary.json", "mine\n");
    holds(run, "run/thesis/held_out.rows", "mine\n");
    static const char *const taken[] = {"descriptor.json", "sluice.run", "buffer.damaged-1", "log"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        char set[96];
        snprintf(set, sizeof set, "--set=trainer.consumers=%s", taken[i]);
        assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, set, NULL), 2);
        harness_has(run->err, "of the run itself");
    }
}

static void links_are_not_followed(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    good(run, NULL, NULL);
    put(run, "disk/other/keep", "mine\n");
    assert_int_equal(rename(at(run, "run/buffer"), at(run, "disk/buffer")), 0);
    assert_int_equal(symlink(at(run, "disk/buffer"), at(run, "run/buffer")), 0);
    assert_int_equal(up(run, "--fresh", NULL), 2);
    harness_has(run->err, "run/buffer is a symbolic link, and --fresh follows none");
    assert_true(is_there(run, "run/main/summary.json"));
    assert_true(is_there(run, "disk/buffer/data.mdb"));
    assert_int_equal(unlink(at(run, "run/buffer")), 0);
    assert_int_equal(rename(at(run, "disk/buffer"), at(run, "run/buffer")), 0);
    /* The run's folder itself may be one. */
    assert_int_equal(rename(at(run, "run"), at(run, "disk/run")), 0);
    assert_int_equal(symlink(at(run, "disk/run"), at(run, "run")), 0);
    good(run, "--fresh", NULL);
    assert_true(is_there(run, "disk/other/keep"));
    assert_true(is_there(run, "disk/run/sluice.run"));
}

/* A folder without a marker of its own, where a link would lead a run. */
static void no_link_leads_a_run_elsewhere(void **state)
{
    struct run *run = *state;
    static const char *const folders[] = {"log", "http", "ipc", "capture"};
    char path[HARNESS_PATH_BYTES];
    run_configure(run, "", pipeline);
    good(run, NULL, NULL);
    put(run, "other/broker.log", "mine\n");
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        below_run(folders[i], path);
        assert_int_equal(rename(at(run, path), at(run, "aside")), 0);
        assert_int_equal(symlink(at(run, "other"), at(run, path)), 0);
        int code = up(run, "--set=capture.synthetic.seed=7", NULL);
        if (code != 2) fail_msg("%s: exit code %d: %s", folders[i], code, run->err);
        harness_has(run->err, "is a symbolic link, and a run writes through none");
        assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 2);
        assert_int_equal(run_command(run, SECONDS, "sluice-capture", run->config, NULL), 2);
        holds(run, "other/broker.log", "mine\n");
        assert_int_equal(unlink(at(run, path)), 0);
        assert_int_equal(rename(at(run, "aside"), at(run, path)), 0);
    }
    assert_int_equal(unlink(at(run, "run/log/broker.log")), 0);
    assert_int_equal(symlink(at(run, "other/broker.log"), at(run, "run/log/broker.log")), 0);
    assert_int_equal(unlink(at(run, "run/main/summary.json")), 0); /* it is not finished */
    assert_int_equal(up(run, NULL, NULL), 2);
    harness_has(run->err, "is a symbolic link, and a run writes through none");
    holds(run, "other/broker.log", "mine\n");
    assert_int_equal(unlink(at(run, "run/log/broker.log")), 0);
    /* The buffer may be on another disk. */
    assert_int_equal(rename(at(run, "run/buffer"), at(run, "disk")), 0);
    assert_int_equal(symlink(at(run, "disk"), at(run, "run/buffer")), 0);
    good(run, NULL, NULL);
}

static void a_truth_file_is_none_of_the_run(void **state)
{
    struct run *run = *state;
    char set[2][2 * HARNESS_PATH_BYTES];
    static const char *const taken[] = {
        "descriptor.json", "sluice.run", "main/history.tsv",     "main",        "buffer/data.mdb",
        "log/x",           "capture/x",  "x/../descriptor.json", "./main//new", "../run/lock"};
    run_configure(run, "", pipeline);
    for (int has_run = 0; has_run < 2; has_run++) {
        for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
            char path[HARNESS_PATH_BYTES];
            below_run(taken[i], path);
            snprintf(set[0], sizeof set[0], "--set=capture.synthetic.truth_file=%s", taken[i]);
            snprintf(set[1], sizeof set[1], "--set=capture.synthetic.truth_file=%s", at(run, path));
            for (int s = 0; s < 2; s++) {
                int code = up(run, "--fresh", set[s]);
                if (code != 2) fail_msg("%s: exit code %d: %s", set[s], code, run->err);
                harness_has(run->err, "capture.synthetic.truth_file: '");
                harness_has(run->err, "is of the run itself");
                assert_int_equal(
                    run_command(run, SECONDS, "sluice-capture", run->config, set[s], NULL), 2);
            }
        }
        good(run, "--set=capture.synthetic.truth_file=truth.safetensors", NULL);
        assert_true(is_there(run, "run/truth.safetensors"));
    }
    good(run, "--fresh", "--set=capture.synthetic.truth_file=maintained");
}

static void two_streams_cannot_share_a_folder(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    good(run, NULL, NULL);
    assert_int_equal(up(run, "--fresh", "--set=stream.name=other"), 2);
    harness_has(run->err, "is of the stream 'test', and this one is called 'other'");
    harness_has(run->err, "HINT");
    assert_true(is_there(run, "run/main/summary.json"));
    put(run, "run/sluice.run", "sluice-run 2\nstream test\n");
    assert_int_equal(up(run, "--fresh", NULL), 1);
    harness_has(run->err, "a newer version");
    put(run, "run/sluice.run", "to do\n");
    assert_int_equal(up(run, "--fresh", NULL), 2);
    harness_has(run->err, "is not the marker of a run");
    holds(run, "run/sluice.run", "to do\n");
}

/* Version 0.1.0 left no marker. */
static void an_older_run_is_taken_over(void **state)
{
    struct run *run = *state;
    static const char truth[] = "--set=capture.synthetic.truth_file=truth.safetensors";
    run_configure(run, "", pipeline);
    good(run, truth, NULL);
    assert_int_equal(unlink(at(run, "run/sluice.run")), 0);
    assert_int_equal(unlink(at(run, "run/main/sluice.run")), 0);
    put(run, "run/main/paper.tex", "mine\n"); /* one file too many */
    assert_int_equal(up(run, "--fresh", truth), 2);
    harness_has(run->err, "run/main/paper.tex");
    assert_int_equal(unlink(at(run, "run/main/paper.tex")), 0);
    assert_int_equal(up(run, "--fresh", "--set=stream.name=other"), 2);
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, truth, NULL), 0);
    assert_false(is_there(run, "run/sluice.run")); /* a check changes nothing */
    good(run, truth, NULL);
    harness_has(run->out, "is finished already");
    assert_true(is_there(run, "run/sluice.run"));
    assert_true(is_there(run, "run/main/sluice.run"));
    good(run, "--fresh", truth);
}

/* A disk is mounted at run/buffer before the first run; a new disk has lost+found. */
static void folders_without_files_are_taken(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    put(run, "run/main/export/x", "");
    assert_int_equal(unlink(at(run, "run/main/export/x")), 0);
    put(run, "run/lost+found/1", "x");
    good(run, NULL, NULL);
    good(run, "--fresh", NULL);
    holds(run, "run/lost+found/1", "x");
}

static void odd_paths(void **state)
{
    struct run *run = *state;
    char set[2 * HARNESS_PATH_BYTES];
    run_configure(run, "", pipeline);
    put(run, "file", "mine\n");
    put(run, "home/.profile", "mine\n");
    static const char *const refused[] = {"file", "home", "home/", "run/../home", "home/."};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        snprintf(set, sizeof set, "--set=stream.run_dir=%s", at(run, refused[i]));
        mkdir(at(run, "run"), 0700);
        assert_int_equal(up(run, "--fresh", set), 2);
        harness_has(run->err, "stream.run_dir");
        assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, set, NULL), 2);
        harness_has(run->err, "stream.run_dir");
    }
    assert_int_equal(up(run, "--fresh", "--set=stream.run_dir=/"), 2);
    harness_has(run->err, "the folder / holds files");
    snprintf(set, sizeof set, "--set=stream.run_dir=%s//new/./deep/", run->dir);
    good(run, "--fresh", set);
    assert_true(is_there(run, "new/deep/sluice.run"));
    holds(run, "file", "mine\n");
    holds(run, "home/.profile", "mine\n");
}

static void outputs_do_not_replace_files_of_others(void **state)
{
    struct run *run = *state;
    char set[2 * HARNESS_PATH_BYTES];
    run_configure(run, "", pipeline);
    put(run, "thesis.tex", "mine\n");
    put(run, "sockets/front", "mine\n");
    put(run, "sockets/back.lock", "mine\n");
    snprintf(set, sizeof set, "--set=capture.synthetic.truth_file=%s", at(run, "thesis.tex"));
    assert_int_equal(up(run, "--fresh", set), 2);
    harness_has(run->err, "thesis.tex is there and is no file of true directions");
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, set, NULL), 2);
    harness_has(run->err, "thesis.tex is there and is no file of true directions");
    assert_int_equal(run_command(run, SECONDS, "sluice-capture", run->config, set, NULL), 2);
    holds(run, "thesis.tex", "mine\n");
    assert_int_equal(chmod(at(run, "sockets"), 0700), 0);
    snprintf(set, sizeof set, "--set=broker.front=ipc://%s", at(run, "sockets/front"));
    assert_int_equal(up(run, "--fresh", set), 2);
    harness_has(run->err, "sockets/front is there and is no socket");
    holds(run, "sockets/front", "mine\n");
    snprintf(set, sizeof set, "--set=broker.back=ipc://%s", at(run, "sockets/back"));
    assert_int_equal(up(run, "--fresh", set), 2);
    harness_has(run->err, "back.lock is there and is no lock");
    holds(run, "sockets/back.lock", "mine\n");
}

static void a_dropped_consumer_of_another_program_stays(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    put(run, "run/lock", "mine\n");
    put(run, "run/buffer/CONSUMERS/old.state", "mine\n");
    int code = run_command(run, SECONDS, "sluice", "consumer", "drop", run->config, "old", NULL);
    assert_int_equal(code, 2);
    holds(run, "run/lock", "mine\n");
    holds(run, "run/buffer/CONSUMERS/old.state", "mine\n");
}

#define FOLDER(name) cmocka_unit_test_setup_teardown(name, run_set_up, run_tear_down)

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        FOLDER(a_folder_of_somebody_else_is_refused),
        FOLDER(a_folder_of_somebody_else_is_refused_without_http),
        FOLDER(fresh_removes_what_the_run_made),
        FOLDER(names_like_those_of_a_run_stay),
        FOLDER(a_consumer_takes_no_folder_of_others),
        FOLDER(links_are_not_followed),
        FOLDER(no_link_leads_a_run_elsewhere),
        FOLDER(a_truth_file_is_none_of_the_run),
        FOLDER(two_streams_cannot_share_a_folder),
        FOLDER(an_older_run_is_taken_over),
        FOLDER(folders_without_files_are_taken),
        FOLDER(odd_paths),
        FOLDER(outputs_do_not_replace_files_of_others),
        FOLDER(a_dropped_consumer_of_another_program_stays),
    };
    return cmocka_run_group_tests_name("run folder", tests, NULL, NULL);
}
