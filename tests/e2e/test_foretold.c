/* What `sluice check` foretells is what a run then does; and who is not told which consumer it is
 * goes by the name of the one that it takes. */
#include "base/err.h"
#include "cli/probe.h"
#include "tests/e2e/harness.h"
#include "tests/tiny_models.h"
#include "wiring/source.h"

#include <ftw.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pthread.h>

#include <cmocka.h>

enum { SECONDS = 60 };

static const char pipeline[] =
    "capture: { engine: synthetic, synthetic: { features: 64, width: 32, rows: 20000 } }\n"
    "sink: { size: 16MiB, slab: 100000 }\n"
    "trainer: { consumers: [left, right], batch_rows: 256, threads: 1,\n"
    "  saes: [ { arch: topk, features: 2048, k: 4 } ] }\n";

/* The number behind `what` in the output of `check`, its unit left out. */
static double foretold(struct run *run, const char *what, const char *set)
{
    const char *option = set ? "--set" : NULL;
    if (run_command(run, SECONDS, "sluice", "check", run->config, option, set, NULL) != 0)
        fail_msg("%s", run->err);
    const char *line = strstr(run->out, what);
    if (!line) fail_msg("no '%s' in: %s", what, run->out);
    char number[32];
    size_t used = 0;
    line += strlen(what) + strspn(line + strlen(what), " ");
    for (; *line && strchr("0123456789.,", *line) && used + 1 < sizeof number; line++)
        if (*line != ',') number[used++] = *line;
    number[used] = '\0';
    return strtod(number, NULL);
}

/* ---- sizes against those of a run ---- */

/* The capacity in what `check --json` says, asked with `extra` arguments; the caller decrefs. */
static json_t *capacity(struct run *run, const char *option, const char *value)
{
    if (run_command(run, SECONDS, "sluice", "check", run->config, "--json", option, value, NULL) !=
        0)
        fail_msg("%s", run->err);
    json_t *document = json_loads(run->out, 0, NULL);
    if (!document) fail_msg("no JSON: %s", run->out);
    json_t *object = json_incref(json_object_get(document, "capacity"));
    json_decref(document);
    return object;
}

static double size_of(const json_t *capacity, const char *key)
{
    const json_t *value = json_object_get(capacity, key);
    if (!json_is_number(value)) fail_msg("no number %s", key);
    return json_number_value(value);
}

/* Not above `times` as much as was foretold, nor below one `times`-th. */
static void is_about(const char *what, double found, double told, double times)
{
    if (!(found <= told * times && found * times >= told))
        fail_msg("%s: %.0f, and %.0f was foretold", what, found, told);
}

static void is_at_most(const char *what, double found, double told)
{
    if (!(found > 0 && found <= told))
        fail_msg("%s: %.0f, and at most %.0f was foretold", what, found, told);
}

static double found_bytes;

static int add_file(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)path;
    (void)walk;
    if (kind == FTW_F) found_bytes += (double)st->st_size;
    return 0;
}

/* Of all files of that kind below the run's folder. */
static double bytes_below(const struct run *run, const char *below)
{
    char path[2 * HARNESS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", run->state, below);
    found_bytes = 0;
    nftw(path, add_file, 8, FTW_PHYS);
    return found_bytes;
}

/* The newest checkpoint of a consumer. */
static double checkpoint_size(const struct run *run, const char *consumer)
{
    char pattern[2 * HARNESS_PATH_BYTES];
    struct stat st = {0};
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s/checkpoint-*.sluice", run->state, consumer);
    if (glob(pattern, 0, NULL, &found) != 0) fail_msg("no %s", pattern);
    assert_int_equal(stat(found.gl_pathv[found.gl_pathc - 1], &st), 0);
    globfree(&found);
    return (double)st.st_size;
}

static void files_are_as_large_as_foretold(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    json_t *c = capacity(run, NULL, NULL);
    assert_true(json_is_null(json_object_get(c, "trained_rows_per_second")));
    if (run_command(run, SECONDS, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    is_about("a checkpoint", checkpoint_size(run, "left"), size_of(c, "checkpoint_bytes"), 1.25);
    is_about("exports", bytes_below(run, "left/export") + bytes_below(run, "right/export"),
             size_of(c, "exports_disk_bytes"), 1.25);
    is_at_most("held-out rows",
               bytes_below(run, "left/held_out.rows") + bytes_below(run, "right/held_out.rows"),
               size_of(c, "held_out_disk_bytes"));
    is_at_most("the buffer", bytes_below(run, "buffer/data.mdb"), size_of(c, "buffer_disk_bytes"));
    is_at_most("logs", bytes_below(run, "log"), size_of(c, "logs_disk_bytes"));
    is_at_most("the run's folder", bytes_below(run, ""), size_of(c, "disk_bytes"));
    json_decref(c);
    c = capacity(run, "--capacity", "1000");
    is_about("time of training", size_of(c, "training_seconds"),
             20000 / size_of(c, "trained_rows_per_second"), 1.01);
    is_about("time of the stream", size_of(c, "stream_seconds"), 20, 1.01);
    json_decref(c);
}

static const char endless[] =
    "capture: { engine: synthetic, synthetic: { features: 256, width: 256, rows: 900000000 } }\n"
    "sink: { size: 64MiB }\n"
    "trainer: { batch_rows: 512, threads: 1, min_rows: 4096, eval_rows: 4096,\n"
    "  saes: [ { arch: topk, features: 8192, k: 8 } ] }\n";

static double await_metric(const struct run *run, const char *process, const char *name,
                           double least)
{
    double value = -1, until = harness_seconds() + SECONDS;
    while ((value = run_metric(run, process, name)) < least && harness_seconds() < until)
        harness_sleep(0.05);
    if (value < least) fail_msg("%s is %g", name, value);
    return value;
}

static void memory_and_frames_are_as_foretold(void **state)
{
    struct run *run = *state;
    run_configure(run, "", endless);
    json_t *c = capacity(run, NULL, NULL);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "main", 4096, SECONDS);
    await_metric(run, "sink", "sluice_sink_frames_total", 50);
    double bytes, frames, until = harness_seconds() + SECONDS;
    run_hold(run, "capture-0"); /* so that both numbers are of one time */
    do {
        if (harness_seconds() > until) fail_msg("frames come from a capture that is stopped");
        frames = run_metric(run, "sink", "sluice_sink_frames_total");
        bytes = run_metric(run, "sink", "sluice_sink_bytes_total");
    } while (frames < 0 || bytes < 0 ||
             run_metric(run, "sink", "sluice_sink_frames_total") != frames);
    run_let_go(run, "capture-0");
    is_about("bytes of a frame", bytes / frames,
             size_of(c, "row_wire_bytes") * size_of(c, "slab_rows"), 1.1);
    /* The program itself takes some beside what is foretold. */
    double told = size_of(c, "trainer_memory_bytes");
    double memory = await_metric(run, "trainer-main", "sluice_process_memory_bytes", told / 1.5);
    is_about("memory of a trainer", memory, told, 1.5);
    is_at_most("memory of the sink", run_metric(run, "sink", "sluice_process_memory_bytes"),
               size_of(c, "sink_memory_bytes"));
    is_at_most("memory of the broker", run_metric(run, "broker", "sluice_process_memory_bytes"),
               size_of(c, "broker_memory_bytes"));
    is_at_most("memory of a capture", run_metric(run, "capture-0", "sluice_process_memory_bytes"),
               size_of(c, "capture_memory_bytes"));
    kill(up, SIGTERM);
    run_wait(up, SECONDS);
    json_decref(c);
}

static void what_is_asked_is_looked_at(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    assert_int_equal(
        run_command(run, SECONDS, "sluice", "check", run->config, "--capacity", "many", NULL), 2);
    harness_has(run->err, "rows per second");
    assert_int_equal(
        run_command(run, SECONDS, "sluice", "check", run->config, "--width", "64", NULL), 2);
    harness_has(run->err, "rows have 32 values");
    run_configure(
        run, "policy: shed, hooks: [a, b]",
        "capture: { engine: ring }\ntrainer: { saes: [ { arch: topk, features: 64, k: 4 } ] }\n");
    json_t *c = capacity(run, NULL, NULL);
    assert_true(json_is_null(c));
    json_decref(c);
    c = capacity(run, "--width", "64");
    assert_true(size_of(c, "row_values") == 128);
    json_decref(c);
}

static void a_slab_holds_what_was_foretold(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    double rows = foretold(run, "rows per slab", NULL);
    if (run_command(run, SECONDS, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    char *text = run_text(run, "descriptor.json", NULL);
    json_t *descriptor = json_loads(text ? text : "", 0, NULL);
    assert_non_null(descriptor);
    assert_true(rows > 0 && rows == json_number_value(json_object_get(descriptor, "rows_a_slab")));
    json_decref(descriptor);
    free(text);
}

static void no_auxk_is_foretold(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    double with = foretold(run, "memory of a trainer, about", NULL);
    double without =
        foretold(run, "memory of a trainer, about", "trainer.saes.0.aux_coefficient=0");
    if (!(without > 0 && without < with)) fail_msg("with AuxK %g, without %g", with, without);
}

static void a_trainer_goes_by_the_consumer_that_it_takes(void **state)
{
    struct run *run = *state;
    run_configure(run, "", pipeline);
    pid_t broker = run_start(run, "broker", "sluice-broker", run->config, NULL);
    pid_t trainer = run_start(run, "trainer", "sluice-trainer", run->config, NULL);
    char *address = NULL;
    for (double until = harness_seconds() + SECONDS; !address && harness_seconds() < until;) {
        harness_sleep(0.05);
        address = run_text(run, "http/trainer-left", NULL);
        assert_null(run_text(run, "http/trainer-main", NULL));
    }
    kill(trainer, SIGTERM);
    run_wait(trainer, SECONDS);
    kill(broker, SIGTERM);
    run_wait(broker, SECONDS);
    assert_non_null(address);
    free(address);
}

static int trials;

static void on_fork(void)
{
    trials++;
}

/* A model is loaded by each trial, in a child process: of a large one that is most of what a check
 * takes. What it foretells and what it prepares come from one. */
static void a_model_is_tried_once(void **state)
{
    struct run *run = *state;
    char model[HARNESS_PATH_BYTES + 16], corpus[HARNESS_PATH_BYTES + 16], text[4096];
    struct config *config;
    struct probe probe;
    struct engine_forecast alone;
    snprintf(model, sizeof model, "%s/m.gguf", run->dir);
    tiny_write(model, &(struct tiny){.architecture = "llama", .layers = 3});
    snprintf(corpus, sizeof corpus, "%s/text.txt", run->dir);
    FILE *file = fopen(corpus, "w");
    assert_non_null(file);
    for (int i = 0; i < 200; i++) fprintf(file, "the line %d of a text\n", i);
    fclose(file);
    snprintf(text, sizeof text,
             "stream: { name: t, run_dir: %s, model: %s, hooks: [resid_post.1] }\n"
             "capture: { corpus: [%s], context_tokens: 16 }\n",
             run->state, model, corpus);
    if (config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) != ERR_OK)
        fail_msg("%s", err_text());
    pthread_atfork(on_fork, NULL, NULL);
    trials = 0;
    if (probe_engine(config, &probe) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(probe.width, TINY_WIDTH);
    assert_int_equal(trials, 1);
    assert_int_equal(source_forecast(config, &alone), ERR_OK);
    assert_int_equal(probe.forecast.layers, 3);
    assert_int_equal(probe.forecast.layers_kept, alone.layers_kept);
    assert_int_equal(probe.forecast.disk_bytes, alone.disk_bytes);
    assert_string_equal(probe.forecast.precision, alone.precision);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_slab_holds_what_was_foretold, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(files_are_as_large_as_foretold, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(memory_and_frames_are_as_foretold, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(what_is_asked_is_looked_at, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_model_is_tried_once, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(no_auxk_is_foretold, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_trainer_goes_by_the_consumer_that_it_takes, run_set_up,
                                        run_tear_down),
    };
    return cmocka_run_group_tests_name("foretold", tests, NULL, NULL);
}
