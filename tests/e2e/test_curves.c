/*
 * The curves of a real run: whose trainer is killed and goes on from an older checkpoint, so that no step
 * is told twice and none with other numbers; and on a disk that takes none of them, where nothing waits.
 * tests/interop/test_curves.py reads them with TensorBoard's own reader.
 */
#include "tests/e2e/harness.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { SECONDS = 120, PAST_LINES = 8 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  synthetic: { features: 64, width: 64, rows: 240000, sequence_rows: 64 }\n"
    "sink: { size: 32MiB }\n"
    "trainer:\n"
    "  batch_rows: 256\n"
    "  threads: 1\n"
    "  checkpoint_seconds: 1\n"
    "  eval_rows: 2500\n"
    "  eval_seconds: 0.2\n"
    "  curves_seconds: 0.1\n"
    "  saes: [ { name: one, arch: topk, features: 1024, k: 8, lr: 1e-3 },\n"
    "          { name: two, arch: l1, features: 64, lr: 1e-3 } ]\n";

/* The lines as an array of objects; each is whole. */
static json_t *lines_of(const struct run *run)
{
    char *text = run_text(run, "main/metrics.jsonl", NULL), *rest = text;
    json_t *all = json_array();
    if (!text) fail_msg("there is no metrics.jsonl");
    assert_true(text[0] && text[strlen(text) - 1] == '\n');
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        json_t *object = json_loads(line, 0, NULL);
        if (!object) fail_msg("no JSON: %s", line);
        json_array_append_new(all, object);
    }
    free(text);
    return all;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static int is_of(const json_t *line, const char *sae)
{
    return strcmp(json_string_value(json_object_get(line, "sae")), sae) == 0;
}

/* Steps of an autoencoder strictly increase; so do rows and seconds. How many there are. */
static int steps_increase(const json_t *all, const char *sae)
{
    double steps = 0, rows = 0, seconds = 0;
    json_t *line;
    size_t i;
    int count = 0;
    json_array_foreach((json_t *)all, i, line)
    {
        if (!is_of(line, sae)) continue;
        if (!(number(line, "step") > steps && number(line, "rows") > rows &&
              number(line, "seconds") >= seconds))
            fail_msg("line %zu: step %g after %g, rows %g after %g, seconds %g after %g", i,
                     number(line, "step"), steps, number(line, "rows"), rows,
                     number(line, "seconds"), seconds);
        steps = number(line, "step");
        rows = number(line, "rows");
        seconds = number(line, "seconds");
        count++;
    }
    return count;
}

/* The last line of each has the numbers of summary.json. */
static void ends_as_the_summary(const json_t *all, const json_t *summary, size_t saes)
{
    size_t lines = json_array_size(all);
    assert_true(lines > saes);
    for (size_t i = 0; i < saes; i++) {
        const json_t *line = json_array_get(all, lines - saes + i);
        const json_t *sae = json_array_get(json_object_get(summary, "saes"), i);
        assert_true(is_of(line, json_string_value(json_object_get(sae, "name"))));
        assert_true(number(line, "step") == number(summary, "steps"));
        assert_true(number(line, "rows") == number(summary, "rows"));
        assert_true(number(line, "dead") == number(sae, "dead"));
        assert_true(fabs(number(line, "fve") - number(sae, "fve")) < 1e-8);
        assert_true(fabs(number(line, "l0") - number(sae, "l0")) < 1e-6);
        assert_true(number(line, "held_out_step") == number(line, "step"));
    }
}

static int files_in(const struct run *run, const char *folder)
{
    char path[HARNESS_PATH_BYTES + 64];
    struct dirent *entry;
    int files = 0;
    snprintf(path, sizeof path, "%s/%s", run->state, folder);
    DIR *dir = opendir(path);
    if (!dir) fail_msg("there is no %s", path);
    while ((entry = readdir(dir))) files += strstr(entry->d_name, ".tfevents.") != NULL;
    closedir(dir);
    return files;
}

/* The step of the newest checkpoint; 0: there is none. */
static double covered_step(const struct run *run)
{
    char command[HARNESS_PATH_BYTES + 64], name[HARNESS_PATH_BYTES] = "";
    snprintf(command, sizeof command, "ls %s/main/checkpoint-*.sluice 2>/dev/null | tail -n 1",
             run->state);
    FILE *listed = popen(command, "r");
    assert_non_null(listed);
    const char *digits = fgets(name, sizeof name, listed) ? strstr(name, "checkpoint-") : NULL;
    pclose(listed);
    return digits ? strtod(digits + strlen("checkpoint-"), NULL) : 0;
}

/* Lines of steps beyond it. */
static int lines_past(const struct run *run, double covered)
{
    char *text = run_text(run, "main/metrics.jsonl", NULL);
    int lines = 0;
    for (char *at = text; at && (at = strstr(at, "{\"step\":")); at++)
        lines += strtod(at + strlen("{\"step\":"), NULL) > covered;
    free(text);
    return lines;
}

/* Wait until there are some that a life from the newest checkpoint on will make again. 0: the run ended
 * before. */
static int await_lines_past_a_checkpoint(const struct run *run)
{
    double end = harness_seconds() + SECONDS, covered;
    while (!((covered = covered_step(run)) > 0 && lines_past(run, covered) >= PAST_LINES)) {
        json_t *summary = run_summary(run, "main");
        json_decref(summary);
        if (summary) return 0;
        if (harness_seconds() > end) fail_msg("no lines beyond the checkpoint of step %g", covered);
        harness_sleep(0.02);
    }
    return run_kill(run, "trainer-main");
}

/* A run whose trainer is killed in its midst: of more rows where this machine was too fast. */
static void run_and_kill(struct run *run)
{
    char rows[64];
    for (unsigned thousands = 240; thousands < 20000; thousands *= 4) {
        snprintf(rows, sizeof rows, "capture.synthetic.rows=%u000", thousands);
        pid_t up =
            run_start(run, "up", "sluice", "up", "--fresh", run->config, "--set", rows, NULL);
        int was_killed = await_lines_past_a_checkpoint(run);
        assert_int_equal(run_wait(up, SECONDS), 0);
        if (was_killed) return;
    }
    fail_msg("no run was long enough to be killed");
}

static void a_killed_trainer_tells_no_step_twice(void **state)
{
    struct run *run = *state;
    run_configure(run, "dtype: f32", pipeline);
    run_and_kill(run);
    json_t *all = lines_of(run), *summary = run_summary(run, "main");
    assert_non_null(summary);
    int points = steps_increase(all, "one");
    assert_true(points > 10);
    assert_int_equal(steps_increase(all, "two"), points);
    ends_as_the_summary(all, summary, 2);
    assert_int_equal(files_in(run, "main/tensorboard/one"), 2); /* one for each life */
    assert_int_equal(files_in(run, "main/tensorboard/two"), 2);
    char *log = run_text(run, "log/trainer-main.log", NULL);
    harness_has(log, "curves are cut to the checkpoint");
    harness_has(log, "main/metrics.jsonl tensorboard=");
    free(log);
    log = run_text(run, "../up.out", NULL);
    harness_has(log, "curves      ");
    harness_has(log, "tensorboard --logdir ");
    free(log);
    json_decref(all);
    json_decref(summary);
}

/* A disk of one page for TensorBoard's files. */
static const char full_disk_script[] =
    "folder=$1 kept=$2; shift 2\n"
    "mkdir -p $folder && mount -t tmpfs -o size=4k,mode=700 tmpfs $folder || exit 9\n"
    "\"$@\"\n"
    "code=$?; cp -r $folder $kept; exit $code\n";

static void a_full_disk_holds_nothing_up(void **state)
{
    struct run *run = *state;
    char script[HARNESS_PATH_BYTES + 64], folder[HARNESS_PATH_BYTES + 64];
    char kept[HARNESS_PATH_BYTES + 64], sluice[HARNESS_PATH_BYTES],
        command[HARNESS_PATH_BYTES + 128];
    if (system("unshare -rm true 2>/dev/null") != 0) {
        print_message("this machine lets nobody mount a small disk\n");
        skip();
    }
    run_configure(run, "dtype: f32", pipeline);
    run_write(run, "full.sh", full_disk_script);
    snprintf(script, sizeof script, "%s/full.sh", run->dir);
    snprintf(folder, sizeof folder, "%s/main/tensorboard", run->state);
    snprintf(kept, sizeof kept, "%s/kept", run->dir);
    run_program("sluice", sluice);
    int code = run_command(run, SECONDS, "/usr/bin/unshare", "-rm", "/bin/sh", script, folder, kept,
                           sluice, "up", run->config, "--set", "up.restart=false", "--set",
                           "capture.synthetic.rows=60000", NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    json_t *all = lines_of(run), *summary = run_summary(run, "main");
    assert_true(steps_increase(all, "one") > 10);
    ends_as_the_summary(all, summary, 2);
    json_decref(all);
    json_decref(summary);
    char *log = run_text(run, "log/trainer-main.log", NULL);
    char *lost = strstr(log, "a point of the curves is lost");
    if (!lost || strstr(lost + 1, "a point of the curves is lost"))
        fail_msg("it is to be told once: %s", log);
    harness_has_not(log, "waiting for room");
    free(log);
    snprintf(command, sizeof command, "test -n \"$(find %s -name '*.tfevents.*')\"", kept);
    assert_int_equal(system(command), 0); /* it was tried there */
}

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_trainer_tells_no_step_twice, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_holds_nothing_up, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("curves", tests, NULL, NULL);
}
