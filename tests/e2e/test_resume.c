/*
 * A run whose rate and batch are changed while it is stopped, and whose trainer is killed between:
 * summary, history, exports and the table tell each part as it was trained, and the schedule still
 * ends where the rows end.
 */
#include "sae/checkpoint.h"
#include "tests/e2e/harness.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { ROWS = 240000, LIFE = 15000, SECONDS = 120 };

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
    "  saes: [ { name: one, arch: topk, features: 2048, k: 8, lr: 1e-3 },\n"
    "          { name: two, arch: l1, features: 64, lr: 1e-3 } ]\n";

static pid_t resume(struct run *run, const char *rate, const char *batch)
{
    char sae[64], trainer[64];
    snprintf(sae, sizeof sae, "trainer.saes.0.lr=%s", rate);
    snprintf(trainer, sizeof trainer, "trainer.batch_rows=%s", batch);
    return run_start(run, "up", "sluice", "up", run->config, "--set", sae, "--set", trainer, NULL);
}

static void stop_at(struct run *run, pid_t up, uint64_t rows)
{
    run_await_drawn(run, "main", rows, SECONDS);
    assert_int_equal(kill(up, SIGINT), 0);
    assert_int_equal(run_wait(up, SECONDS), 0);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void change_is(const json_t *change, const char *key, double old, double new, double from)
{
    assert_string_equal(json_string_value(json_object_get(change, "key")), key);
    assert_true(number(change, "old") == old);
    assert_true(number(change, "new") == new);
    if (!(number(change, "from_step") > from))
        fail_msg("%s changed from step %g on, not behind %g", key, number(change, "from_step"),
                 from);
    assert_true(number(change, "from_step") < number(change, "from_rows"));
}

/* Each line of the history has the rate and the batch of its step; the last step's rate is all but
 * nothing, as the decay ends with the rows. */
static void history_tells(const struct run *run, const json_t *rates, const json_t *batch)
{
    char *text = run_text(run, "main/history.tsv", NULL), name[64];
    unsigned long step;
    double rows, lr, batch_rows, rate = NAN;
    int lines = 0;
    assert_non_null(text);
    assert_non_null(strstr(text, "\tdead\tlr\tbatch_rows\trate\tlambda\n"));
    for (char *line = strchr(text, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
        if (sscanf(line, "%lu %lf %*s %63s %*s %*s %*s %*s %*s %*s %lf %lf %lf", &step, &rows, name,
                   &lr, &batch_rows, &rate) != 6)
            continue; /* of a step that this life did not make */
        assert_true(batch_rows == ((double)step > number(batch, "from_step") ? 128 : 256));
        if (strcmp(name, "one") != 0) continue;
        double wanted = 1e-3;
        for (size_t i = 0; i < json_array_size(rates); i++)
            if ((double)step > number(json_array_get(rates, i), "from_step"))
                wanted = number(json_array_get(rates, i), "new");
        if (lr != wanted) fail_msg("step %lu has lr %g, and should have %g", step, lr, wanted);
        lines++;
    }
    assert_true(lines > 3);
    if (!(rate < 0.03e-3)) fail_msg("the last step's rate is %g: the decay has not ended", rate);
    free(text);
}

static void export_tells(const struct run *run, const json_t *summary)
{
    char *text = run_text(run, "main/export/one/saelens/cfg.json", NULL);
    json_t *cfg = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *metadata = json_object_get(cfg, "metadata"), *saes, *changes;
    assert_non_null(metadata);
    saes = json_object_get(summary, "saes");
    changes = json_object_get(metadata, "training_changes");
    assert_int_equal(json_array_size(changes), 3); /* two of the rate, one of the batch */
    assert_true(json_equal(json_array_get(changes, 0),
                           json_array_get(json_object_get(summary, "changes"), 0)));
    assert_true(number(json_object_get(metadata, "training_settings"), "lr") == 5e-4);
    assert_true(number(metadata, "training_tokens") == number(summary, "rows"));
    assert_true(number(metadata, "training_unique_tokens") == number(summary, "rows"));
    assert_true(number(metadata, "fve") == number(json_array_get(saes, 0), "fve"));
    assert_true(number(metadata, "l0") == number(json_array_get(saes, 0), "l0"));
    assert_string_equal(json_string_value(json_object_get(metadata, "model_name")), "me/Model");
    assert_string_equal(json_string_value(json_object_get(metadata, "dataset_path")), "me/books");
    json_decref(cfg);
    free(text);
}

static void a_run_is_told_as_it_was(void **state)
{
    struct run *run = *state;
    run_configure(run, "dtype: f32, model_name: me/Model, dataset: me/books", pipeline);
    stop_at(run, resume(run, "1e-3", "256"), LIFE);
    uint64_t drawn = run_drawn(run, "main"); /* a stop may come late: each life makes its own */
    pid_t up = resume(run, "2e-3", "256");
    run_await_drawn(run, "main", drawn + 2 * LIFE, SECONDS);
    drawn = run_drawn(run, "main");
    assert_int_equal(run_kill(run, "trainer-main"), 1);
    stop_at(run, up, drawn + LIFE);
    drawn = run_drawn(run, "main");
    up = resume(run, "2e-3", "128");
    stop_at(run, up, drawn + LIFE);
    up = resume(run, "5e-4", "128");
    assert_int_equal(run_wait(up, SECONDS), 0);
    json_t *summary = run_summary(run, "main");
    const json_t *all = json_object_get(summary, "changes"),
                 *saes = json_object_get(summary, "saes");
    const json_t *one = json_object_get(json_array_get(saes, 0), "changes");
    assert_int_equal(json_array_size(all), 1);
    assert_int_equal(json_array_size(one), 2);
    assert_int_equal(json_array_size(json_object_get(json_array_get(saes, 1), "changes")), 0);
    change_is(json_array_get(one, 0), "lr", 1e-3, 2e-3, LIFE / 256 - 1);
    change_is(json_array_get(all, 0), "batch_rows", 256, 128, 4 * LIFE / 256 - 1);
    /* The stop before may have come late: from there to the next one in batches of 128. */
    const json_t *halved = json_array_get(all, 0);
    double rest = (5 * LIFE - number(halved, "from_rows")) / 128;
    change_is(json_array_get(one, 1), "lr", 2e-3, 5e-4,
              number(halved, "from_step") + (rest > 0 ? rest : 0) - 2);
    assert_true(number(summary, "changes_known_from_step") == 0);
    history_tells(run, one, json_array_get(all, 0));
    export_tells(run, summary);
    json_decref(summary);
    assert_int_equal(run_command(run, SECONDS, "sluice", "status", run->config, NULL), 0);
    assert_non_null(strstr(run->out, "one: lr was 0.001 up to step "));
    assert_non_null(strstr(run->out, " rows), then 0.002 up to step "));
    assert_non_null(strstr(run->out, " rows), then 0.0005\n"));
    assert_non_null(strstr(run->out, "main: batch_rows was 256 up to step "));
}

/* Thresholds that nothing can pay for: all features end dead, and that is said. */
static void a_dead_autoencoder_is_told(void **state)
{
    struct run *run = *state;
    run_configure(
        run, "dtype: f32",
        "capture: { engine: synthetic, synthetic: { features: 64, width: 24, rows: 40000 } }\n"
        "sink: { size: 32MiB }\n"
        "trainer:\n"
        "  reuse: 4\n"
        "  batch_rows: 256\n"
        "  saes: [ { name: dead, arch: jumprelu, features: 64, lr: 3e-3, lambda: 10 },\n"
        "          { name: well, arch: topk, features: 64, k: 4, lr: 3e-3 } ]\n");
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 0);
    assert_non_null(strstr(run->out, "WARNING: dead: lambda 10 is much for rows of 24 values"));
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 0);
    assert_non_null(strstr(run->out, "WARNING: dead: no feature fires (L0 0; 64 of 64 are dead); "
                                     "HINT: lower lambda (10"));
    assert_null(strstr(run->out, "WARNING: well"));
    json_t *summary = run_summary(run, "main");
    const json_t *saes = json_object_get(summary, "saes");
    assert_int_equal(json_array_size(json_object_get(json_array_get(saes, 0), "warnings")), 1);
    assert_int_equal(json_array_size(json_object_get(json_array_get(saes, 1), "warnings")), 0);
    json_decref(summary);
    char *log = run_text(run, "log/trainer-main.log", NULL);
    assert_non_null(log);
    assert_non_null(strstr(log, "level=warn"));
    assert_non_null(strstr(log, "autoencoder dead: no feature fires"));
    free(log);
}

/* The newest checkpoint of the consumer, of a trainer of tomorrow. */
static void write_newer_checkpoint(const struct run *run)
{
    static const char words[] =
        "{\"version\": 2, \"held_out_rows\": 0, \"steps\": 900000, \"rows\": "
        "9, \"reuse\": 1, \"seed\": 0, \"batch_rows\": 64, \"saes\": 2, "
        "\"seconds\": 1.5}";
    char folder[HARNESS_PATH_BYTES + 8];
    struct checkpoint_writer *writer;
    snprintf(folder, sizeof folder, "%s/main", run->state);
    assert_int_equal(checkpoint_begin(folder, 900000, &writer), 0);
    assert_int_equal(checkpoint_put(writer, "trainer", words, strlen(words)), 0);
    assert_int_equal(checkpoint_commit(writer, 5), 0);
}

/* Exit code 2 at the first try: a person must decide. The older one is not taken in its place. */
static void a_newer_checkpoint_is_a_persons_matter(void **state)
{
    struct run *run = *state;
    run_configure(run, "dtype: f32", pipeline);
    stop_at(run, resume(run, "1e-3", "256"), 20000);
    write_newer_checkpoint(run);
    int code = run_command(run, SECONDS, "sluice", "up", run->config, NULL);
    if (code != 2) fail_msg("it ends with %d: %s", code, run->err);
    if (!strstr(run->err, "is of version 2, this trainer knows 1; HINT: "))
        fail_msg("%s", run->err);
}

/* A number of the trainer, once it tells that. */
static double told(const struct run *run, const char *name)
{
    double end = harness_seconds() + 60, value;
    while ((value = run_metric(run, "trainer-main", name)) < 0 && harness_seconds() < end)
        harness_sleep(0.1);
    if (value < 0) fail_msg("nothing is told of %s", name);
    return value;
}

/* A life of the trainer alone, until it waits for rows: how many it and those before have trained
 * on. It has no checkpoint to make, and `*written` is when the last one was. */
static double rows_of_life(struct run *run, double least_rows, double *written)
{
    double end = harness_seconds() + SECONDS;
    pid_t trainer = run_start(run, "trainer", "sluice-trainer", run->config, "--set",
                              "trainer.checkpoint_seconds=1000", NULL);
    while (run_metric(run, "trainer-main", "sluice_trainer_waiting") < 1) {
        double now = run_metric(run, "trainer-main", "sluice_trainer_rows_total");
        if (now >= 0 && now < least_rows) fail_msg("%g rows, behind %g", now, least_rows);
        assert_true(harness_seconds() < end);
        harness_sleep(0.02);
    }
    harness_sleep(1);
    double rows = told(run, "sluice_trainer_rows_total");
    assert_true(told(run, "sluice_trainer_steps_total") >= rows / 256);
    assert_true(told(run, "sluice_trainer_skipped_rows_total") == 0);
    assert_true(told(run, "sluice_trainer_skipped_steps_total{sae=\"one\"}") == 0);
    *written = told(run, "sluice_trainer_last_checkpoint_time_seconds");
    assert_int_equal(kill(trainer, SIGTERM), 0);
    assert_int_equal(run_wait(trainer, SECONDS), 0);
    return rows;
}

/* A run that is started again while no rows come: what earlier lives counted is told at once, and 0
 * never, which would be a life's work within a scrape. Nor has a life written a checkpoint by
 * beginning. */
static void what_was_trained_is_told_at_once(void **state)
{
    struct run *run = *state;
    double written;
    run_configure(run, "dtype: f32", pipeline);
    stop_at(run, resume(run, "1e-3", "256"), 20000);
    double rows = rows_of_life(run, 20000, &written); /* it may draw what is left */
    harness_sleep(2.1);                               /* a page shows whole seconds of the time */
    double started = (double)time(NULL), again = rows_of_life(run, rows, &written);
    if (again != rows) fail_msg("%g rows, and then %g", rows, again);
    if (!(written > started - SECONDS && written < started))
        fail_msg("a checkpoint of %.3f, in a life that began at %.0f", written, started);
}

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_is_told_as_it_was, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_was_trained_is_told_at_once, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(a_newer_checkpoint_is_a_persons_matter, run_set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(a_dead_autoencoder_is_told, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("resume", tests, NULL, NULL);
}
