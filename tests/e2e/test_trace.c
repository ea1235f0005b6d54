/* `sluice trace` as a user calls it, on a tiny model and an SAE in SAELens's layout. */
#include "sae/export/export.h"
#include "tests/e2e/harness.h"
#include "tests/unit/inspect/tiny_subject.h"

#include <jansson.h>

enum { SECONDS = 60 };

static char sae[2 * HARNESS_PATH_BYTES], no_bos[2 * HARNESS_PATH_BYTES],
    model[2 * HARNESS_PATH_BYTES];

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
    options.prepends_bos = 0;
    snprintf(no_bos, sizeof no_bos, "%s/no_bos", run->dir);
    if (result == ERR_OK) result = export_saelens(model_view(&subject.model), &options, no_bos);
    subject_close(&subject);
    return result;
}

#define TRACE(run, ...)                                                                            \
    run_command(run, SECONDS, "sluice", "trace", sae, "--model", model, "--exact-model",           \
                __VA_ARGS__, NULL)

/* An SAE that tells that its rows had no BOS. */
#define TRACE_WITHOUT_BOS(run, ...)                                                                \
    run_command(run, SECONDS, "sluice", "trace", no_bos, "--model", model, "--exact-model",        \
                __VA_ARGS__, NULL)

static void must(struct run *run, int code)
{
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

static void refused(struct run *run, int code, const char *words)
{
    if (code != 2) fail_msg("exit code %d where '%s' was to come", code, words);
    harness_has(run->err, words);
}

static json_t *answer(struct run *run)
{
    json_t *json = json_loads(run->out, 0, NULL);
    if (!json) fail_msg("no JSON: %s", run->out);
    return json;
}

/* A line for each token, and the same as JSON: the values are the largest, in order. */
static void a_prompt_is_told(void **state)
{
    struct run *run = *state;
    must(run, TRACE(run, "--prompt", "the cat"));
    harness_has(run->out, "blocks.1.hook_resid_post; each token's 3 strongest features");
    must(run, TRACE(run, "--prompt", "the cat", "--json", "--top", "5"));
    json_t *json = answer(run), *tokens = json_object_get(json, "tokens"), *token;
    size_t i;
    must(run, TRACE_WITHOUT_BOS(run, "--prompt", "the cat", "--json"));
    json_t *without = answer(run);
    assert_int_equal(json_array_size(json_object_get(without, "tokens")), 6);
    json_decref(without);
    assert_int_equal(json_array_size(tokens), 7); /* BOS, th, e, and a byte each */
    json_array_foreach(tokens, i, token)
    {
        json_t *features = json_object_get(token, "features"), *one;
        double before = INFINITY;
        size_t f;
        assert_int_equal(json_is_true(json_object_get(token, "left_out")), i == 0);
        assert_true(json_array_size(features) > 0 && json_array_size(features) <= 5);
        json_array_foreach(features, f, one)
        {
            double value = json_number_value(json_object_get(one, "value"));
            assert_true(value > 0 && value <= before);
            before = value;
        }
    }
    json_decref(json);
}

/* What a user wrote is never markup, nor a control sequence. */
static void nothing_of_a_prompt_runs(void **state)
{
    struct run *run = *state;
    char page[2 * HARNESS_PATH_BYTES];
    const char *hostile = "<script>alert(1)</script>\"'&\033[31m\xc2\x9b";
    snprintf(page, sizeof page, "%s/page.html", run->dir);
    must(run, TRACE(run, "--prompt", hostile));
    assert_null(strchr(run->out, '\033'));
    assert_null(strstr(run->out, "\xc2\x9b"));
    must(run, TRACE(run, "--prompt", hostile, "--html", page));
    size_t bytes;
    char *text;
    assert_int_equal(file_read(page, 1 << 20, &text, &bytes), ERR_OK);
    /* what is left out colours nothing, neither among all features nor of one */
    harness_has(text, "all(){const v=data.map((d,i)=>spans[i].dataset.left?0:");
    harness_has(text, "one(f){const v=data.map((d,i)=>spans[i].dataset.left?0:");
    const char *body = strstr(text, "<div id=\"text\">");
    assert_non_null(body);
    size_t until = (size_t)(strstr(body, "</div>") - body);
    text[(size_t)(body - text) + until] = '\0';
    harness_has(body, "&#60;");
    harness_has_not(body, ">&<");
    harness_has_not(body, "<script");
    harness_has_not(body, "\">\"<");
    assert_null(strchr(body, '\033'));
    free(text);
    refused(run, TRACE(run, "--prompt", "x", "--html", page), "it is there already");
}

static void groups_are_told_apart(void **state)
{
    struct run *run = *state;
    char these[2 * HARNESS_PATH_BYTES], others[2 * HARNESS_PATH_BYTES];
    run_write(run, "these", "zzzz zzz\nzz zzzz zz\nzzzzzz\nz zz zzz\n\nzzz zz\n");
    run_write(run, "others", "the cat\r\nthe mat\r\na rat sat\r\nthat hat\r\nat bat\r\n");
    snprintf(these, sizeof these, "%s/these", run->dir);
    snprintf(others, sizeof others, "%s/others", run->dir);
    must(run, TRACE(run, "--prompts", these, "--against", others, "--json"));
    json_t *json = answer(run), *first = json_array_get(json_object_get(json, "features"), 0);
    assert_int_equal(json_integer_value(json_object_get(json, "prompts_these")), 5);
    assert_int_equal(json_integer_value(json_object_get(json, "prompts_others")), 5);
    assert_true(fabs(json_number_value(json_object_get(first, "effect"))) > 2);
    assert_true(json_number_value(json_object_get(first, "p")) < 0.05);
    json_decref(json);
    must(run, TRACE(run, "--prompts", these, "--against", others));
    harness_has(run->out, "5 prompts against 5");
    run_write(run, "these", "one\n\n");
    refused(run, TRACE(run, "--prompts", these, "--against", others), "two at least");
    run_write(run, "these", "ok\nnot \xff\n");
    refused(run, TRACE(run, "--prompts", others, "--against", these), "/these:2: a prompt is not");
    run_write(run, "these", "\n the cat\nq\n\nok\n");
    refused(run, TRACE_WITHOUT_BOS(run, "--prompts", these, "--against", others),
            "/these:3: no token of the prompt counts");
}

static void pushes_are_told(void **state)
{
    struct run *run = *state;
    must(run, TRACE(run, "--prompt", "the cat sat", "--next", "e"));
    harness_has(run->out, "'e' is the next token with probability");
    harness_has(run->out, "agreement: of ");
    must(run, TRACE(run, "--prompt", "the cat sat", "--next", "e", "--json"));
    json_t *json = answer(run);
    assert_true(json_array_size(json_object_get(json, "features")) > 0);
    json_decref(json);
    refused(run, TRACE(run, "--prompt", "the", "--next", "the cat"), "of which the first is 'th'");
    refused(run, TRACE(run, "--prompt", "the", "--next", "\xff"), "--next is not UTF-8");
    refused(run, TRACE_WITHOUT_BOS(run, "--prompt", "q", "--next", "e"), "no token that counts");
}

static void what_cannot_be_is_refused(void **state)
{
    struct run *run = *state;
    refused(run, TRACE(run, "--top", "3"), "nothing to trace");
    refused(run, TRACE(run, "--prompt", "a", "--prompts", "b"), "leave one of them out");
    refused(run, TRACE(run, "--prompt", "a", "--top", "0"), "top");
    refused(run, TRACE(run, "--prompt", "a\xff"), "not UTF-8");
    refused(run, TRACE(run, "--prompt", "a", "--hook", "resid_post.99"), "layers 0 to 2");
    refused(run, TRACE(run, "--prompt", "a", "--hook", "ffn_gate-1"), "values at ffn_gate-1");
    refused(run, TRACE(run, "--prompt", "a", "--sae", "x"), "mean nothing");
    char *text = make_text(1, 1200);
    refused(run, TRACE(run, "--prompt", text), "where 512 are the most; HINT");
    free(text);
    refused(run, run_command(run, SECONDS, "sluice", "trace", sae, "--prompt", "a", NULL),
            "--model FILE.gguf");
    refused(run, run_command(run, SECONDS, "sluice", "trace", run->dir, "--prompt", "a", NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_prompt_is_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(nothing_of_a_prompt_runs, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(groups_are_told_apart, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(pushes_are_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
