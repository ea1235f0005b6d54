/* `sluice steer` as a user calls it, on a tiny model and an SAE in SAELens's layout. */
#include "sae/export/export.h"
#include "tests/e2e/harness.h"
#include "tests/unit/inspect/tiny_subject.h"

#include <jansson.h>

enum { SECONDS = 60 };

static char sae[2 * HARNESS_PATH_BYTES], model[2 * HARNESS_PATH_BYTES];

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
    tiny_write(model, &tiny);
    tiny_subject("resid_post.1", &subject);
    int result = export_saelens(model_view(&subject.model), &options, sae);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_texts_are_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
