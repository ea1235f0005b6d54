/*
 * A program that is steered says what `sluice steer` says: tests/hosts/batched, which knows
 * nothing of it, with a tiny model and an SAE in SAELens's layout.
 */
#include "sae/export/export.h"
#include "tests/e2e/harness.h"
#include "tests/unit/client/ring_reader.h"
#include "tests/unit/inspect/tiny_subject.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>

enum { SECONDS = 60 };

static char sae[2 * HARNESS_PATH_BYTES], model[2 * HARNESS_PATH_BYTES];
static char prompts[2 * HARNESS_PATH_BYTES], host[HARNESS_PATH_BYTES];
static const char prompt[] = "the cat";

static int set_up(void **state)
{
    if (run_set_up(state) != 0) return -1;
    struct run *run = *state;
    struct tiny tiny = {.architecture = "llama", .layers = TINY_LAYERS};
    struct subject subject;
    struct export_options options = {
        .model_name = "tiny", .hook_name = "resid_post.1", .prepends_bos = 1};
    snprintf(sae, sizeof sae, "%s/sae", run->dir);
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    snprintf(prompts, sizeof prompts, "%s/prompts.txt", run->dir);
    tiny_write(model, &tiny);
    tiny_subject("resid_post.1", &subject);
    int result = export_saelens(model_view(&subject.model), &options, sae);
    subject_close(&subject);
    run_program("tests/hosts/batched", host);
    run_write(run, "prompts.txt", prompt);
    return result;
}

static void must(struct run *run, int code)
{
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

/* ---- what is said ---- */

/* Token ids, as the host prints them. */
static void tokens_of_steer(struct run *run, const char *features, const char *largest,
                            const char *which, char *out)
{
    must(run, run_command(run, SECONDS, "sluice", "steer", sae, "--model", model, "--exact-model",
                          "--threads", "1", "--prompt", prompt, "--tokens", "24", "--temperature",
                          "0", "--json", "--max", largest, "--features", features, NULL));
    json_t *json = json_loads(run->out, 0, NULL), *token;
    size_t i, used = (size_t)sprintf(out, "slot 0:");
    json_array_foreach(json_object_get(json_object_get(json, which), "tokens"), i, token) used +=
        (size_t)sprintf(out + used, " %d", (int)json_integer_value(token));
    assert_int_equal(i, 24);
    sprintf(out + used, "\n");
    json_decref(json);
}

#define HOST_WORDS                                                                                 \
    "--", host, model, "--slots", "1", "--steps", "24", "--threads", "1", "--prompts", prompts, NULL

static void the_tokens_are_those_of_sluice_steer(void **state)
{
    char plain[512], steered[512];
    struct run *run = *state;
    static const char *const all[] = {"3=4x", "3=-30,5=2x"}, *const largest[] = {"3=10", "5=4"};
    for (size_t i = 0; i < 2; i++) {
        tokens_of_steer(run, all[i], largest[i], "unsteered", plain);
        tokens_of_steer(run, all[i], largest[i], "steered", steered);
        assert_string_not_equal(plain, steered);
        must(run, run_command(run, SECONDS, "sluice", "tap", "--steer", all[i], "--max", largest[i],
                              "--sae", sae, HOST_WORDS));
        assert_string_equal(run->out, steered);
    }
    must(run, run_command(run, SECONDS, "sluice", "tap", HOST_WORDS));
    assert_string_equal(run->out, plain);
}

static void what_cannot_be_steered(void **state)
{
    struct run *run = *state;
    static const struct {
        const char *option, *value, *words;
    } all[] = {
        {"--steer", "3=4x", "what that is"}, /* no --max, no --index */
        {"--steer", "999999=3", "has 0 to"},
        {"--steer", "cat", "HINT: FEATURE=TIMESx"},
        {"--max", "3=10", "--max goes with --steer"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int has_sae = strcmp(all[i].option, "--steer") == 0;
        int code = has_sae ? run_command(run, SECONDS, "sluice", "tap", all[i].option, all[i].value,
                                         "--sae", sae, HOST_WORDS)
                           : run_command(run, SECONDS, "sluice", "tap", all[i].option, all[i].value,
                                         HOST_WORDS);
        if (code != 2) fail_msg("%s: exit code %d", all[i].value, code);
        harness_has(run->err, all[i].words);
        harness_has_not(run->out, "slot 0");
    }
    assert_int_equal(run_command(run, SECONDS, "sluice", "tap", "--steer", "3=4", HOST_WORDS), 2);
    harness_has(run->err, "--sae RUN");
}

/* Files in the folder of sockets. */
static int files_of(const struct run *run)
{
    char taps[2 * HARNESS_PATH_BYTES];
    int files = 0;
    snprintf(taps, sizeof taps, "%s/taps", run->dir);
    DIR *dir = opendir(taps);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) files += e->d_name[0] != '.';
    closedir(dir);
    return files;
}

/* Programs that the script runs first have the tap too, and begin alike. */
static void a_script_that_runs_other_programs_first(void **state)
{
    char steered[512], text[4 * HARNESS_PATH_BYTES], script[2 * HARNESS_PATH_BYTES];
    struct run *run = *state;
    tokens_of_steer(run, "3=4x", "3=10", "steered", steered);
    snprintf(script, sizeof script, "%s/script", run->dir);
    snprintf(text, sizeof text, "#!/bin/sh\nset -e\n/usr/bin/dirname /a/b >&2\nexec %s \"$@\"\n",
             host);
    run_write(run, "script", text);
    assert_int_equal(chmod(script, 0700), 0);
    must(run, run_command(run, SECONDS, "sluice", "tap", "--steer", "3=4x", "--max", "3=10",
                          "--sae", sae, "--", script, model, "--slots", "1", "--steps", "24",
                          "--threads", "1", "--prompts", prompts, NULL));
    assert_string_equal(run->out, steered);
    assert_int_equal(files_of(run), 0);
}

/* The program made no context. */
static void a_table_that_nobody_takes_goes_after_a_day(void **state)
{
    struct timespec then[2];
    char table[2 * HARNESS_PATH_BYTES];
    struct run *run = *state;
    must(run, run_command(run, SECONDS, "sluice", "tap", "--steer", "3=4", "--sae", sae, "--",
                          "/bin/true", NULL));
    must(run, run_command(run, SECONDS, "sluice", "tap", "list", NULL));
    assert_int_equal(files_of(run), 1);
    snprintf(table, sizeof table, "%s/taps/steer-old", run->dir);
    run_write(run, "taps/steer-old", "");
    clock_gettime(CLOCK_REALTIME, &then[0]);
    then[0].tv_sec -= 25 * 3600;
    then[1] = then[0];
    assert_int_equal(utimensat(AT_FDCWD, table, then, 0), 0);
    must(run, run_command(run, SECONDS, "sluice", "tap", "list", NULL));
    assert_int_equal(files_of(run), 1);
}

/* The system finds the program and cannot begin it. */
static void a_program_that_does_not_begin_leaves_no_table(void **state)
{
    struct run *run = *state;
    char script[2 * HARNESS_PATH_BYTES];
    snprintf(script, sizeof script, "%s/script", run->dir);
    run_write(run, "script", "#!/there/is/none\n");
    assert_int_equal(chmod(script, 0700), 0);
    assert_int_equal(run_command(run, SECONDS, "sluice", "tap", "--steer", "3=4", "--sae", sae,
                                 "--", script, NULL),
                     127);
    harness_has(run->err, "No such file");
    assert_int_equal(files_of(run), 0);
}

/* ---- while it runs ---- */

/* A value of `sluice tap list --json` about the only program. */
static json_t *listed(struct run *run)
{
    must(run, run_command(run, SECONDS, "sluice", "tap", "list", "--json", NULL));
    json_t *all = json_loads(run->out, 0, NULL), *one = json_incref(json_array_get(all, 0));
    if (!one) fail_msg("no program is tapped: %s", run->out);
    json_decref(all);
    return one;
}

static json_int_t number_of(struct run *run, const char *key)
{
    json_t *one = listed(run);
    json_int_t number = json_integer_value(json_object_get(one, key));
    json_decref(one);
    return number;
}

static void await_more(struct run *run, const char *key, json_int_t than)
{
    double until = harness_seconds() + 30;
    while (number_of(run, key) <= than)
        if (harness_seconds() > until) fail_msg("%s stays at %lld", key, (long long)than);
}

/* On, stronger and off without a restart; what was steered is counted and left out of the stream. */
static void it_is_changed_while_the_program_runs(void **state)
{
    struct run *run = *state;
    char config[2 * HARNESS_PATH_BYTES], rings[2 * HARNESS_PATH_BYTES];
    snprintf(rings, sizeof rings, "capture: { engine: ring, rings: %s/rings }\n", run->dir);
    run_configure(run, "policy: shed, hooks: [resid_post.1]", rings);
    snprintf(config, sizeof config, "%s", run->config);
    pid_t pid = run_start(run, "host", "sluice", "tap", config, "--set", "stream.name=steered",
                          "--", host, model, "--slots", "2", "--steps", "100000", "--rounds",
                          "1000", "--context", "2048", "--shift", "200", "--threads", "1", NULL);
    double until = harness_seconds() + 30;
    while (run_command(run, SECONDS, "sluice", "tap", "set", "--share", "1", NULL) != 0)
        if (harness_seconds() > until) fail_msg("it never runs: %s", run->err);
    await_more(run, "captured_rows", 0);
    must(run,
         run_command(run, SECONDS, "sluice", "tap", "set", "--steer", "3=20", "--sae", sae, NULL));
    harness_has(run->out, "3=20, features of sae at blocks.1.hook_resid_post");
    await_more(run, "steered_tokens", 0);
    await_more(run, "steered_rows", 0);
    await_more(run, "stale_tokens", 0); /* what was cached before was not steered */
    json_int_t captured = number_of(run, "captured_rows");
    await_more(run, "steered_rows", number_of(run, "steered_rows"));
    assert_int_equal(number_of(run, "captured_rows"), captured);
    must(run, run_command(run, SECONDS, "sluice", "tap", "set", "--steer", "3=40,5=1", "--sae", sae,
                          "--keep-steered", NULL));
    await_more(run, "captured_rows", captured);
    must(run, run_command(run, SECONDS, "sluice", "tap", "set", "--steer", "off", NULL));
    harness_has_not(run->out, "features of");
    json_int_t steered = number_of(run, "steered_tokens");
    await_more(run, "passes", number_of(run, "passes"));
    assert_int_equal(number_of(run, "steered_tokens"), steered);
    assert_int_not_equal(
        run_command(run, SECONDS, "sluice", "tap", "set", "--steer", "3=1", "--sae", prompts, NULL),
        0);
    kill(pid, SIGKILL);
    run_wait(pid, 10);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, run_tear_down)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        CASE(the_tokens_are_those_of_sluice_steer),
        CASE(what_cannot_be_steered),
        CASE(a_script_that_runs_other_programs_first),
        CASE(a_table_that_nobody_takes_goes_after_a_day),
        CASE(a_program_that_does_not_begin_leaves_no_table),
        CASE(it_is_changed_while_the_program_runs),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
