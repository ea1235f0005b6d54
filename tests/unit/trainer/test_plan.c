/* What a run is to do: scales, lengths of the schedules, the dead window; and what a checkpoint
 * keeps of it. */
#include "base/err.h"
#include "base/fileio.h"
#include "sae/checkpoint.h"
#include "trainer/save.h"
#include "wiring/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static struct config *configure(const char *trainer)
{
    char text[1024];
    struct config *config;
    snprintf(text, sizeof text,
             "stream: { name: test, run_dir: /tmp/x }\ncapture: { engine: synthetic }\n"
             "trainer: { %s saes: [ { arch: topk, features: 16, k: 2, seed: 3 } ] }\n",
             trainer);
    if (config_parse(text, strlen(text), "test", NULL, 0, &config) != ERR_OK)
        fail_msg("%s", err_text());
    return config;
}

/* Two hooks of widths 2 and 1, with scales 2 and 10. */
static char *describe_stream(uint64_t planned_rows, uint32_t one_in, int measured, int is_live)
{
    float mean[3] = {1, 2, 3};
    struct descriptor d = {.stream = "test",
                           .dtype = DTYPE_F32,
                           .width = 3,
                           .hooks = 2,
                           .hook = {{"a", 2, 1, 0, 2}, {"b", 1, 1, 0, 10}},
                           .engine = "synthetic",
                           .model = "m",
                           .precision = "f32",
                           .context_tokens = 8,
                           .share_count = 1,
                           .run = 1,
                           .rows_per_slab = 4,
                           .measured = measured,
                           .shed = is_live,
                           .mean = mean,
                           .measured_rows = 10,
                           .planned_rows = planned_rows,
                           .held_out_one_in = one_in};
    char *text;
    size_t bytes;
    if (descriptor_encode(&d, &text, &bytes) != ERR_OK) fail_msg("%s", err_text());
    return text;
}

static char *describe(uint64_t planned_rows, uint32_t one_in, int measured)
{
    return describe_stream(planned_rows, one_in, measured, 0);
}

static struct plan plan_of(const char *trainer, uint64_t rows, uint32_t one_in)
{
    struct plan plan;
    struct config *config = configure(trainer);
    char *text = describe(rows, one_in, 1);
    if (plan_make(config, text, NULL, &plan) != ERR_OK) fail_msg("%s", err_text());
    free(text);
    config_free(config);
    return plan;
}

static void each_dimension_has_its_hooks_scale(void **state)
{
    (void)state;
    struct plan plan = plan_of("", 0, 10);
    assert_int_equal(plan.width, 3);
    assert_true(plan.scale[0] == 2 && plan.scale[1] == 2 && plan.scale[2] == 10);
    assert_true(plan.mean[0] == 2 && plan.mean[1] == 4 && plan.mean[2] == 30);
    assert_ptr_equal(plan.sae[0].mean, plan.mean);
    assert_int_equal(plan.sae[0].seed, 3);
    assert_int_equal(plan.sae[0].features, 16);
    plan_free(&plan);
}

static void length_of(const char *trainer, uint64_t rows, uint64_t planned, uint64_t window)
{
    struct plan plan = plan_of(trainer, rows, 10);
    assert_int_equal(plan.planned_rows, planned);
    assert_int_equal(plan.dead_window_rows, window);
    assert_int_equal(plan.planned_steps, (planned + 4095) / 4096);
    assert_int_equal(plan.sae[0].planned_steps, plan.planned_steps);
    assert_int_equal(plan.sae[0].dead_window_rows, window);
    plan_free(&plan);
}

static void lengths_follow_from_stream_and_configuration(void **state)
{
    (void)state;
    length_of("", 0, 0, PLAN_DEAD_WINDOW_ROWS); /* a live stream */
    length_of("", 1000000, 900000, 90000);      /* one in ten is held out */
    length_of("reuse: 4,", 1000000, 3600000, 360000);
    length_of("reuse: 4, stop_rows: 50000,", 1000000, 50000, 5000);
    length_of("stop_rows: 50000,", 0, 50000, 5000);
    length_of("planned_rows: 777,", 1000000, 777, 77);
    length_of("planned_rows: 5,", 0, 5, 1);
    length_of("", 10000000000, 9000000000, PLAN_DEAD_WINDOW_ROWS);
}

/* What it sheds or replaces is not trained on; what somebody asks for is a plan all the same. */
static void the_length_of_a_live_stream_is_no_plan(void **state)
{
    static const struct {
        const char *trainer;
        uint64_t rows;
    } plans[] = {{"", 0}, {"planned_rows: 777,", 777}, {"stop_rows: 50000,", 50000}};
    (void)state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct plan plan;
        struct config *config = configure(plans[i].trainer);
        char *text = describe_stream(1000000, 10, 1, 1);
        if (plan_make(config, text, NULL, &plan) != ERR_OK) fail_msg("%s", err_text());
        assert_int_equal(plan.planned_rows, plans[i].rows);
        assert_int_equal(plan.sae[0].planned_steps, (plans[i].rows + 4095) / 4096);
        plan_free(&plan);
        free(text);
        config_free(config);
    }
}

static struct config *configure_sae(const char *sae)
{
    char text[512];
    struct config *config;
    snprintf(text, sizeof text,
             "stream: { name: test, run_dir: /tmp/x }\ncapture: { engine: synthetic }\n"
             "trainer: { batch_rows: 100, saes: [ { arch: topk, features: 16, k: 2, %s },\n"
             "  { arch: l1, features: 16 } ] }\n",
             sae);
    return config_parse(text, strlen(text), "test", NULL, 0, &config) == ERR_OK ? config : NULL;
}

static void dead_after(const char *sae, uint64_t rows)
{
    struct plan plan;
    struct config *config = configure_sae(sae);
    char *text = describe(1000000, 10, 1);
    if (!config || plan_make(config, text, NULL, &plan) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(plan.sae[0].dead_window_rows, rows);
    assert_int_equal(plan.sae[1].dead_window_rows, 90000); /* of its own: the default */
    plan_free(&plan);
    free(text);
    config_free(config);
}

static void a_dead_window_is_of_rows_or_of_steps(void **state)
{
    (void)state;
    dead_after("", 90000);
    dead_after("dead_window_rows: 12345678901", 12345678901);
    dead_after("dead_window_steps: 7", 700);
    dead_after("dead_window_steps: 0, dead_window_rows: 1", 1);
    assert_null(configure_sae("dead_window_steps: 7, dead_window_rows: 700"));
    assert_non_null(strstr(err_text(), "dead_window_rows"));
}

static void decoders_learn_at_the_rate_that_was_asked_for(void **state)
{
    (void)state;
    struct plan plan;
    struct config *config = configure_sae("decoder_lr_factor: 2.5");
    char *text = describe(0, 10, 1);
    if (!config || plan_make(config, text, NULL, &plan) != ERR_OK) fail_msg("%s", err_text());
    assert_true(plan.sae[0].decoder_lr_factor == 2.5);
    assert_true(plan.sae[1].decoder_lr_factor == 1); /* l1's own */
    plan_free(&plan);
    free(text);
    config_free(config);
}

static void what_was_not_measured_is_refused(void **state)
{
    (void)state;
    struct plan plan;
    struct config *config = configure("");
    char *text = describe(0, 10, 0);
    assert_int_equal(plan_make(config, text, NULL, &plan), ERR_STATE);
    assert_int_equal(plan_make(config, "{}", NULL, &plan), ERR_FORMAT);
    free(text);
    config_free(config);
}

static void a_checkpoint_keeps_it_all(void **state)
{
    (void)state;
    struct plan plan = plan_of("", 1000000, 10);
    struct config *config = configure("");
    struct sae *sae, *other;
    struct checkpoint *checkpoint;
    struct consumer_producer producer = {.lowest = 7, .harvested = 9};
    struct save read, save = {.descriptor = describe(5, 10, 1),
                              .state = {.name = "main", .producers = 1, .producer = &producer},
                              .held_out_rows = 11,
                              .steps = 12,
                              .rows = 13,
                              .reuse = 1,
                              .plan = {.batch_rows = 4096},
                              .saes = 1,
                              .seconds = 1.5};
    unsigned damaged;
    plan.sae[0].threads = 1;
    assert_int_equal(sae_new(&plan.sae[0], &sae), ERR_OK);
    assert_int_equal(sae_new(&plan.sae[0], &other), ERR_OK);
    assert_int_equal(save_read(dir, &read, &checkpoint, &damaged), ERR_NOTFOUND);
    assert_int_equal(save_write(dir, &save, &sae, 2), ERR_OK);
    assert_int_equal(save_read(dir, &read, &checkpoint, &damaged), ERR_OK);
    assert_string_equal(read.descriptor, save.descriptor);
    assert_int_equal(read.held_out_rows, 11);
    assert_int_equal(read.steps, 12);
    assert_int_equal(read.rows, 13);
    assert_int_equal(read.state.producer[0].lowest, 7);
    assert_true(read.seconds == 1.5);
    assert_int_equal(save_load_saes(config, checkpoint, &other, 1), ERR_OK);
    assert_int_equal(save_match(&read, config), ERR_OK);
    config_free(config);
    config = configure("reuse: 2,");
    assert_int_equal(save_match(&read, config), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "trainer.reuse was 1"));
    config_free(config);
    config = configure("seed: 5,");
    assert_int_equal(save_match(&read, config), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "trainer.seed"));
    config_free(config);
    checkpoint_close(checkpoint);
    save_free(&read);
    free(save.descriptor);
    sae_free(sae);
    sae_free(other);
    plan_free(&plan);
}

static struct sae *sae_of(const struct sae_options *options, uint32_t features)
{
    struct sae_options o = *options;
    struct sae *sae;
    o.features = features;
    o.threads = 1;
    if (sae_new(&o, &sae) != ERR_OK) fail_msg("%s", err_text());
    return sae;
}

/* What is told is the item as it was written, whatever lists stand before it. */
static void another_sae_is_named_by_its_item(void **state)
{
    (void)state;
    static const char text[] =
        "stream: { name: test, run_dir: /tmp/x }\ncapture: { engine: synthetic }\n"
        "trainer: { saes: [ { arch: l1, features: [8, 9] }, { arch: topk, features: 16, k: 2 } ] }";
    struct config *config;
    struct plan plan;
    struct checkpoint *checkpoint;
    struct save read, save = {.descriptor = describe(5, 10, 1), .reuse = 1, .saes = 3};
    struct sae *saes[3];
    unsigned damaged;
    assert_int_equal(config_parse(text, strlen(text), "test", NULL, 0, &config), ERR_OK);
    assert_int_equal(plan_make(config, save.descriptor, NULL, &plan), ERR_OK);
    assert_int_equal(plan.saes, 3);
    save.state.name[0] = 'm';
    save.steps = 1000;
    for (int i = 0; i < 3; i++) saes[i] = sae_of(&plan.sae[i], plan.sae[i].features);
    assert_int_equal(save_write(dir, &save, saes, 1), ERR_OK);
    assert_int_equal(save_read(dir, &read, &checkpoint, &damaged), ERR_OK);
    sae_free(saes[2]);
    saes[2] = sae_of(&plan.sae[2], 17);
    assert_int_equal(save_load_saes(config, checkpoint, saes, 3), ERR_MISMATCH);
    if (!strstr(err_text(), "trainer.saes.1: ")) fail_msg("%s", err_text());
    for (int i = 0; i < 3; i++) sae_free(saes[i]);
    checkpoint_close(checkpoint);
    save_free(&read);
    free(save.descriptor);
    plan_free(&plan);
    config_free(config);
}

/* Whole, with right checksums, and not of a trainer: an error that names the file. A part that is
 * missing is no missing checkpoint, from which a run would begin anew. */
static void what_no_trainer_wrote_is_refused(void **state)
{
    (void)state;
    static const char *const words[] = {
        NULL,
        "",
        "[]",
        "{\"version\": 1}",
        "{\"version\": 1, \"held_out_rows\": -1, \"steps\": 1, \"rows\": 1, \"reuse\": 1, "
        "\"seed\": 1,"
        " \"batch_rows\": 1, \"saes\": 1, \"seconds\": 1}",
        "{\"version\": 1, \"held_out_rows\": 1, \"steps\": 1, \"rows\": 1, \"reuse\": 4294967297,"
        " \"seed\": 1, \"batch_rows\": 1, \"saes\": 1, \"seconds\": 1}",
        "{\"version\": 1, \"held_out_rows\": 1, \"steps\": 1, \"rows\": 1, \"reuse\": 1, \"seed\": "
        "1,"
        " \"batch_rows\": 1, \"saes\": 1, \"seconds\": 1}"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct checkpoint_writer *writer;
        struct checkpoint *checkpoint;
        struct save save;
        unsigned damaged;
        assert_int_equal(checkpoint_begin(dir, i + 1, &writer), ERR_OK);
        if (words[i])
            assert_int_equal(checkpoint_put(writer, "trainer", words[i], strlen(words[i])), ERR_OK);
        assert_int_equal(checkpoint_put(writer, "descriptor", "{}", 2), ERR_OK);
        assert_int_equal(checkpoint_put(writer, "consumer", "no state", 8), ERR_OK);
        assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
        int result = save_read(dir, &save, &checkpoint, &damaged);
        if (result == ERR_OK || result == ERR_NOTFOUND) fail_msg("%zu: %s", i, err_str(result));
        assert_non_null(strstr(err_text(), "checkpoint-"));
        int is_last = i + 1 == sizeof words / sizeof words[0]; /* its words are right */
        if (!is_last) assert_non_null(strstr(err_text(), "'trainer'"));
        assert_non_null(strstr(err_text(), "--fresh"));
    }
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sluice-plan-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_dimension_has_its_hooks_scale),
        cmocka_unit_test(lengths_follow_from_stream_and_configuration),
        cmocka_unit_test(the_length_of_a_live_stream_is_no_plan),
        cmocka_unit_test(a_dead_window_is_of_rows_or_of_steps),
        cmocka_unit_test(decoders_learn_at_the_rate_that_was_asked_for),
        cmocka_unit_test(what_was_not_measured_is_refused),
        cmocka_unit_test(a_checkpoint_keeps_it_all),
        cmocka_unit_test(what_no_trainer_wrote_is_refused),
        cmocka_unit_test(another_sae_is_named_by_its_item),
    };
    return cmocka_run_group_tests_name("plan", tests, set_up, tear_down);
}
