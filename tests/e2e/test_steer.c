/* `sluice steer` as a user calls it, on a tiny model and an SAE in SAELens's layout. */
#include "sae/export/export.h"
#include "tests/e2e/harness.h"
#include "tests/unit/inspect/tiny_subject.h"

#include <jansson.h>

enum { SECONDS = 60 };

static char sae[2 * HARNESS_PATH_BYTES], model[2 * HARNESS_PATH_BYTES];
static char upper[2 * HARNESS_PATH_BYTES]; /* another SAE, of resid_post.2 */

static int set_up(void **state)
{
    if (run_set_up(state) != 0) return -1;
    struct run *run = *state;
    struct tiny tiny = {.architecture = "llama", .layers = TINY_LAYERS};
    struct subject subject;
    struct export_options options = {
        .model_name = "tiny", .hook_name = "resid_post.1", .prepends_bos = 1};
    snprintf(upper, sizeof upper, "%s/upper", run->dir);
    snprintf(sae, sizeof sae, "%s/sae", run->dir);
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    tiny_write(model, &tiny);
    tiny_subject("resid_post.1", &subject);
    int result = export_saelens(model_view(&subject.model), &options, sae);
    options.hook_name = "resid_post.2";
    subject.model.encoder->w.w_dec[0] += 1;
    if (result == 0) result = export_saelens(model_view(&subject.model), &options, upper);
    subject_close(&subject);
    return result;
}

#define STEER(run, ...)                                                                            \
    run_command(run, SECONDS, "sluice", "steer", sae, "--model", model, "--exact-model",           \
                "--threads", "1", __VA_ARGS__, NULL)

static void must(struct run *run, int code)
{
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

static void refused(struct run *run, int code, const char *words)
{
    if (code != 2) fail_msg("exit code %d where '%s' was to come: %s", code, words, run->err);
    harness_has(run->err, words);
}

/* Both texts, the strength in three units, and how many tokens were steered. */
static void both_texts_are_told(void **state)
{
    struct run *run = *state;
    must(run, STEER(run, "--prompt", "the cat", "--features", "3=4x,5=2", "--max", "3=10",
                    "--tokens", "10"));
    harness_has(run->out, "unsteered (");
    harness_has(run->out, "steered (");
    harness_has(run->out, "of a row's median norm");
    harness_has(run->out, " tokens were steered");
    for (const char *c = run->out; *c; c++) assert_true(*c == '\n' || (unsigned char)*c >= ' ');
    must(run, STEER(run, "--prompt", "the cat", "--features", "3=4x", "--max", "3=10", "--tokens",
                    "10", "--json"));
    json_t *json = json_loads(run->out, 0, NULL);
    if (!json) fail_msg("no JSON: %s", run->out);
    json_t *feature = json_array_get(json_object_get(json, "features"), 0);
    assert_true(json_number_value(json_object_get(feature, "value")) == 40);
    assert_true(json_number_value(json_object_get(feature, "times_largest")) == 4);
    assert_true(json_number_value(json_object_get(feature, "share_of_median_norm")) > 0);
    json_int_t steered = json_integer_value(json_object_get(json, "steered_tokens"));
    json_int_t tokens = json_integer_value(json_object_get(json, "tokens"));
    assert_int_equal(steered, tokens - 1); /* all but BOS */
    json_decref(json);
}

/* A clamp that does nothing can't hide. */
static void nothing_is_told(void **state)
{
    struct run *run = *state;
    must(run, STEER(run, "--prompt", "the cat", "--features", "3=40", "--tokens", "5",
                    "--positions", "500-600"));
    harness_has(run->err, "no token was steered");
    harness_has(run->out, "0 of ");
}

static void what_cannot_be_is_refused(void **state)
{
    struct run *run = *state;
    refused(run, STEER(run, "--prompt", "a"), "no feature to steer");
    refused(run, STEER(run, "--features", "3=4"), "no prompt");
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4x"), "--max 3=ACTIVATION");
    refused(run, STEER(run, "--prompt", "a", "--features", "3"), "FEATURE=TIMESx");
    refused(run, STEER(run, "--prompt", "a", "--features", "24=4"), "has 0 to 23");
    refused(run, STEER(run, "--prompt", "a\xff", "--features", "3=4"), "not UTF-8");
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4", "--positions", "9-5"), "A-B");
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4", "--temperature", "-1"),
            "--temperature -1");
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4", "--hook", "resid_post.99"),
            "layers 0 to 2");
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4", "--hook", "ffn_gate-1"),
            "values at ffn_gate-1");
}

static json_t *answer(struct run *run)
{
    json_t *json = json_loads(run->out, 0, NULL);
    if (!json) fail_msg("no JSON: %s", run->out);
    return json;
}

/* Two SAEs, each at its hook: both are told and counted, and each changes the text's numbers. */
static void several_saes_steer_at_once(void **state)
{
    struct run *run = *state;
    char named[3 * HARNESS_PATH_BYTES];
    snprintf(named, sizeof named, "top=%s", upper);
    must(run, STEER(run, "--prompt", "the cat", "--features", "3=4,top:5=6", "--with", named,
                    "--tokens", "10"));
    harness_has(run->out, "sae, blocks.1.hook_resid_post, top, blocks.2.hook_resid_post, ");
    harness_has(run->out, "tokens were steered at blocks.1.hook_resid_post");
    harness_has(run->out, "tokens were steered at blocks.2.hook_resid_post");
    must(run, STEER(run, "--prompt", "the cat", "--features", "3=4,upper:5=6", "--with", upper,
                    "--tokens", "10", "--json"));
    json_t *json = answer(run), *hooks = json_object_get(json, "hooks");
    assert_int_equal(json_array_size(hooks), 2);
    assert_int_equal(json_array_size(json_object_get(json, "features")), 2);
    for (size_t h = 0; h < 2; h++) {
        const json_t *one = json_array_get(hooks, h);
        assert_true(json_number_value(json_object_get(one, "moved")) > 0);
        assert_true(json_integer_value(json_object_get(one, "steered_tokens")) > 5);
    }
    json_decref(json);
}

static double number(const json_t *of, const char *who, const char *what)
{
    return json_number_value(json_object_get(json_object_get(of, who), what));
}

/* Strength 0 is the model as it is; a picture and JSON tell the same strengths. */
static void a_sweep_is_told(void **state)
{
    struct run *run = *state;
    char svg[2 * HARNESS_PATH_BYTES];
    snprintf(svg, sizeof svg, "%s/sweep.svg", run->dir);
    must(run, STEER(run, "--prompt", "the cat", "--features", "3", "--sweep", "0,5,20", "--tokens",
                    "12", "--texts", "2", "--json", "--svg", svg));
    json_t *json = answer(run), *list = json_object_get(json, "strengths");
    assert_int_equal(json_array_size(list), 3);
    const json_t *zero = json_array_get(list, 0), *strong = json_array_get(list, 2);
    assert_true(number(zero, "features", "kl_own") == 0);
    assert_true(number(zero, "features", "kl_given") == 0);
    assert_true(number(zero, "features", "moved") == 0);
    assert_true(number(strong, "features", "kl_own") > 0);
    assert_true(number(strong, "features", "moved") > 0);
    assert_true(number(strong, "control", "moved") > 0);
    assert_true(number(strong, "control", "kl_given") > 0);
    json_decref(json);
    FILE *picture = fopen(svg, "r");
    char head[8] = "";
    assert_non_null(picture);
    assert_int_equal(fread(head, 1, 4, picture), 4);
    fclose(picture);
    assert_string_equal(head, "<svg");
    must(run, STEER(run, "--prompt", "the cat", "--features", "3,5=-1", "--max", "3=8,5=6",
                    "--sweep", "0,2x", "--tokens", "8", "--texts", "1"));
    harness_has(run->out, "random directions as long");
    harness_has(run->out, "strength 0 is the model as it is");
    refused(run, STEER(run, "--prompt", "a", "--features", "3", "--sweep", "0,5", "--svg", svg),
            "it is there already");
}

static void sweeps_that_cannot_be_are_refused(void **state)
{
    struct run *run = *state;
    static const char *const wrong[] = {"", "1,,2", "1x,2", "strong", "nan", "1,1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(run, STEER(run, "--prompt", "a", "--features", "3", "--sweep", wrong[i]),
                "--sweep");
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4x", "--sweep", "1"), "strengths");
    refused(run, STEER(run, "--prompt", "a", "--features", "3", "--sweep", "1x"), "--max 3=");
    refused(run, STEER(run, "--prompt", "a", "--features", "3", "--svg", "a.svg"), "--sweep");
    refused(run, STEER(run, "--prompt", "a", "--features", "3", "--sweep", "1", "--tokens", "600"),
            "from 1 to 511");
    refused(run, STEER(run, "--prompt", "a", "--features", "3", "--sweep", "1", "--text", "/none"),
            "/none");
}

static void saes_that_do_not_go_together_are_refused(void **state)
{
    struct run *run = *state;
    char other[2 * HARNESS_PATH_BYTES];
    struct subject subject;
    struct export_options options = {.model_name = "another", .hook_name = "resid_post.0"};
    snprintf(other, sizeof other, "%s/other", run->dir);
    tiny_subject("resid_post.0", &subject);
    subject.model.encoder->w.w_dec[1] += 1;
    assert_int_equal(export_saelens(model_view(&subject.model), &options, other), ERR_OK);
    subject_close(&subject);
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4", "--with", upper),
            "no feature of upper is steered");
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4,upper:24=1", "--with", upper),
            "feature 24: upper has 0 to 23");
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4,uper:4=1", "--with", upper),
            "names being sae, upper");
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4,b:4=1", "--with", "b=/none"),
            "/none");
    char again[3 * HARNESS_PATH_BYTES];
    snprintf(again, sizeof again, "again=%s", sae);
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4,again:4=1", "--with", again),
            "again is sae again");
    refused(run,
            run_command(run, SECONDS, "sluice", "steer", sae, "--prompt", "a", "--features",
                        "3=4,other:4=1", "--with", other, NULL),
            "are of different models: tiny and another");
    /* a model that is told is taken, with a warning */
    must(run, STEER(run, "--prompt", "a", "--features", "3=4,other:4=1", "--with", other,
                    "--tokens", "4"));
    harness_has(run->err, "WARNING");
    /* the same hook twice */
    must(run, STEER(run, "--prompt", "a", "--features", "3=4,upper:4=1", "--with", upper,
                    "--tokens", "4"));
    options.model_name = "tiny";
    options.hook_name = "resid_post.1";
    tiny_subject("resid_post.1", &subject);
    subject.model.encoder->w.w_dec[2] += 1;
    snprintf(other, sizeof other, "%s/same-hook", run->dir);
    assert_int_equal(export_saelens(model_view(&subject.model), &options, other), ERR_OK);
    subject_close(&subject);
    refused(run, STEER(run, "--prompt", "a", "--features", "3=4,same-hook:4=1", "--with", other),
            "are the same node");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_texts_are_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(several_saes_steer_at_once, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_sweep_is_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(sweeps_that_cannot_be_are_refused, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(saes_that_do_not_go_together_are_refused, set_up,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
