/* What `sluice check` foretells is what a run then does; and who is not told which consumer it is
 * goes by the name of the one that it takes. */
#include "base/err.h"
#include "cli/probe.h"
#include "tests/e2e/harness.h"
#include "tests/tiny_models.h"
#include "wiring/source.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    for (int i = 0; i < 200 && !address; i++) {
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
        cmocka_unit_test_setup_teardown(a_model_is_tried_once, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(no_auxk_is_foretold, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_trainer_goes_by_the_consumer_that_it_takes, run_set_up,
                                        run_tear_down),
    };
    return cmocka_run_group_tests_name("foretold", tests, NULL, NULL);
}
