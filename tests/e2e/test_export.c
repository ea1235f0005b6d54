/* `sluice export`: from a run that goes on, and from what it left; the files are those that the
 * trainer itself writes at the end, byte for byte. */
#include "tests/e2e/harness.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 120, ROWS = 120000, ENDLESS = 1000000000 };

static void configure(struct run *run, int rows, const char *more)
{
    char rest[1024];
    snprintf(rest, sizeof rest,
             "capture: { engine: synthetic,\n"
             "           synthetic: { features: 64, width: 16, rows: %d, seed: 1 } }\n"
             "sink: { size: 32MiB }\n"
             "trainer: { batch_rows: 256, checkpoint_seconds: 1, %s\n"
             "           saes: [ { name: one, arch: topk, features: 64, k: 4 },\n"
             "                   { name: two, arch: batchtopk, features: 64, k: 4 } ] }\n",
             rows, more);
    run_configure(run, "dtype: f32", rest);
}

/* Runs `sluice export FILE DIR ARGUMENTS`; its exit code. DIR is below the test's own folder. */
static int export(struct run *run, const char *file, const char *dir, const char *to,
                  const char *sae)
{
    char place[HARNESS_PATH_BYTES + 64];
    snprintf(place, sizeof place, "%s/%s", run->dir, dir);
    if (sae)
        return run_command(run, SECONDS, "sluice", "export", file, place, "--to", to, "--sae", sae,
                           NULL);
    return run_command(run, SECONDS, "sluice", "export", file, place, "--to", to, NULL);
}

static void same_files(const struct run *run, const char *exported, const char *own)
{
    char a_name[256], b_name[256];
    snprintf(a_name, sizeof a_name, "../%s", exported);
    snprintf(b_name, sizeof b_name, "main/export/%s", own);
    run_same_files(run, a_name, b_name);
}

/* Nothing is left beside what was asked for. */
static void no_leftovers(const struct run *run)
{
    DIR *dir = opendir(run->dir);
    struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (strstr(entry->d_name, ".tmp")) fail_msg("%s is left", entry->d_name);
    closedir(dir);
}

static void while_it_goes_on(void **state)
{
    struct run *run = *state;
    configure(run, ENDLESS, "reuse: 1,");
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    static const char after[] = "two, after ";
    unsigned long long rows = 0;
    int exported = 0, code = 2;
    double until = harness_seconds() + SECONDS;
    while (code != 0 && harness_seconds() < until) { /* the first checkpoint comes after a second */
        code = export(run, run->config, "early", "saelens", NULL);
        if (code != 0) harness_has(run->err, "checkpoint");
        harness_sleep(0.05);
    }
    assert_int_equal(code, 0);
    until = harness_seconds() + SECONDS;
    for (int checkpoints = 0; checkpoints < 5;) { /* they come and go meanwhile */
        char name[32];
        snprintf(name, sizeof name, "again%d", exported++);
        code = export(run, run->config, name, "saelens", "two");
        if (code != 0) fail_msg("exit code %d: %s", code, run->err);
        harness_has(run->out, after);
        unsigned long long its_rows = strtoull(strstr(run->out, after) + strlen(after), NULL, 10);
        checkpoints += its_rows != rows;
        rows = its_rows;
        if (harness_seconds() > until) fail_msg("only %d checkpoints", checkpoints);
        harness_sleep(0.05);
    }
    kill(up, SIGTERM);
    assert_int_equal(run_wait(up, SECONDS), 0);
    char *cfg = run_text(run, "../early/one/cfg.json", NULL);
    assert_non_null(cfg);
    harness_has(cfg, "\"architecture\": \"topk\"");
    free(cfg);
    no_leftovers(run);
}

static void as_the_trainer_does(void **state)
{
    struct run *run = *state;
    char folder[HARNESS_PATH_BYTES + 16];
    configure(run, ROWS, "reuse: 4,");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 0);
    assert_int_equal(export(run, run->config, "all", "saelens", NULL), 0);
    harness_has(run->out, "one, after ");
    same_files(run, "all/one/sae_weights.safetensors", "one/saelens/sae_weights.safetensors");
    same_files(run, "all/two/sae_weights.safetensors", "two/saelens/sae_weights.safetensors");
    snprintf(folder, sizeof folder, "%s/main", run->state);
    assert_int_equal(export(run, folder, "sparse", "sparsify", "one"), 0);
    same_files(run, "sparse/synthetic/sae.safetensors", "one/sparsify/synthetic/sae.safetensors");
    no_leftovers(run);
}

static void named(struct run *run, const char *dir, const char *model_name)
{
    char name[64];
    snprintf(name, sizeof name, "../%s/cfg.json", dir);
    char *text = run_text(run, name, NULL);
    assert_non_null(text);
    harness_has(text, model_name);
    free(text);
}

/* What the configuration calls the model now is what it is called. */
static void by_the_name_that_it_has_now(void **state)
{
    struct run *run = *state;
    char place[HARNESS_PATH_BYTES + 64];
    configure(run, ROWS, "reuse: 4,");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, "--set",
                                 "stream.model_name=me/Then", NULL),
                     0);
    assert_int_equal(export(run, run->config, "then", "saelens", "one"), 0);
    named(run, "then", "\"me/Then\"");
    snprintf(place, sizeof place, "%s/now", run->dir);
    assert_int_equal(run_command(run, SECONDS, "sluice", "export", run->config, place, "--to",
                                 "saelens", "--sae", "one", "--set", "stream.model_name=me/Now",
                                 NULL),
                     0);
    named(run, "now", "\"me/Now\"");
}

/* The run's folder instead of its configuration. */
static void of_a_runs_folder(void **state)
{
    struct run *run = *state;
    configure(run, ROWS, "reuse: 1,");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 0);
    assert_int_equal(export(run, run->state, "only", "saelens", "two"), 0);
    same_files(run, "only/sae_weights.safetensors", "two/saelens/sae_weights.safetensors");
    assert_int_equal(export(run, run->dir, "none", "saelens", "two"), 2);
    harness_has(run->err, "there is no checkpoint in");
    configure(run, ROWS, "consumers: [main, other],");
    int code = run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    assert_int_equal(export(run, run->state, "a", "saelens", "one"), 2);
    harness_has(run->err, "is a run of several consumers; HINT: --consumer, of main, other");
    char place[HARNESS_PATH_BYTES + 64];
    snprintf(place, sizeof place, "%s/b", run->dir);
    code = run_command(run, SECONDS, "sluice", "export", run->state, place, "--to", "saelens",
                       "--consumer", "main", NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    same_files(run, "b/one/sae_weights.safetensors", "one/saelens/sae_weights.safetensors");
}

/* Where products are folded in, they are those of the trainer's own kernels. */
static void whitened_too(void **state)
{
    struct run *run = *state;
    configure(run, ROWS, "reuse: 4, whiten: true,");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 0);
    assert_int_equal(export(run, run->config, "all", "saelens", NULL), 0);
    same_files(run, "all/one/sae_weights.safetensors", "one/saelens/sae_weights.safetensors");
    same_files(run, "all/two/sae_weights.safetensors", "two/saelens/sae_weights.safetensors");
    char *cfg = run_text(run, "../all/one/cfg.json", NULL);
    assert_non_null(cfg);
    harness_has(cfg, "\"method\": \"zca\"");
    free(cfg);
}

static void refuses(struct run *run, const char *file, const char *dir, const char *to,
                    const char *sae, const char *words)
{
    assert_int_equal(export(run, file, dir, to, sae), 2);
    harness_has(run->err, words);
    no_leftovers(run);
}

static void what_cannot_be_is_told(void **state)
{
    struct run *run = *state;
    char place[HARNESS_PATH_BYTES + 64];
    configure(run, ROWS, "reuse: 4,");
    refuses(run, run->config, "a", "saelens", NULL, "there is no checkpoint in");
    refuses(run, "/nowhere/x.sluice", "a", "saelens", NULL, "there is no /nowhere/x.sluice");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 0);
    refuses(run, run->config, "a", "torch", NULL,
            "one of saelens, sparsify, circuit-tracer, hooks");
    refuses(run, run->config, "a", "saelens", "three", "it has one, two");
    refuses(run, run->config, "a", "sparsify", NULL,
            "two (batchtopk) cannot be told in sparsify's");
    assert_int_equal(export(run, run->config, "slash//", "saelens", "one"), 0);
    harness_has(run->out, "/slash\n");
    char *cfg = run_text(run, "../slash/cfg.json", NULL);
    assert_non_null(cfg);
    free(cfg);
    snprintf(place, sizeof place, "%s/full", run->dir);
    assert_int_equal(mkdir(place, 0700), 0);
    assert_int_equal(export(run, run->config, "full", "saelens", NULL), 0); /* empty is fine */
    refuses(run, run->config, "full", "saelens", NULL, "not an empty folder");
    snprintf(place, sizeof place, "%s/empty", run->dir);
    assert_int_equal(mkdir(place, 0700), 0);
    refuses(run, run->config, "empty", "sparsify", "two", "cannot be told");
    assert_int_equal(rmdir(place), 0); /* what failed leaves it as it was */
    run_write(run, "file", "mine");
    refuses(run, run->config, "file", "saelens", NULL, "not an empty folder");
    char *kept = run_text(run, "../file", NULL);
    assert_string_equal(kept, "mine");
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(while_it_goes_on, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(as_the_trainer_does, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(by_the_name_that_it_has_now, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(of_a_runs_folder, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(whitened_too, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_told, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
