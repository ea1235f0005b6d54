/* Settings that a resume changed: told as they were, over several resumes, through checkpoints of
 * this build and of older ones, and counted on with the right number of steps. */
#include "wiring/changes.h"

#include "base/err.h"
#include "base/fileio.h"
#include "sae/checkpoint.h"
#include "trainer/save.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

/* Two SAEs, one of topk and one of l1, with these keys of the first. */
static json_t *settings_of(const char *trainer, const char *sae)
{
    char text[1024];
    struct config *config;
    struct plan plan = {0};
    json_t *settings;
    snprintf(text, sizeof text,
             "stream: { name: test, run_dir: /tmp/x }\ncapture: { engine: synthetic }\n"
             "trainer: { %s saes: [ { name: a, arch: topk, features: 16, k: 2, %s },\n"
             "  { name: b, arch: l1, features: 16 } ] }\n",
             trainer, sae);
    if (config_parse(text, strlen(text), "test", NULL, 0, &config) != ERR_OK)
        fail_msg("%s", err_text());
    struct sae_options options[2];
    for (int i = 0; i < 2; i++) {
        sae_options_default(config->trainer.saes[i].options.arch, &options[i]);
        options[i].learning_rate = config->trainer.saes[i].options.learning_rate;
        options[i].decay = config->trainer.saes[i].options.decay;
        options[i].batch_rows = config->trainer.batch_rows;
    }
    plan.sae = options;
    struct view views[2] = {{.is_whole = 1}, {.is_whole = 1}};
    plan.view = views;
    plan.saes = 2;
    plan.batch_rows = config->trainer.batch_rows;
    assert_int_equal(changes_settings(config, &plan, "plain", &settings), ERR_OK);
    config_free(config);
    return settings;
}

static void is(const json_t *changes, size_t i, int sae, const char *key, int step, double old,
               double new)
{
    const json_t *change = json_array_get(changes, i), *of = json_object_get(change, "sae");
    assert_string_equal(json_string_value(json_object_get(change, "key")), key);
    assert_int_equal(json_is_integer(of) ? json_integer_value(of) : CHANGES_OF_TRAINER, sae);
    assert_int_equal(json_integer_value(json_object_get(change, "from_step")), step);
    assert_int_equal(json_integer_value(json_object_get(change, "from_rows")), 100 * step);
    assert_true(json_number_value(json_object_get(change, "old")) == old);
    assert_true(json_number_value(json_object_get(change, "new")) == new);
}

/* One resume after another; the settings of the last are left in *settings. */
static void resume(json_t *changes, json_t **settings, const char *trainer, const char *sae,
                   uint64_t step)
{
    json_t *now = settings_of(trainer, sae);
    assert_int_equal(changes_add(changes, *settings, now, step, 100 * step), ERR_OK);
    json_decref(*settings);
    *settings = now;
}

static void each_resume_tells_what_it_changed(void **state)
{
    (void)state;
    json_t *changes = json_array(), *settings = settings_of("", "lr: 1e-3");
    resume(changes, &settings, "", "lr: 1e-3", 5);
    assert_int_equal(json_array_size(changes), 0);
    resume(changes, &settings, "", "lr: 2e-3", 10);
    resume(changes, &settings, "batch_rows: 64,", "lr: 2e-3", 20);
    resume(changes, &settings, "batch_rows: 64,", "lr: 1e-3, decay: 0.5", 30); /* back */
    resume(changes, &settings, "batch_rows: 64,", "lr: 1e-3, decay: 0.5", 40);
    assert_int_equal(json_array_size(changes), 4);
    is(changes, 0, 0, "lr", 10, 1e-3, 2e-3);
    is(changes, 1, CHANGES_OF_TRAINER, "batch_rows", 20, 4096, 64);
    is(changes, 2, 0, "lr", 30, 2e-3, 1e-3);
    is(changes, 3, 0, "decay", 30, 0.2, 0.5);
    json_t *own = changes_of(changes, 0), *others = changes_of(changes, 1);
    json_t *trainers = changes_of(changes, CHANGES_OF_TRAINER);
    assert_int_equal(json_array_size(own), 3);
    assert_int_equal(json_array_size(others), 0);
    assert_int_equal(json_array_size(trainers), 1);
    json_decref(own);
    json_decref(others);
    json_decref(trainers);
    json_decref(changes);
    json_decref(settings);
}

/* Nothing was trained between two resumes of the same step. */
static void what_no_step_was_made_with_is_not_told(void **state)
{
    (void)state;
    json_t *changes = json_array(), *settings = settings_of("", "lr: 1e-3");
    resume(changes, &settings, "", "lr: 2e-3", 10);
    resume(changes, &settings, "", "lr: 3e-3", 10);
    assert_int_equal(json_array_size(changes), 1);
    is(changes, 0, 0, "lr", 10, 1e-3, 3e-3);
    resume(changes, &settings, "", "lr: 1e-3", 10);
    assert_int_equal(json_array_size(changes), 0);
    json_decref(changes);
    json_decref(settings);
}

static void names_of_exports_are_settings_too(void **state)
{
    (void)state;
    json_t *settings = settings_of("", "lr: 1e-3");
    const json_t *trainer = json_object_get(settings, "trainer");
    const json_t *l1 = json_array_get(json_object_get(settings, "saes"), 1);
    static const char *const keys[] = {"batch_rows", "planned_rows",  "stop_rows",
                                       "eval_rows",  "kernels",       "dataset",
                                       "model_name", "sluice_version"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_non_null(json_object_get(trainer, keys[i]));
    assert_true(json_number_value(json_object_get(l1, "lambda")) == 5);
    assert_null(json_object_get(l1, "aux_coefficient")); /* means nothing to it */
    assert_string_equal(json_string_value(json_object_get(l1, "name")), "b");
    json_decref(settings);
}

static void steps_are(const struct plan_before *before, uint32_t batch, uint64_t rows,
                      uint64_t steps_done, uint64_t rows_done, uint64_t wanted)
{
    struct sae_options options[2] = {{0}};
    struct plan plan = {.batch_rows = batch, .planned_rows = rows, .saes = 2, .sae = options};
    plan.planned_steps = (rows + batch - 1) / batch;
    plan_go_on(&plan, before, steps_done, rows_done);
    assert_int_equal(plan.planned_steps, wanted);
    if (rows && steps_done) assert_int_equal(options[1].planned_steps, wanted);
}

static void a_plan_counts_the_steps_that_are_left(void **state)
{
    (void)state;
    struct plan_before before = {.batch_rows = 100, .planned_rows = 10000, .planned_steps = 100};
    steps_are(&before, 100, 10000, 40, 4000, 100);
    steps_are(&before, 100, 10000, 41, 4001, 100); /* a step of fewer rows: bit for bit as before */
    steps_are(&before, 200, 10000, 40, 4000, 70);  /* and not 50 */
    steps_are(&before, 50, 10000, 40, 4000, 160);  /* and not 200 */
    steps_are(&before, 100, 20000, 40, 4000, 200); /* a longer plan */
    steps_are(&before, 100, 3000, 40, 4000, 40);   /* one that is over */
    steps_are(&before, 200, 0, 40, 4000, 0);       /* none */
    before = (struct plan_before){.batch_rows = 200, .planned_rows = 10000, .planned_steps = 70};
    steps_are(&before, 200, 10000, 50, 6000, 70); /* the next resume, which changes nothing */
    steps_are(&before, 100, 10000, 50, 6000, 90); /* and one that changes it back */
    before = (struct plan_before){.batch_rows = 100, .planned_steps = 100, .is_old = 1};
    steps_are(&before, 100, 10000, 40, 4000, 100); /* of an older build */
    steps_are(&before, 200, 10000, 40, 4000, 70);
}

static struct sae *make_sae(double rate, uint32_t batch)
{
    struct sae *sae;
    struct sae_options o;
    sae_options_default(SAE_TOPK, &o);
    o.width = 4;
    o.features = 8;
    o.k = 2;
    o.learning_rate = rate;
    o.batch_rows = batch;
    o.planned_steps = 77;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    return sae;
}

static void checkpoints_keep_settings_and_changes(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    struct consumer_producer producer = {.lowest = 7, .harvested = 9};
    struct sae *sae = make_sae(1e-3, 64);
    json_t *settings = settings_of("", "lr: 1e-3"), *changes = json_array();
    unsigned damaged;
    resume(changes, &settings, "", "lr: 0.1", 10); /* 0.1 has no end in binary */
    struct save read, save = {.descriptor = (char[]){"{}"},
                              .state = {.name = "main", .producers = 1, .producer = &producer},
                              .steps = 12,
                              .saes = 1,
                              .plan = {64, 5000, 79, 0},
                              .settings = settings,
                              .changes = changes,
                              .known_from_steps = 3};
    assert_int_equal(save_write(dir, &save, &sae, 1), ERR_OK);
    assert_int_equal(save_read(dir, &read, &checkpoint, &damaged), ERR_OK);
    assert_true(json_equal(read.settings, settings));
    assert_true(json_equal(read.changes, changes));
    assert_int_equal(read.known_from_steps, 3);
    assert_int_equal(read.plan.planned_rows, 5000);
    assert_int_equal(read.plan.planned_steps, 79);
    assert_int_equal(read.plan.batch_rows, 64);
    assert_int_equal(read.plan.is_old, 0);
    checkpoint_close(checkpoint);
    save_free(&read);
    sae_free(sae);
    json_decref(settings);
    json_decref(changes);
}

/* As builds before this one wrote it. */
static void write_old_checkpoint(const char *words)
{
    struct checkpoint_writer *writer;
    struct consumer_state state = {.name = "main"};
    struct sae *sae = make_sae(3e-3, 64);
    void *data;
    size_t bytes;
    assert_int_equal(checkpoint_begin(dir, 40, &writer), ERR_OK);
    assert_int_equal(checkpoint_put(writer, "trainer", words, strlen(words)), ERR_OK);
    assert_int_equal(checkpoint_put(writer, "descriptor", "{}", 2), ERR_OK);
    assert_int_equal(consumer_state_encode(&state, &data, &bytes), ERR_OK);
    assert_int_equal(checkpoint_put(writer, "consumer", data, bytes), ERR_OK);
    assert_int_equal(sae_save(sae, writer, "sae.0"), ERR_OK);
    assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
    free(data);
    sae_free(sae);
}

static const char old_words[] = "{\"version\": 1, \"held_out_rows\": 0, \"steps\": 40, \"rows\": "
                                "2560, \"reuse\": 1, \"seed\": 0, \"batch_rows\": 64, \"saes\": 1, "
                                "\"seconds\": 1.5";

static void older_checkpoints_tell_their_last_settings_alone(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    struct save read;
    unsigned damaged;
    char text[512];
    snprintf(text, sizeof text, "%s}", old_words);
    write_old_checkpoint(text);
    assert_int_equal(save_read(dir, &read, &checkpoint, &damaged), ERR_OK);
    assert_int_equal(read.known_from_steps, 40);
    assert_int_equal(read.plan.is_old, 1);
    assert_int_equal(read.plan.planned_steps, 77);
    json_t *changes = json_array(), *settings = json_incref(read.settings);
    resume(changes, &settings, "", "lr: 1e-3", 40); /* batch_rows: 4096 */
    assert_int_equal(json_array_size(changes), 2);  /* what it doesn't know is no change */
    is(changes, 0, CHANGES_OF_TRAINER, "batch_rows", 40, 64, 4096);
    is(changes, 1, 0, "lr", 40, 3e-3, 1e-3);
    json_decref(changes);
    json_decref(settings);
    checkpoint_close(checkpoint);
    save_free(&read);
}

static void settings_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const more[] = {", \"settings\": 3}", ", \"changes\": {}}",
                                       ", \"planned_rows\": \"x\"}"};
    struct checkpoint *checkpoint;
    struct save read;
    unsigned damaged;
    char text[512];
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        snprintf(text, sizeof text, "%s%s", old_words, more[i]);
        write_old_checkpoint(text);
        assert_int_equal(save_read(dir, &read, &checkpoint, &damaged), ERR_FORMAT);
        assert_null(checkpoint); /* closed: its caller would close it again */
    }
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sluice-changes-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

/* In a folder whose path has about so many bytes. */
static void refused_in_a_folder_of(size_t bytes, int part)
{
    char folder[4096], name[201], text[512];
    struct checkpoint *checkpoint;
    struct checkpoint_writer *writer;
    struct save read;
    unsigned damaged;
    size_t length = (size_t)snprintf(folder, sizeof folder, "%s", dir);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    while (length < bytes) {
        length += (size_t)snprintf(folder + length, sizeof folder - length, "/%s", name);
        assert_int_equal(mkdir(folder, 0700), 0);
    }
    assert_int_equal(checkpoint_begin(folder, 40, &writer), ERR_OK);
    snprintf(text, sizeof text, part ? "%s}" : "%s", old_words);
    assert_int_equal(checkpoint_put(writer, "trainer", text, strlen(text)), ERR_OK);
    assert_int_equal(checkpoint_commit(writer, 1), ERR_OK); /* no section behind it */
    assert_int_equal(save_read(folder, &read, &checkpoint, &damaged), ERR_FORMAT);
    const char *said = err_text(), *at = strstr(said, "checkpoint-0000000000000028.sluice");
    if (!at) at = strstr(said, "checkpoint-0000000000000040.sluice");
    if (!at || strstr(at + 1, "checkpoint-0")) fail_msg("not once by name: %s", said);
    if (!strstr(said, "; HINT: move it away to go on from the one before, if there is one, or "
                      "start all of the run over with --fresh"))
        fail_msg("no hint: %s", said);
    if (!strstr(said, part ? "has no section 'descriptor'" : "'trainer' is malformed"))
        fail_msg("no reason: %s", said);
}

static void what_is_wrong_is_told_whole(void **state)
{
    (void)state;
    refused_in_a_folder_of(0, 0);
    refused_in_a_folder_of(0, 1);
    refused_in_a_folder_of(500, 1);
    tear_down(state);
    assert_int_equal(set_up(state), 0);
    refused_in_a_folder_of(1500, 0);
    tear_down(state);
    assert_int_equal(set_up(state), 0);
    refused_in_a_folder_of(2500, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_resume_tells_what_it_changed),
        cmocka_unit_test(what_no_step_was_made_with_is_not_told),
        cmocka_unit_test(names_of_exports_are_settings_too),
        cmocka_unit_test(a_plan_counts_the_steps_that_are_left),
        TEST(checkpoints_keep_settings_and_changes),
        TEST(older_checkpoints_tell_their_last_settings_alone),
        TEST(settings_that_are_none_are_refused),
        TEST(what_is_wrong_is_told_whole),
    };
    return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
