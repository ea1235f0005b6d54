/*
 * Every file and folder that a run makes is, one after another, a link to something foreign, of
 * another user, or open to everybody's writing: nothing is run, nothing foreign is touched, and the
 * error names it. The list is what a run has left, and the names that come and go.
 */
#include "base/fileio.h"
#include "tests/e2e/harness.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 60, NAMES = 256, PATH_ROOM = HARNESS_PATH_BYTES + 128, OTHER = 65534 };

static const char pipeline[] =
    "capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 8000 } }\n"
    "sink: { size: 16MiB }\n"
    "trainer: { batch_rows: 256,\n"
    "  saes: [ { name: a, arch: topk, features: 32, k: 4 }, { name: rows, arch: count } ] }\n";
static const char foreign[] = "foreign\n";

/* ---- what a run makes ---- */

static char names[NAMES][PATH_ROOM]; /* whole paths */
static size_t count;

static int add_name(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    assert_true(count < NAMES);
    if (ftw->level > 0) snprintf(names[count++], PATH_ROOM, "%s", path);
    return 0;
}

static void put(const struct run *run, const char *name, const char *text)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/%s", run->dir, name);
    if (file_replace(path, text, strlen(text))) fail_msg("cannot write %s", path);
}

/* A finished run, and the names that it had while it was under way or had trouble. */
static void make_names(struct run *run)
{
    static const char *const more[] = {"run/http/sink",
                                       "run/http/broker",
                                       "run/http/trainer-main",
                                       "run/http/capture-0",
                                       "run/log/sink.log.old",
                                       "run/buffer/damage",
                                       "run/main/sweep.tsv",
                                       "run/main/scaling.svg",
                                       "run/main/summary.json.tmp.aB3dEf",
                                       "run/buffer.damaged-1/data.mdb"};
    static const char *const sockets[] = {"run/ipc/front", "run/ipc/back"};
    char path[PATH_ROOM];
    run_configure(run, "", pipeline);
    int code = run_command(run, SECONDS, "sluice", "up", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    snprintf(path, sizeof path, "%s/buffer.damaged-1", run->state);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) put(run, more[i], "1\n");
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", run->dir, sockets[i]);
        unlink(path);
        assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
    }
    count = 0;
    assert_int_equal(nftw(run->state, add_name, 16, FTW_PHYS), 0);
    assert_true(count > 50);
}

/* ---- one of them ---- */

static int may_be_elsewhere(const struct run *run, const char *path)
{
    const char *name = path + strlen(run->state) + 1;
    return strcmp(name, "buffer") == 0 || strcmp(name, "main") == 0;
}

static void in_test(const struct run *run, const char *name, char *path)
{
    snprintf(path, PATH_ROOM, "%s/%s", run->dir, name);
}

static struct stat look(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) fail_msg("%s is gone", path);
    return st;
}

/* Both ways of asking refuse it by its name, for this reason. */
static void refused(struct run *run, const char *path, const char *why)
{
    static const char *const commands[] = {"check", "up"};
    for (int i = 0; i < 2; i++) {
        int code = run_command(run, SECONDS, "sluice", commands[i], run->config, NULL);
        if (code != 2) fail_msg("%s, %s: exit code %d: %s", commands[i], path, code, run->err);
        harness_has(run->err, path);
        harness_has(run->err, why);
        harness_has(run->err, "HINT");
    }
}

static void a_link(struct run *run, const char *path, int is_folder)
{
    char aside[PATH_ROOM], file[PATH_ROOM], folder[PATH_ROOM], inner[PATH_ROOM + 8], *text;
    size_t bytes;
    in_test(run, "aside", aside);
    in_test(run, "file", file);
    in_test(run, "folder", folder);
    snprintf(inner, sizeof inner, "%s/keep", folder);
    struct stat before[] = {look(file), look(folder), look(inner)};
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink(is_folder ? folder : file, path), 0);
    refused(run, path, "is a symbolic link, and a run writes through none");
    int code = run_command(run, SECONDS, "sluice", "up", run->config, "--fresh", NULL);
    if (code != 2) fail_msg("--fresh, %s: exit code %d", path, code);
    struct stat after[] = {look(file), look(folder), look(inner)};
    for (int i = 0; i < 3; i++)
        if (memcmp(&before[i].st_mtim, &after[i].st_mtim, sizeof before[i].st_mtim) != 0 ||
            before[i].st_ino != after[i].st_ino || before[i].st_mode != after[i].st_mode)
            fail_msg("%s: something foreign was touched", path);
    assert_int_equal(file_read(file, 100, &text, &bytes), 0);
    assert_string_equal(text, foreign);
    free(text);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(aside, path), 0);
}

static void of_another(struct run *run, const char *path)
{
    assert_int_equal(chown(path, OTHER, (gid_t)-1), 0);
    refused(run, path, "belongs to user 65534");
    assert_int_equal(chown(path, geteuid(), (gid_t)-1), 0);
}

static void open_to_all(struct run *run, const char *path, mode_t mode)
{
    assert_int_equal(chmod(path, mode | 0022), 0);
    refused(run, path, "can be written by others (its mode is");
    assert_int_equal(chmod(path, mode & 07777), 0);
}

static void prepare_foreign(struct run *run)
{
    char folder[PATH_ROOM];
    in_test(run, "folder", folder);
    assert_int_equal(mkdir(folder, 0755), 0);
    put(run, "folder/keep", foreign);
    put(run, "file", foreign);
}

static void all_that_a_run_makes(void **state)
{
    struct run *run = *state;
    if (geteuid() != 0) skip(); /* only root gives files away */
    make_names(run);
    prepare_foreign(run);
    for (size_t i = 0; i < count; i++) {
        struct stat st = look(names[i]);
        int is_folder = S_ISDIR(st.st_mode);
        if (!may_be_elsewhere(run, names[i])) a_link(run, names[i], is_folder);
        of_another(run, names[i]);
        open_to_all(run, names[i], st.st_mode);
    }
    int code = run_command(run, SECONDS, "sluice", "up", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err); /* all is as it was */
}

/* The programs by themselves look as well. */
static void every_program_looks(void **state)
{
    static const char *const programs[] = {"sluice-broker", "sluice-sink", "sluice-capture",
                                           "sluice-trainer"};
    struct run *run = *state;
    char path[PATH_ROOM], target[PATH_ROOM];
    make_names(run);
    prepare_foreign(run);
    in_test(run, "file", target);
    snprintf(path, sizeof path, "%s/buffer/lock.mdb", run->state);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
    for (size_t p = 0; p < sizeof programs / sizeof programs[0]; p++) {
        int code = run_command(run, SECONDS, programs[p], run->config, NULL);
        if (code != 2) fail_msg("%s: exit code %d: %s", programs[p], code, run->err);
        harness_has(run->err, path);
        harness_has(run->err, "is a symbolic link");
    }
}

/* Links to other disks are followed, and what they lead to is looked at in the same way. */
static void other_disks(void **state)
{
    static const char *const linked[] = {"buffer", "main"};
    struct run *run = *state;
    char path[PATH_ROOM], disk[PATH_ROOM], inner[PATH_ROOM + 32], file[PATH_ROOM];
    make_names(run);
    prepare_foreign(run);
    in_test(run, "disk", disk);
    in_test(run, "file", file);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", run->state, linked[i]);
        assert_int_equal(rename(path, disk), 0);
        assert_int_equal(symlink(disk, path), 0);
        assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 0);
        open_to_all(run, path, 0700);
        snprintf(inner, sizeof inner, "%s/%s", disk, i ? "history.tsv" : "CONSUMERS/main.state");
        assert_int_equal(unlink(inner), 0);
        assert_int_equal(symlink(file, inner), 0);
        snprintf(inner, sizeof inner, "%s/%s", path, i ? "history.tsv" : "CONSUMERS/main.state");
        refused(run, inner, "is a symbolic link");
        assert_int_equal(unlink(inner), 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rename(disk, path), 0);
    }
}

/* The run's folder itself, and what is above it. */
static void the_folder_and_those_above(void **state)
{
    struct run *run = *state;
    char above[PATH_ROOM], set[PATH_ROOM + 32], deep[PATH_ROOM];
    make_names(run);
    open_to_all(run, run->state, 0700);
    if (geteuid() == 0) of_another(run, run->state);
    in_test(run, "above", above);
    in_test(run, "above/deep", deep);
    snprintf(set, sizeof set, "--set=stream.run_dir=%s", deep);
    assert_int_equal(mkdir(above, 0700), 0);
    assert_int_equal(chmod(above, 0777), 0);
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, set, NULL), 2);
    harness_has(run->err, "everybody may write the folder");
    harness_has(run->err, above);
    assert_int_equal(access(deep, F_OK), -1);
    assert_int_equal(chmod(above, 01777), 0); /* as /tmp */
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, set, NULL), 0);
    assert_int_equal(chmod(above, 0770), 0);
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, set, NULL), 0);
    harness_has(run->out, "WARNING: group ");
    harness_has(run->out, above);
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, set, NULL), 0);
    harness_has(run->err, "WARNING: group ");
}

#define test(f) cmocka_unit_test_setup_teardown(f, run_set_up, run_tear_down)

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        test(all_that_a_run_makes),
        test(every_program_looks),
        test(other_disks),
        test(the_folder_and_those_above),
    };
    return cmocka_run_group_tests_name("own folder", tests, NULL, NULL);
}
