/* `sluice eval` as a user calls it, on a tiny model and SAEs in SAELens's layout. */
#include "sae/export/export.h"
#include "tests/e2e/harness.h"
#include "tests/unit/inspect/tiny_subject.h"

#include <jansson.h>

enum { SECONDS = 60 };

static char sae[2 * HARNESS_PATH_BYTES], model[2 * HARNESS_PATH_BYTES],
    corpus[2 * HARNESS_PATH_BYTES];

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
    snprintf(corpus, sizeof corpus, "%s/text.txt", run->dir);
    tiny_write(model, &tiny);
    char *text = make_text(4, 400);
    run_write(run, "text.txt", text);
    free(text);
    tiny_subject("resid_post.1", &subject);
    int result = export_saelens(model_view(&subject.model), &options, sae);
    subject_close(&subject);
    return result;
}

#define EVAL(run, ...)                                                                             \
    run_command(run, SECONDS, "sluice", "eval", sae, "--model", model, "--exact-model",            \
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

static double number(const json_t *list, size_t which, const char *key)
{
    const json_t *value = json_object_get(json_array_get(list, which), key);
    if (!json_is_number(value)) fail_msg("no number %s", key);
    return json_number_value(value);
}

static json_t *answer(struct run *run)
{
    json_t *json = json_loads(run->out, 0, NULL);
    if (!json) fail_msg("no JSON: %s", run->out);
    return json;
}

/* One SAE under two names is one verdict; the same command gives the same numbers. */
static void several_are_in_one_table(void **state)
{
    struct run *run = *state;
    must(run, EVAL(run, sae, "--corpus", corpus, "--tokens", "1024", "--context", "64", "--json"));
    json_t *both = answer(run);
    assert_int_equal(json_array_size(both), 2);
    static const char *const keys[] = {"ce_clean", "ce_spliced", "ce_zero", "kl_spliced",
                                       "fve",      "l0",         "cosine",  "tokens"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_true(number(both, 0, keys[i]) == number(both, 1, keys[i]));
    assert_true(number(both, 0, "tokens") == 1024);
    assert_true(number(both, 0, "rows") <= 1024 - 16);
    assert_true(number(both, 0, "ce_spliced") != number(both, 0, "ce_clean"));
    assert_true(number(both, 0, "kl_spliced") > 0);
    must(run, EVAL(run, "--corpus", corpus, "--tokens", "1024", "--context", "64", "--json"));
    json_t *again = answer(run);
    assert_true(number(again, 0, "ce_spliced") == number(both, 0, "ce_spliced"));
    json_decref(again);
    json_decref(both);
    must(run, EVAL(run, sae, "--corpus", corpus, "--tokens", "256"));
    harness_has(run->out, "256 tokens in contexts of 128");
    harness_has(run->out, "SAEBench's");
    harness_has(run->out, "position 0 keep their rows");
    must(run, EVAL(run, "--corpus", corpus, "--tokens", "256", "--splice-first"));
    harness_has_not(run->out, "position 0 keep");
}

/* Position 0, which is left out, has no group, and those behind it have; one that nothing follows has a
 * KL alone. */
static void each_position_is_told(void **state)
{
    struct run *run = *state;
    must(run, EVAL(run, "--corpus", corpus, "--tokens", "1024", "--context", "64", "--json"));
    json_t *all = answer(run);
    json_t *groups = json_object_get(json_array_get(all, 0), "by_position");
    assert_int_equal(json_array_size(groups), 6); /* from 1, 3, 7, 15, 31, 63 */
    double rows = 0;
    for (size_t i = 0; i < 6; i++) {
        assert_true(number(groups, i, "from") == (double)((2 << i) - 1));
        rows += number(groups, i, "rows");
    }
    assert_true(rows == number(all, 0, "rows"));
    assert_true(json_is_null(json_object_get(json_array_get(groups, 5), "ce_spliced")));
    assert_true(number(groups, 5, "kl_spliced") > 0);
    json_decref(all);
    must(run, EVAL(run, "--corpus", corpus, "--tokens", "1024", "--context", "64"));
    harness_has(run->out, "63 to 126");
    harness_has_not(run->out, "nan");
}

/* The hooks of several SAEs are told one by one. */
static void several_hooks_are_named(void **state)
{
    struct run *run = *state;
    struct subject subject;
    struct export_options options = {.model_name = "tiny", .hook_name = "resid_post.0"};
    char other[3 * HARNESS_PATH_BYTES];
    snprintf(other, sizeof other, "%s/other", run->dir);
    tiny_subject("resid_post.0", &subject);
    assert_int_equal(export_saelens(model_view(&subject.model), &options, other), ERR_OK);
    subject_close(&subject);
    must(run, EVAL(run, other, "--corpus", corpus, "--tokens", "256"));
    harness_has(run->out, "sae: 256 tokens in contexts of 128, blocks.1.hook_resid_post");
    harness_has(run->out, "other: 256 tokens in contexts of 128, blocks.0.hook_resid_post");
}

static void what_cannot_be_is_refused(void **state)
{
    struct run *run = *state;
    refused(run, EVAL(run, "--corpus", "/nowhere/at.all"), "/nowhere/at.all");
    refused(run, EVAL(run, "--corpus", corpus, "--tokens", "1"), "tokens");
    refused(run, EVAL(run, "--corpus", corpus, "--context", "100000"), "context");
    refused(run, EVAL(run, "--corpus", corpus, "--hook", "resid_post.77"), "layers 0 to 2");
    refused(run, EVAL(run, "--corpus", corpus, "--hook", "ffn_gate-1"), "values at ffn_gate-1");
    refused(run, EVAL(run, "/nowhere", "--corpus", corpus, "--tokens", "64"), "/nowhere");
    refused(run,
            run_command(run, SECONDS, "sluice", "eval", sae, "--model", model, "--threads", "none",
                        NULL),
            "--threads none is no number");
    char empty[2 * HARNESS_PATH_BYTES];
    run_write(run, "empty.txt", " \n");
    snprintf(empty, sizeof empty, "%s/empty.txt", run->dir);
    assert_int_equal(EVAL(run, "--corpus", empty), 1);
    harness_has(run->err, "the corpus is empty");
    refused(run, EVAL(run, "/nowhere", "--corpus", empty),
            "/nowhere"); /* before the first is run */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_are_in_one_table, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(each_position_is_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(several_hooks_are_named, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
