/* What is told of a run that was resumed behind its last step: nothing was trained nor evaluated in
 * this life, and what the checkpoint knows is told all the same. */
#include "trainer/metadata.h"

#include "base/err.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 4, FEATURES = 16, ROWS = 64, STEPS = 4 };

static struct config *config;
static struct training t;
static struct sae_eval eval;
static struct sae_step step;

static int set_up(void **state)
{
    static const char text[] = "stream: { name: test, run_dir: /tmp/x }\n"
                               "capture: { engine: synthetic }\n"
                               "trainer: { saes: [ { arch: topk, features: 16, k: 1 } ] }\n";
    static struct sae_options options;
    static struct view view;
    static struct sae *sae;
    (void)state;
    if (config_parse(text, strlen(text), "test", NULL, 0, &config) != ERR_OK) return -1;
    sae_options_default(SAE_TOPK, &options);
    options.width = WIDTH;
    options.features = FEATURES;
    options.k = 1;
    options.batch_rows = ROWS;
    options.dead_window_rows = 2 * ROWS;
    if (sae_new(&options, &sae) != ERR_OK) return -1;
    t = (struct training){.config = config, .sae = &sae, .eval = &eval, .step = &step};
    t.plan.saes = 1;
    t.plan.sae = &options;
    t.plan.view = &view;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sae_free(t.sae[0]);
    config_free(config);
    return 0;
}

/* In a life before this one: all rows alike, so that one feature fires. */
static void train(void)
{
    float x[ROWS * WIDTH];
    struct sae_step made;
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)(1 + i % WIDTH);
    for (int n = 0; n < STEPS; n++) {
        assert_int_equal(sae_train(t.sae[0], &(struct sae_batch){x, NULL, ROWS}, &made), ERR_OK);
        t.rows += ROWS;
        t.steps++;
    }
}

static void before_a_step_nothing_is_known(void **state)
{
    (void)state;
    json_t *m = metadata_of(&t, 0, NULL);
    assert_true(json_is_null(json_object_get(m, "dead_features")));
    assert_true(isnan(training_point(&t, 0).dead));
    json_decref(m);
}

static void dead_features_outlive_a_process(void **state)
{
    (void)state;
    train();
    json_t *m = metadata_of(&t, 0, NULL);
    json_int_t dead = json_integer_value(json_object_get(m, "dead_features"));
    uint32_t counted = sae_silent(t.sae[0], 2 * ROWS);
    assert_true(counted > 0 && counted < FEATURES);
    if (dead != counted) fail_msg("dead_features is %lld, not %u", (long long)dead, counted);
    assert_true(json_number_value(json_object_get(m, "dead_share")) == counted / (double)FEATURES);
    assert_true(training_point(&t, 0).dead == counted);
    assert_true(json_is_null(json_object_get(m, "fve")));
    json_decref(m);
}

static void why_there_is_no_fve(void **state)
{
    (void)state;
    char why[96];
    evaluation_no_fve(&t, 0, why, sizeof why);
    assert_string_equal(why, "0 held-out rows are fewer than 2,000");
    eval.rows = TRAINING_FVE_ROWS;
    evaluation_no_fve(&t, 0, why, sizeof why);
    assert_string_equal(why, "");
    eval.no_fve = SAE_EQUAL_ROWS;
    evaluation_no_fve(&t, 0, why, sizeof why);
    assert_string_equal(why, "the held-out rows are all equal");
    eval.no_fve = SAE_BROKEN;
    evaluation_no_fve(&t, 0, why, sizeof why);
    assert_string_equal(why, "the reconstruction is not finite");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_a_step_nothing_is_known),
        cmocka_unit_test(dead_features_outlive_a_process),
        cmocka_unit_test(why_there_is_no_fve),
    };
    return cmocka_run_group_tests_name("metadata", tests, set_up, tear_down);
}
